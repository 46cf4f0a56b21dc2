"""The two ``source`` strings: where the model comes from, and where the data comes from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from profiles.suggest import nearest
from toolchain.project.common import Frozen, problem, project_path, safe_name

MODEL_SUFFIXES = (".pt2", ".onnx", ".tflite")
SOURCE_KINDS = {"zoo": "zoo:", "callable": "module:callable", "file": "file"}
MODEL_FORMS = "zoo:NAME, zoo:pytorchcv/NAME, module:callable, or a path ending in .pt2, .onnx or .tflite"
TORCH_FORMS = "zoo:NAME, zoo:pytorchcv/NAME, module:callable, or a path ending in .pt2"
DATA_FORMS = "digits, parquet:DIR, folder:DIR, npz:FILE or random"
_DATA_WITHOUT_PATH = ("digits", "random")
_DATA_WITH_PATH: tuple[Literal["parquet", "folder", "npz"], ...] = ("parquet", "folder", "npz")
_ZOO = re.compile(r"zoo:((?:pytorchcv/)?[A-Za-z0-9_][A-Za-z0-9_.-]*)")
_CALLABLE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")


class ModelSource(Frozen):
    """Where a model comes from.

    Attributes:
        text: as written.
        kind: ``zoo``, ``callable`` or ``file``.
        name: within its kind: ``resnet8`` or ``pytorchcv/resnet18``, ``module:callable``, the file's name.
        path: of a file, absolute.
    """

    text: str
    kind: Literal["zoo", "callable", "file"]
    name: str
    path: Path | None = None

    @property
    def default_name(self) -> str:
        """A safe name for the model: ``resnet8`` of ``zoo:resnet8``, ``net`` of ``models/net.onnx``."""
        last = self.path.stem if self.path else re.split("[:/]", self.name)[-1]
        return safe_name(last)


class DataSource(Frozen):
    """Where samples come from.

    Attributes:
        text: as written.
        kind: ``digits``, ``parquet``, ``folder``, ``npz`` or ``random``.
        path: of the folder or file, absolute; None for ``digits`` and ``random``.
    """

    text: str
    kind: Literal["digits", "parquet", "folder", "npz", "random"]
    path: Path | None = None


def _read_model_source(value: Any, info: ValidationInfo) -> ModelSource:
    if not isinstance(value, str):
        raise _refusal(value, "model", MODEL_FORMS)
    if match := _ZOO.fullmatch(value):
        return ModelSource(text=value, kind="zoo", name=match.group(1))
    if value.lower().endswith(MODEL_SUFFIXES):
        path = project_path(value, info)
        return ModelSource(text=value, kind="file", name=path.name, path=path)
    if _CALLABLE.fullmatch(value) and not value.startswith("zoo:"):
        return ModelSource(text=value, kind="callable", name=value)
    raise _refusal(value, "model", MODEL_FORMS, _model_hint(value))


def check_model_source(value: str) -> str:
    """The same text, if it has one of the forms of a model source that torch can change.

    Raises:
        PydanticCustomError: it has not.
    """
    torch_file = value.lower().endswith(".pt2")
    known = torch_file or _ZOO.fullmatch(value) or (_CALLABLE.fullmatch(value) and not value.startswith("zoo:"))
    if not known or value.lower().endswith((".onnx", ".tflite")):
        raise _refusal(value, "model", TORCH_FORMS, _model_hint(value))
    return value


def _model_hint(value: str) -> str:
    if value.lower().endswith((".pt", ".pth", ".ckpt", ".safetensors")):
        return 'this file holds weights: name the architecture as source, and write weights = "..." for the file'
    if re.fullmatch(r"[A-Za-z0-9_-]+", value):
        return f"for a model of the zoo write 'zoo:{value}'"
    return ""


def _read_data_source(value: Any, info: ValidationInfo) -> DataSource:
    if value in _DATA_WITHOUT_PATH:
        return DataSource(text=value, kind=value)
    kind, _, place = value.partition(":") if isinstance(value, str) else ("", "", "")
    for known in _DATA_WITH_PATH:
        if kind == known and place:
            return DataSource(text=value, kind=known, path=project_path(place, info))
    guess = nearest(kind, [*_DATA_WITHOUT_PATH, *_DATA_WITH_PATH])
    hint = f"did you mean '{guess}{':PATH' if guess in _DATA_WITH_PATH else ''}'?" if guess else ""
    raise _refusal(value, "data", DATA_FORMS, hint)


def _refusal(value: Any, what: str, allowed: str, next_step: str = "") -> PydanticCustomError:
    return problem(f"is not a {what} source", seen=repr(value), allowed=allowed, next_step=next_step)


ModelSourceText = Annotated[ModelSource, BeforeValidator(_read_model_source, json_schema_input_type=str)]
DataSourceText = Annotated[DataSource, BeforeValidator(_read_data_source, json_schema_input_type=str)]
