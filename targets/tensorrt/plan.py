"""The build plan: how an engine is made from a bundle's ONNX file, as data that travels with the bundle.

The same plan is carried out here (TensorRT-RTX, which needs no GPU to compile) or on the device (TensorRT, which
times kernels on the GPU that will run them). It holds no code and no path of any machine.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError, VerificationError

PLAN = "plan.json"
ONNX = "model.onnx"
SCHEDULE = "schedule.json"
SCHEMA = 1
#: Python modules: TensorRT-RTX compiles without a GPU; TensorRT compiles on the GPU that runs the engine.
LIBRARIES = ("tensorrt_rtx", "tensorrt")


@dataclasses.dataclass(frozen=True)
class BuildPlan:
    """What to build.

    Attributes:
        library: the Python module that compiles and runs the engine, of :data:`LIBRARIES`.
        precision: of the network, for people; the network itself is strongly typed and decides.
        compute_capabilities: such as ``("8.6",)``; several only for ``tensorrt_rtx``.
        batches: engines are built for each of these batch sizes; the first is that of the model.
        optimization_level: of the builder, 0 to 5 (``IBuilderConfig.builder_optimization_level``).
        workspace: bytes that a kernel may use while it runs, or None for the library's default.
        sparse_weights: kernels for 2:4 sparse weights may be chosen (``BuilderFlag.SPARSE_WEIGHTS``).
        tf32: fp32 products may be rounded to 10 bits (``BuilderFlag.TF32``); off, so that fp32 means fp32.
        dla_core: of an Orin's deep learning accelerators, or None for the GPU.
        least_version: of the library, such as ``"10.3"``.
    """

    library: str
    precision: str
    compute_capabilities: tuple[str, ...]
    batches: tuple[int, ...] = (1,)
    optimization_level: int = 3
    workspace: int | None = None
    sparse_weights: bool = False
    tf32: bool = False
    dla_core: int | None = None
    least_version: str = ""

    def __post_init__(self) -> None:
        if self.library not in LIBRARIES:
            raise ConfigError("wanted a library", seen=repr(self.library), allowed=", ".join(LIBRARIES))
        for capability in self.compute_capabilities:
            if not re.fullmatch(r"\d{1,2}\.\d", capability):
                raise ConfigError("wanted a compute capability", seen=repr(capability), allowed='such as "8.6"')
        if not self.compute_capabilities:
            raise ConfigError("wanted a compute capability", seen="none", allowed='such as "8.6"')
        if not self.batches or any(type(size) is not int or size < 1 for size in self.batches):
            raise ConfigError("wanted batch sizes", seen=repr(self.batches), allowed="whole numbers of at least 1")
        if self.optimization_level not in range(6):
            raise ConfigError("wanted an optimization level", seen=repr(self.optimization_level), allowed="0 to 5")

    @property
    def ahead_of_time(self) -> bool:
        """Whether the engine is compiled on a machine without the GPU."""
        return self.library == "tensorrt_rtx"

    def engine_name(self, batch: int) -> str:
        """Of the engine file for one batch size, below the bundle or in the device's engine cache."""
        return f"batch{batch}.engine"

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for ``plan.json``."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    def digest(self) -> str:
        """Over everything that the plan says."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode("ascii")).hexdigest()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BuildPlan:
        """The inverse of :meth:`as_dict`, also after a journey through JSON.

        Raises:
            VerificationError: of a schema that this version does not read, or with keys that are missing or unknown.
        """
        if data.get("schema") != SCHEMA:
            raise VerificationError("wanted a build plan", seen=f"schema {data.get('schema')!r}", allowed=str(SCHEMA))
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        del values["schema"]
        try:
            return cls(**values)
        except TypeError as error:
            raise VerificationError(
                "wanted a build plan", seen=str(error), next_step="build the bundle again"
            ) from error


def load_plan(folder: Path) -> BuildPlan:
    """The build plan of a bundle.

    Raises:
        VerificationError: there is none, or it is damaged.
    """
    try:
        data = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VerificationError(
            f"wanted a build plan in {PLAN}", seen=str(error), next_step="build the bundle again"
        ) from error
    if not isinstance(data, dict):
        raise VerificationError(f"wanted a build plan in {PLAN}", seen="no object", next_step="build the bundle again")
    return BuildPlan.from_dict(data)
