"""The timing loop: warm up until stable, then keep every raw sample.

After Kalibera & Jones 2013 ("Rigorous benchmarking in reasonable time") and pyperf: raw values are
kept, warm-up ends when consecutive blocks agree, and a run that never settles says so.
"""

from __future__ import annotations

import dataclasses
import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from profiles.errors import ConfigError

Call = Callable[[], object]

_BLOCK_SECONDS = 0.02
_PROGRESS_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class Settings:
    """How long to measure.

    Attributes:
        runs: exactly this many timed inferences; None to go by time.
        min_runs, seconds: without ``runs``: at least that many, and for at least that long.
        max_seconds: a hard end, whatever the counts say.
        warmup_seconds, max_warmup_seconds: at least, and at most.
        tolerance: warm-up is over when three block medians in a row agree within this fraction.

    Raises:
        ConfigError: a count below 1, or a time or tolerance that is negative or not finite.
    """

    runs: int | None = None
    min_runs: int = 100
    seconds: float = 1.0
    max_seconds: float = 60.0
    warmup_seconds: float = 0.2
    max_warmup_seconds: float = 3.0
    tolerance: float = 0.03

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            least = 1 if name in ("runs", "min_runs") else 0
            if value is not None and not (math.isfinite(value) and value >= least):
                raise ConfigError(f"wanted '{name}' of a measurement", seen=f"{value:g}", allowed=f"{least} or more")

    def as_dict(self) -> dict[str, float | int | None]:
        """Plain data."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Samples:
    """Raw timings in seconds.

    Attributes:
        wall: one value per inference.
        cpu: CPU time of the whole process (all threads) per inference, one value per block of
            inferences, so that reading the CPU clock does not disturb the wall clock.
        warmup_runs, settled: how many inferences warm-up took, and whether it settled.
        complete: False when ``max_seconds`` cut the run short.
    """

    wall: tuple[float, ...]
    cpu: tuple[float, ...]
    warmup_runs: int
    settled: bool
    complete: bool


def sample(call: Call, settings: Settings, progress: Callable[[int, int], None] = lambda done, total: None) -> Samples:
    """Time ``call``; ``progress(done, total)`` is called between blocks only: ten times a second, and at the end."""
    with _no_garbage_collection():
        warm = _warm_up(call, settings)
        block = _count_for(_BLOCK_SECONDS, warm.median, 50)
        wall: list[float] = []
        cpu: list[float] = []
        start = spoke = time.perf_counter()
        elapsed = 0.0
        while not _enough(len(wall), elapsed, settings) and elapsed <= settings.max_seconds:
            count = block if settings.runs is None else min(block, settings.runs - len(wall))
            walls, cpu_each = _block(call, count)
            wall += walls
            cpu.append(cpu_each)
            elapsed = time.perf_counter() - start
            if start + elapsed - spoke >= _PROGRESS_SECONDS:
                spoke = start + elapsed
                progress(*_position(len(wall), elapsed, settings))
        progress(*_position(len(wall), elapsed, settings))
        complete = _enough(len(wall), elapsed, settings)
    return Samples(tuple(wall), tuple(cpu), warm.runs, warm.settled, complete)


def _block(call: Call, count: int) -> tuple[list[float], float]:
    """Wall seconds of each of ``count`` calls, and CPU seconds per call."""
    clock = time.perf_counter_ns
    nanoseconds = [0] * count
    cpu_start = time.process_time_ns()
    for i in range(count):
        start = clock()
        call()
        nanoseconds[i] = clock() - start
    cpu = time.process_time_ns() - cpu_start
    return [n * 1e-9 for n in nanoseconds], cpu * 1e-9 / count


@dataclasses.dataclass(frozen=True)
class _Warm:
    runs: int
    settled: bool
    median: float


def _warm_up(call: Call, settings: Settings) -> _Warm:
    """Run blocks of about a quarter of the warm-up time until three medians in a row agree.

    The first call says nothing of the later ones (it allocates, compiles, loads): it stands alone, and
    each further block is sized by the one before. When time runs out, two medians must do.
    """
    medians: list[float] = []
    count, done = 1, 0
    start = time.perf_counter()
    while True:
        walls, _ = _block(call, count)
        done += count
        medians.append(statistics.median(walls))
        elapsed = time.perf_counter() - start
        over = elapsed >= settings.max_warmup_seconds
        settled = _agree(medians[1:][-3:], 2 if over else 3, settings.tolerance)
        if over or (settled and elapsed >= settings.warmup_seconds):
            return _Warm(done, settled, medians[-1])
        count = _count_for(settings.warmup_seconds / 4, medians[-1], 200)


def _agree(medians: list[float], least: int, tolerance: float) -> bool:
    return len(medians) >= least and max(medians) - min(medians) <= tolerance * min(medians)


def _count_for(seconds: float, each: float, most: int) -> int:
    """How many calls of ``each`` seconds fill the time: at least 1, at most ``most``."""
    return max(1, min(most, int(seconds / each))) if each > 0 else most


def _enough(done: int, elapsed: float, settings: Settings) -> bool:
    if settings.runs is not None:
        return done >= settings.runs
    return done >= settings.min_runs and elapsed >= settings.seconds


def _position(done: int, elapsed: float, settings: Settings) -> tuple[int, int]:
    """Progress in thousandths of the work that is still certain."""
    if settings.runs is not None:
        return done, settings.runs
    share = min(done / settings.min_runs, elapsed / settings.seconds if settings.seconds else 1.0, 1.0)
    return int(share * 1000), 1000


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def instability(samples: Samples, blocks: int = 10, limit: float = 0.10) -> list[str]:
    """Sentences on why the samples are not to be trusted; empty for a stable run."""
    found = [] if samples.settled else ["warm-up did not settle: latency was still changing"]
    if not samples.complete:
        found.append("the time limit ended the run before the planned number of inferences")
    size = len(samples.wall) // blocks
    if size >= 3:
        medians = [statistics.median(samples.wall[i * size : (i + 1) * size]) for i in range(blocks)]
        spread = (max(medians) - min(medians)) / statistics.median(samples.wall)
        if spread > limit:
            found.append(f"the median drifted by {spread:.0%} during the run (limit {limit:.0%})")
    return found
