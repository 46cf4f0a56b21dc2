"""Where the cycles of an accelerator go: layer by layer, by cause, and against what the array and its port could do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from profiles.measurement import Kind, Metric
from toolchain.report.entries import Build, Entry
from toolchain.report.words import KINDS, KindWords, listing, show

#: Cause to its words; the order is that of the pictures.
CAUSES = {
    "compute": "computing", "load": "waiting for loads", "store": "waiting for stores", "stall": "filling the pipeline",
}  # fmt: skip
#: What a bundle must tell to be shown.
NEEDED = ("cycles", "utilization", "peak_macs", "peak_bytes", "dram_bytes")


@dataclasses.dataclass(frozen=True)
class Work:
    """A layer, or a whole network.

    Attributes:
        number: 1 for the first layer; 0 for the whole.
        name, op: of the layer.
        macs: products with their sums.
        cycles: all that it took, of these ``causes`` by name.
        loaded, stored: bytes over the memory port.
        moved: both, and for the whole network also the program.
    """

    number: int
    name: str
    op: str
    macs: float
    cycles: float
    causes: Mapping[str, float]
    loaded: float
    stored: float
    moved: float

    @property
    def rate(self) -> float:
        """MACs per cycle."""
        return self.macs / self.cycles if self.cycles else 0.0

    @property
    def intensity(self) -> float | None:
        """MACs per byte over the port; None where nothing is moved."""
        return self.macs / self.moved if self.moved else None


@dataclasses.dataclass(frozen=True)
class Machine:
    """What the array and the port can do in a cycle: MACs, bytes."""

    macs: float
    bytes: float

    @property
    def knee(self) -> float:
        """MACs per byte from which on the array is the limit, and no longer the port."""
        return self.macs / self.bytes

    def roof(self, intensity: float) -> float:
        """MACs per cycle at most (Williams, Waterman and Patterson, "Roofline", CACM 52(4), 2009)."""
        return min(self.macs, self.bytes * intensity)


@dataclasses.dataclass(frozen=True)
class Cycles:
    """Of one bundle: its layers in order, and all together."""

    entry: Entry
    kind: KindWords
    machine: Machine
    layers: tuple[Work, ...]
    whole: Work

    @property
    def drawn(self) -> tuple[Work, ...]:
        """Layers with a place in the plane of the roofline, which is logarithmic."""
        return tuple(each for each in self.layers if each.rate and each.intensity)


def cycles(entry: Entry) -> Cycles | None:
    """What a bundle tells of its cycles; None where it does not tell all that is needed."""
    if any(entry.value(name) is None for name in NEEDED):
        return None
    layers = tuple(_layers(entry))
    if not layers:
        return None
    machine = Machine(entry.value("peak_macs") or 0.0, entry.value("peak_bytes") or 0.0)
    possible = machine.macs * (entry.value("cycles") or 0.0)
    whole = _work(0, "all layers", "", entry.metrics, round((entry.value("utilization") or 0.0) * possible))
    return Cycles(entry, KINDS[entry.metrics["cycles"].kind], machine, layers, whole)


def all_cycles(build: Build) -> list[Cycles]:
    """Of every bundle that tells."""
    return [found for entry in build.entries if (found := cycles(entry))]


def _layers(entry: Entry) -> Iterator[Work]:
    rows = [layer for layer in entry.layers if layer.metrics.keys() >= {"cycles", "macs", "dram_bytes"}]
    for number, layer in enumerate(rows, 1):
        yield _work(number, layer.name, layer.op, layer.metrics, _value(layer.metrics, "macs"))


def _work(number: int, name: str, op: str, metrics: Mapping[str, Metric], macs: float) -> Work:
    figures = ("cycles", "bytes_loaded", "bytes_stored", "dram_bytes")
    took, loaded, stored, moved = (_value(metrics, each) for each in figures)
    causes = {cause: _value(metrics, f"cycles_{cause}") for cause in CAUSES}
    return Work(number, name, op, macs, took, causes, loaded, stored, moved)


def _value(metrics: Mapping[str, Metric], name: str) -> float:
    found = metrics.get(name)
    return found.value or 0.0 if found else 0.0


def sentence(found: Cycles) -> str:
    """``51,179 cycles, 512 µs (estimated): 98.5 % computing, 0.9 % waiting for loads.``"""
    latency = found.entry.metric("latency_p50")
    time = ""
    if latency is not None and latency.value is not None:
        kind = "" if latency.kind is Kind.MEASURED else f" ({KINDS[latency.kind].title})"
        time = f", {show('latency_p50', latency.value)}{kind}"
    total = found.whole.cycles or 1.0
    shares = [(found.whole.causes[cause] / total, words) for cause, words in CAUSES.items()]
    told = listing([f"{100 * share:.1f} % {words}" for share, words in shares if share >= 5e-4])
    return f"{found.whole.cycles:,.0f} cycles{time}{f': {told}' if told else ''}."
