"""The shapes of the files that a build leaves behind, as far as the report shows them."""

from __future__ import annotations

import math
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator, model_validator

from profiles.measurement import Metric
from toolchain.compress.rows import Row


class _Shape(BaseModel):
    """Files may hold more than the report shows; what it shows has the right type."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


def _finite(metrics: dict[str, Metric]) -> dict[str, Metric]:
    for name, metric in metrics.items():
        if not all(math.isfinite(sample) for sample in metric.samples or ()):
            raise ValueError(f"a sample of {name} is not a finite number")
    return metrics


class BudgetLine(_Shape):
    """One promise of the project. ``met`` is None where it cannot be judged; numbers are in SI base units."""

    metric: str
    limit: float = Field(allow_inf_nan=False)
    value: float | None = Field(default=None, allow_inf_nan=False)
    met: bool | None = None


class _Figures(_Shape):
    """A row whose figures stand beside its other keys: ``{KEY: ..., NAME: {metric}}`` on disk."""

    metrics: dict[str, Metric] = {}

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "metrics" in data:
            return data
        metrics = {key: value for key, value in data.items() if isinstance(value, dict) and "kind" in value}
        return {**data, "metrics": metrics}

    _samples = field_validator("metrics")(_finite)


class Layer(_Figures):
    """One layer with its figures."""

    name: str
    op: str = ""
    precision: str = ""


class Batch(_Figures):
    """One batch size of a sweep; ``throughput`` counts samples."""

    batch: int = Field(ge=1)


class SummaryEntry(_Shape):
    """One bundle as ``summary.json`` lists it."""

    device: str
    target: str
    precision: str
    bundle: str
    metrics: dict[str, Metric] = {}
    budget: tuple[BudgetLine, ...] = ()
    layers: tuple[Layer, ...] = ()

    _samples = field_validator("metrics")(_finite)


class NotBuilt(_Shape):
    """A bundle that a build left out, and why."""

    device: str
    target: str
    precision: str
    why: str


class Summary(_Shape):
    """``summary.json``."""

    schema_: int = Field(alias="schema")
    project: str = ""
    created: str = ""
    entries: tuple[SummaryEntry, ...]
    not_built: tuple[NotBuilt, ...] = ()
    compression: tuple[Row, ...] = ()


class Trial(_Shape):
    """One placement that a search tried: seconds, its time over that of the best before it, accuracy lost, and why."""

    name: str
    verdict: str = ""
    kept: bool = False
    time: float | None = Field(None, allow_inf_nan=False, validation_alias=AliasChoices("time", "latency"))
    ratio: float | None = Field(None, allow_inf_nan=False)
    loss: float | None = Field(None, allow_inf_nan=False, validation_alias=AliasChoices("loss", "accuracy_loss"))
    why: str = ""


class Placement(_Shape):
    """How quantization was placed; ``gain`` of ``best`` over the default is None where nothing was timed."""

    rows: tuple[Trial, ...] = ()
    best: str = ""
    gain: float | None = Field(None, allow_inf_nan=False)
    measured: bool = False


class BuildFacts(_Shape):
    """What the manifest says of the build; ``executed`` is empty in bundles that do not say it."""

    executed: str = ""
    placement: Placement | None = None


class Manifest(_Shape):
    """The parts of ``manifest.json`` that are shown."""

    tools: dict[str, Any] = {}
    device: dict[str, Any] = {}
    model: dict[str, Any] = {}
    inputs: tuple[dict[str, Any], ...] = ()
    outputs: tuple[dict[str, Any], ...] = ()
    build: BuildFacts = BuildFacts()


class Machine(_Shape):
    """The state of the machine around the runs."""

    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    description: str = ""
    disturbances: tuple[str, ...] = ()

    @field_validator("before", "after", mode="before")
    @classmethod
    def _absent(cls, value: Any) -> Any:
        return {} if value is None else value


class Profile(_Shape):
    """``profile.json``. ``executed`` counts compute layers by the precision that really ran."""

    metrics: dict[str, Metric] = {}
    layers: tuple[Layer, ...] = ()
    machine: Machine = Machine()
    settings: dict[str, Any] = {}
    stable: bool | None = None
    notes: tuple[str, ...] = ()
    executed: dict[str, int] = {}
    facts: dict[str, Any] = {}
    batches: tuple[Batch, ...] = ()

    _samples = field_validator("metrics")(_finite)
