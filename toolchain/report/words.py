"""Figures and kinds in words: names, badges, and numbers that line up in a column."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

from profiles.measurement import METRIC_UNITS, Kind, Metric
from profiles.units import format_quantity


@dataclasses.dataclass(frozen=True)
class KindWords:
    """How a kind is shown: ``letter`` is the shortest beginning that no other kind shares."""

    key: str
    letter: str
    title: str
    meaning: str


#: In the order of trust, which is also the order of panels and of sorting.
KINDS: dict[Kind, KindWords] = {
    Kind.MEASURED: KindWords("measured", "M", "measured", "run on the device itself"),
    Kind.STAND_IN: KindWords("stand-in", "St", "stand-in", "run for real, but on another machine than the device"),
    Kind.SIMULATED: KindWords("simulated", "Si", "simulated", "executed by a simulator or an emulator of the device"),
    Kind.ESTIMATED: KindWords("estimated", "E", "estimated", "computed from a formula whose source is named"),
    Kind.UNAVAILABLE: KindWords("unavailable", "U", "unavailable", "could not be obtained, and why"),
}

TITLES = {
    "accuracy": "accuracy",
    "accuracy_drop": "accuracy drop",
    "latency_p50": "latency p50",
    "latency_p90": "latency p90",
    "latency_p99": "latency p99",
    "latency_events_p50": "latency p50 by CUDA events",
    "latency_transfers_p50": "latency p50 with copies",
    "latency_graph_p50": "latency p50 as a CUDA graph",
    "latency_compiled_p50": "latency p50 by torch.compile",
    "cpu_time_p50": "CPU time p50",
    "peak_memory": "peak memory",
    "model_size": "model size",
    "ram": "RAM",
    "gpu_memory": "GPU memory",
    "instructions_mve": "MVE instructions",
    "dram_bytes": "DRAM traffic",
    "init_instructions": "instructions to initialise",
    "parity_max_error": "largest parity error",
    "sqnr": "SQNR",
    "params": "parameters",
    "macs": "multiply-accumulates",
    "cycles_compute": "cycles computing",
    "cycles_load": "cycles waiting for loads",
    "cycles_store": "cycles waiting for stores",
    "cycles_stall": "cycles of the pipeline itself",
    "bytes_program": "bytes of instructions",
    "peak_macs": "products per cycle at most",
    "peak_bytes": "bytes over the port per cycle",
    "luts": "LUTs",
    "flip_flops": "flip-flops",
    "multipliers": "hardware multipliers",
    "block_rams": "block RAMs",
    "device_share": "share of the scarcest resource",
    "fmax": "largest clock of the fabric",
}
SHARES = frozenset({"accuracy", "utilization", "device_share"})  # fractions that people read in percent
POINTS = frozenset({"accuracy_drop"})  # differences of such fractions

_PREFIXES: dict[str, tuple[tuple[float, str], ...]] = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
    "J": ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ")),
    "W": ((1.0, "W"), (1e-3, "mW"), (1e-6, "µW")),
    "B": ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")),
    "Hz": ((1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz"), (1.0, "Hz")),
    "1": ((1e9, "G"), (1e6, "M"), (1.0, "")),
}


def title_of(name: str) -> str:
    """A metric's name for people."""
    return TITLES.get(name, name.replace("_", " "))


@dataclasses.dataclass(frozen=True)
class Scale:
    """One unit for a whole column or axis: shown number = value / factor."""

    factor: float
    unit: str
    decimals: int

    def number(self, value: float) -> str:
        """The number alone, with a real minus sign and no negative zero."""
        text = f"{value / self.factor:,.{self.decimals}f}"
        return text.lstrip("-") if float(text.replace(",", "")) == 0 else text.replace("-", "−")

    def text(self, value: float) -> str:
        """Number and unit."""
        return f"{self.number(value)} {self.unit}".strip()


def scale_for(name: str, values: Iterable[float], digits: int = 3) -> Scale:
    """The prefix of the median value, and decimals so that the smallest keeps ``digits`` digits (3 at most).

    Without any value there is no unit; "pp" are percentage points.
    """
    if name in SHARES:
        return Scale(0.01, "%", 2)
    if name in POINTS:
        return Scale(0.01, "pp", 2)
    sizes = sorted(abs(v) for v in values if v)
    unit = METRIC_UNITS.get(name, name)
    prefixes = _PREFIXES.get(unit, ((1.0, "/s" if unit == "1/s" else unit),))
    if not sizes:
        return Scale(1.0, "", 0)
    middle = sizes[len(sizes) // 2]
    factor, suffix = next((p for p in prefixes if middle >= p[0]), prefixes[-1])
    whole = unit in ("B", "1") and factor == 1.0 and all(v.is_integer() for v in sizes)
    decimals = 0 if whole else max(0, min(digits - 1 - math.floor(math.log10(sizes[0] / factor)), 3))
    return Scale(factor, suffix, decimals)


def show(name: str, value: float) -> str:
    """One figure on its own, number and unit."""
    if name in SHARES | POINTS:
        return scale_for(name, ()).text(value).replace("pp", "points")
    unit = METRIC_UNITS.get(name, "1")
    if unit == "1/s":
        return f"{format_quantity(value, '1')} /s"
    if unit == "1" and abs(value) >= 1e6:
        return scale_for(name, [value]).text(value)
    return format_quantity(value, unit).replace("-", "−")


def spread_of(name: str, metric: Metric) -> str:
    """The standard uncertainty in the figure's own unit, or an empty string."""
    unit = "accuracy_drop" if name in SHARES else name
    return f"± {show(unit, metric.uncertainty)}" if metric.uncertainty else ""


def explain(metric: Metric) -> str:
    """The sentence behind a badge: the kind, and the method or the reason."""
    words = KINDS[metric.kind]
    return (
        f"{words.title.capitalize()}: {metric.reason or words.meaning}"
        if not metric.available
        else (f"{words.title.capitalize()}: {metric.method}")
    )


def count(number: int, noun: str) -> str:
    """``1 bundle``, ``2 bundles``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listing(words: Sequence[str], conjunction: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {conjunction} {words[-1]}"
