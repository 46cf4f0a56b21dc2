"""Values that several steps of a recipe take: shares, amounts with units, ranks. Loads no torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictFloat, StrictInt

from profiles.errors import ConfigError
from profiles.units import parse_quantity
from toolchain.project.common import as_problem, problem
from toolchain.project.problems import shown

Share = Annotated[float, Field(gt=0, lt=1)]
Left = Annotated[float, Field(gt=0)]
Epochs = Annotated[StrictInt, Field(ge=0, le=100_000)]
Rate = Annotated[StrictFloat, Field(gt=0)]


def _share_or(unit: str, example: str) -> Callable[[Any], Any]:
    """Checks a share, or an amount in ``unit``; either stays as it was written."""

    def read(value: Any) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and 0 < value <= 1:
            return float(value)
        if not isinstance(value, str):
            wrong = "is out of range" if number else "has a value of the wrong type"
            raise problem(
                wrong, seen=shown(value), allowed=f'a share above 0 and up to 1, or an amount such as "{example}"'
            )
        try:
            amount = parse_quantity(value, unit, where="")
        except ConfigError as error:
            raise as_problem(error) from error
        if not amount:
            raise problem("needs more than 0", seen=shown(value))
        return value

    return read


def _rank(value: Any) -> Any:
    """One branch for both kinds, so that an error names both."""
    if value == "vbmf" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise problem("is no rank", seen=shown(value), allowed='a whole number from 1, or "vbmf"')


def _pattern(text: str) -> str:
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if not found or not 0 < int(found[1]) < int(found[2]):
        raise problem("is no pattern", seen=shown(text), allowed='"N:M" with N from 1 to M - 1, such as "2:4"')
    return text


#: A share, or an amount with its unit as it was written.
ShareOrBytes = Annotated[float | str, BeforeValidator(_share_or("B", "100 kB"), json_schema_input_type=Share | str)]
ShareOrTime = Annotated[float | str, BeforeValidator(_share_or("s", "5 ms"), json_schema_input_type=Share | str)]
Rank = Annotated[
    int | Literal["vbmf"],
    BeforeValidator(_rank, json_schema_input_type=Annotated[StrictInt, Field(ge=1)] | Literal["vbmf"]),
]
Pattern = Annotated[str, AfterValidator(_pattern)]
