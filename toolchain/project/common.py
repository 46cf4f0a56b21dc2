"""What every section of the project file is made of: the frozen base, names, paths, quantities, problems."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from profiles.errors import ConfigError
from profiles.units import parse_quantity

#: The type of the errors that :func:`problem` makes.
PROBLEM = "edgewright"
_LABELS = {"seen": "seen", "allowed": "allowed", "next_step": "next"}
_SAFE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


class Frozen(BaseModel):
    """Base of all sections: immutable, unknown keys refused, NaN and infinity refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def problem(
    sentence: str, *, seen: str = "", allowed: str = "", next_step: str = "", at: tuple[str | int, ...] = ()
) -> PydanticCustomError:
    """What a validator raises.

    Args:
        sentence: completes the key path: ``"needs a number and a unit"``.
        seen, allowed, next_step: as in :class:`profiles.errors.EdgewrightError`.
        at: the key path of the culprit, relative to what is being validated.
    """
    context = {"sentence": sentence, "seen": seen, "allowed": allowed, "next_step": next_step, "at": at}
    told = "".join(f"; {label}: {{{key}}}" for key, label in _LABELS.items() if context[key])
    return PydanticCustomError(PROBLEM, "{sentence}" + told, context)  # for callers in Python


def as_problem(error: ConfigError, at: tuple[str | int, ...] = ()) -> PydanticCustomError:
    """An error of a lower layer, so that it gets the key path and the line too; ``at`` ends with the key it names."""
    sentence = error.wanted.removeprefix(str(at[-1]) if at else "").strip()
    return problem(sentence, seen=error.seen, allowed=error.allowed, next_step=error.next_step, at=at)


def safe_name(text: str) -> str:
    """``text`` as a name that is safe for files and folders: ``[a-z0-9._-]``, 100 characters at most."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:100] or "model"


def _check_name(name: str) -> str:
    if not _SAFE_NAME.fullmatch(name):
        raise problem(
            "is not a name that is safe for files and folders",
            seen=repr(name),
            allowed="a-z, 0-9, '.', '_' and '-', beginning with a letter or digit, 100 characters at most",
            next_step=f'write for example "{safe_name(name)}"',
        )
    return name


def project_path(text: str | Path, info: ValidationInfo) -> Path:
    """``text`` as an absolute path; relative ones begin at the folder of the project file."""
    folder = (info.context or {}).get("folder", Path.cwd())
    return Path(os.path.abspath(folder / text))


def _check_path(value: object, info: ValidationInfo) -> object:
    if value == "":
        raise problem("is empty", allowed="the path of a file")
    return project_path(value, info) if isinstance(value, str | Path) else value


def _quantity(unit: str) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        try:
            amount = parse_quantity(value, unit, where="")
        except ConfigError as error:
            raise as_problem(error) from error
        if amount == 0 and unit != "1":
            raise problem("needs more than 0", seen=repr(value))
        return amount

    return read


SafeName = Annotated[
    str, AfterValidator(_check_name), WithJsonSchema({"type": "string", "pattern": f"^{_SAFE_NAME.pattern}$"})
]
ProjectPath = Annotated[Path, BeforeValidator(_check_path, json_schema_input_type=str)]
Seconds = Annotated[float, BeforeValidator(_quantity("s"), json_schema_input_type=str)]
Bytes = Annotated[float, BeforeValidator(_quantity("B"), json_schema_input_type=str)]
Joules = Annotated[float, BeforeValidator(_quantity("J"), json_schema_input_type=str)]
_ShareOrText = str | Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[float, Field(le=1), BeforeValidator(_quantity("1"), json_schema_input_type=_ShareOrText)]
