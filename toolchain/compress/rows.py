"""What is told of a model after every step of a recipe: costs, accuracy, speed, and whether the step helped."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from profiles.measurement import Metric

if TYPE_CHECKING:
    from toolchain.compress.context import Context
    from toolchain.compress.passes import Outcome

START = "start"


@dataclasses.dataclass(frozen=True)
class Speed:
    """How many times faster than before the step, both measured in turn in one run.

    Attributes:
        ratio: above 1 is faster.
        low, high: its 95 % interval; None where the spread is not known.
        judgement: ``helped``, ``not measurably``, ``harmed`` or ``unknown``.
    """

    ratio: float
    low: float | None = None
    high: float | None = None
    judgement: str = "unknown"

    def __str__(self) -> str:
        span = "" if self.low is None or self.high is None else f" ({self.low:.2f}–{self.high:.2f})"
        return f"×{self.ratio:.2f}{span}"


@dataclasses.dataclass(frozen=True)
class Row:
    """A model after a step; ``step`` is ``start`` for the first row.

    Attributes:
        step: its name, and ``method`` the method's.
        params, macs: counted; multiply-accumulates as :func:`toolchain.frontend.macs.count`.
        bytes: stored, zeros packed (:func:`toolchain.compress.costs.model_bytes`).
        zeros: share of the weights that are exactly zero.
        accuracy: on the test part, from 0 to 1; None without labelled data.
        latency: by device entry; instructions or cycles where the device is emulated; empty where nobody measured.
        speed: by device entry, against the step before; not every latency has one.
        flags: sentences on what the step did not achieve.
        notes: other sentences for people.
        facts: what the method says of itself.
        kept: False for a step that was rolled back.
        total: on the last row that was kept: by device entry, against the model at the start, measured in one run.
    """

    step: str
    method: str
    params: int
    macs: int
    bytes: int
    zeros: float
    accuracy: float | None = None
    latency: Mapping[str, Metric] = dataclasses.field(default_factory=dict)
    speed: Mapping[str, Speed] = dataclasses.field(default_factory=dict)
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    kept: bool = True
    total: Mapping[str, Speed] = dataclasses.field(default_factory=dict)

    @property
    def title(self) -> str:
        """``prune (l1)``."""
        return f"{self.step} ({self.method})" if self.method else self.step

    def noted(self, *sentences: str) -> Row:
        """The same row with more notes."""
        return dataclasses.replace(self, notes=(*self.notes, *sentences))

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for ``rows.json`` and ``summary.json``."""
        return {
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
            "latency": {name: metric.as_dict() for name, metric in self.latency.items()},
            "speed": {name: dataclasses.asdict(speed) for name, speed in self.speed.items()},
            "total": {name: dataclasses.asdict(speed) for name, speed in self.total.items()},
            "flags": list(self.flags),
            "notes": list(self.notes),
            "facts": dict(self.facts),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Row:
        """The inverse of :meth:`as_dict`."""
        changes = {
            "latency": {name: Metric.from_dict(metric) for name, metric in data["latency"].items()},
            "speed": {name: Speed(**speed) for name, speed in data["speed"].items()},
            "total": {name: Speed(**speed) for name, speed in data["total"].items()},
            "flags": tuple(data["flags"]),
            "notes": tuple(data["notes"]),
        }
        return cls(**{**data, **changes})


def make_row(step: str, method: str, outcome: Outcome, context: Context) -> Row:
    """What a model costs and achieves after a step.

    Raises:
        DataError: the test part is empty.
        ModelError: the outputs are not finite, or do not fit the classes.
    """
    from toolchain.compress.costs import model_bytes, zero_share
    from toolchain.frontend.macs import count

    params, macs = count(outcome.model, context.tensors())
    data = context.data
    scored = data is not None and data.labelled and data.source != "random" and context.task == "classification"
    return Row(
        step=step,
        method=method,
        params=params,
        macs=macs,
        bytes=model_bytes(outcome.model),
        zeros=zero_share(outcome.model),
        accuracy=context.accuracy(outcome.model) if scored else None,
        notes=outcome.notes,
        facts=dict(outcome.facts),
    )
