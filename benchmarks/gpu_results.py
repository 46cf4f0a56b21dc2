"""What the GPU benchmark finds: one row per model, number format and engine, or the reason why there is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from profiles.measurement import Metric

PRECISIONS = ("fp32", "fp16", "int8")
#: Compute capabilities for which TensorRT-RTX compiles ahead of time, without their GPU.
CAPABILITIES = ("8.0", "8.6", "8.9", "12.0", "12.1")


@dataclasses.dataclass(frozen=True)
class Planned:
    """One engine compiled for one compute capability, and what its schedule says; ``why`` where there is none.

    Attributes:
        seconds: that the compiler took, the parser included.
        engine, moved, memory: bytes of the engine file, read and written by all kernels, and of activations.
        kernels: launches per inference; ``requantizing`` of them quantize, fused into no convolution or product.
    """

    model: str
    precision: str
    capability: str
    why: str = ""
    seconds: float = 0.0
    engine: int = 0
    kernels: int = 0
    requantizing: int = 0
    moved: int = 0
    memory: int = 0


@dataclasses.dataclass(frozen=True)
class Timed:
    """A bundle with its figures (without samples), or ``why`` there is none.

    Attributes:
        engine: ``tensorrt``, ``pytorch`` or ``onnxruntime CUDA``.
        metrics: by the names of ``METRIC_UNITS``.
    """

    model: str
    precision: str
    engine: str
    why: str = ""
    metrics: Mapping[str, Metric] = dataclasses.field(default_factory=dict)

    def value(self, name: str) -> float | None:
        """A figure, or None."""
        metric = self.metrics.get(name)
        return metric.value if metric else None


@dataclasses.dataclass(frozen=True)
class Compared:
    """One stretch of work seen by two instruments, or ``why`` it was not.

    Attributes:
        counted, integrated: mean watts by the counter, and by sampled power over the same time.
        joules: per inference, idle power included, by the counter.
        deviation: of the integrated power, relative; ``margin`` is what the ends of the window leave open.
    """

    model: str
    precision: str
    engine: str
    why: str = ""
    counted: float = 0.0
    integrated: float = 0.0
    joules: float = 0.0
    deviation: float = 0.0
    margin: float = 0.0


@dataclasses.dataclass(frozen=True)
class Results:
    """Everything, with the machine's description.

    Attributes:
        conditions: date, machine, tools.
        gpu: as the driver describes it; None where there is none, and then ``no_gpu`` says why.
        unlisted: what was tried on a GPU that TensorRT-RTX does not list: attempt and outcome.
    """

    conditions: Mapping[str, Any]
    gpu: Mapping[str, Any] | None = None
    no_gpu: str = ""
    planned: tuple[Planned, ...] = ()
    timed: tuple[Timed, ...] = ()
    compared: tuple[Compared, ...] = ()
    unlisted: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for ``gpu.json``."""
        data = dataclasses.asdict(self)
        data["timed"] = [
            {**dataclasses.asdict(row), "metrics": {name: metric.as_dict() for name, metric in row.metrics.items()}}
            for row in self.timed
        ]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Results:
        """The inverse of :meth:`as_dict`, also after a journey through JSON."""
        timed = [
            Timed(**{**row, "metrics": {name: Metric.from_dict(each) for name, each in row["metrics"].items()}})
            for row in data["timed"]
        ]
        return cls(
            data["conditions"],
            data["gpu"],
            data["no_gpu"],
            tuple(Planned(**row) for row in data["planned"]),
            tuple(timed),
            tuple(Compared(**row) for row in data["compared"]),
            tuple((attempt, outcome) for attempt, outcome in data["unlisted"]),
        )

    def models(self) -> list[str]:
        """Every model, in the order of the runs."""
        return list(dict.fromkeys([*(row.model for row in self.timed), *(row.model for row in self.planned)]))

    def timing(self, model: str, engine: str, precision: str) -> Timed | None:
        """The row of one bundle."""
        wanted = (model, engine, precision)
        return next((row for row in self.timed if (row.model, row.engine, row.precision) == wanted), None)

    def plan(self, model: str, precision: str, capability: str) -> Planned | None:
        """The row of one engine."""
        wanted = (model, precision, capability)
        return next((row for row in self.planned if (row.model, row.precision, row.capability) == wanted), None)


def missed(results: Results) -> list[str]:
    """Goals that were missed: engines that could not be compiled, and instruments that do not agree."""
    found = [f"{row.model} in {row.precision} for SM {row.capability}: {row.why}" for row in results.planned if row.why]
    found += [
        f"{row.model} {row.precision} with {row.engine}: {100 * row.deviation:+.1f} % between counter and sampled power"
        for row in results.compared
        if not row.why and abs(row.deviation) > 0.05
    ]
    return found
