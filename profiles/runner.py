"""The one contract between the profiler and everything that can be measured.

A local engine, a board over ssh, firmware under QEMU and RTL in simulation all look like this.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, TypeAlias

import numpy as np

from profiles.measurement import Metric

Array: TypeAlias = "np.ndarray[Any, Any]"  # in quotes: JetPack 6 has numpy 1.21, whose types take no brackets
Arrays = Mapping[str, Array]


@dataclasses.dataclass(frozen=True)
class LayerCounters:
    """What the engine says of one layer: ``metrics`` holds for example ``latency_p50``."""

    name: str
    op: str
    metrics: Mapping[str, Metric]
    precision: str = ""


@dataclasses.dataclass(frozen=True)
class BatchPoint:
    """Figures of one batch size: ``latency_p50`` of the whole batch, ``throughput`` in samples."""

    batch: int
    metrics: Mapping[str, Metric]


@dataclasses.dataclass(frozen=True)
class Counters:
    """What the engine says of itself beyond its outputs.

    Attributes:
        metrics: figures that only the engine knows (arena, instructions, cycles).
        layers: per layer, in order of execution; empty when the engine does not tell.
        executed: number of compute layers by the precision that really ran,
            such as ``{"int8": 9, "fp32": 1}``.
        facts: versions, threads and switches in words.
        batches: figures by batch size, where the bundle has engines for several.
        files: texts that lie beside ``profile.json``, by name; only names in ``targets.artifact.BESIDE``.
    """

    metrics: Mapping[str, Metric] = dataclasses.field(default_factory=dict)
    layers: tuple[LayerCounters, ...] = ()
    executed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    batches: tuple[BatchPoint, ...] = ()
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Runner(Protocol):
    """A loaded model, ready to run. Entering loads it, leaving releases it.

    Attributes:
        timed: whether this machine's clock tells how long an inference takes. Where it does not (an emulator, a board
            behind a cable), all figures come from :meth:`counters`.
    """

    timed: bool

    def __enter__(self) -> Runner: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """One inference. Keys are the artifact's input and output names, arrays are in its layout and dtype."""
        ...

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """Place the inputs where the engine reads them, and return one inference without any copy.

        This is what vendors' own benchmark programs time.
        """
        ...

    def counters(self) -> Counters:
        """What the engine says of itself; may load the model once more, with the engine's own profiler on.

        To be called last: what ``bind`` returned must no longer be used, because the first load may be released.
        """
        ...
