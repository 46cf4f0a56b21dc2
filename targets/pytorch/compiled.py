"""What ``torch.compile`` makes of a program: one figure, and the reason where there is none. Travels to the device.

The default backend (inductor) writes C++ or Triton kernels and compiles them, which takes from ten seconds to minutes
and needs a compiler on the device. So it is tried only when asked for, within a time limit, and leaves no files behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import torch

from profiles.measurement import Kind, Metric, percentile, unavailable
from profiles.sampling import Settings, sample

NAME = "latency_compiled_p50"
#: Seconds until a compilation is given up.
LIMIT = 60.0
_SETTINGS = Settings(min_runs=30, seconds=0.5, max_seconds=20.0)
#: How far outputs may be from those of the eager program, as a share of their largest magnitude.
_SHARE = {torch.float32: 1e-3, torch.float64: 1e-3}
_SHARE_16 = 5e-2


def compiled_latency(
    module: Any, tensors: Sequence[Any], finish: Callable[[], object], *, limit: float = LIMIT, dtype: Any = None
) -> Metric:
    """Median host time of one inference of the compiled program, or why there is none.

    Args:
        module: of :func:`targets.pytorch.program.load_program`.
        tensors: the inputs, where the program is.
        finish: waits until the device has done everything.
        limit: seconds for compiling.
        dtype: of the arithmetic, for the tolerance; None for float32.
    """
    expected = module.forward(*tensors)
    with tempfile.TemporaryDirectory() as folder, _apart(folder):
        try:
            with _at_most(limit):
                call = torch.compile(module, dynamic=False, fullgraph=True)
                outputs = call(*tensors)
        except _Late:
            return unavailable(NAME, f"torch.compile did not finish within {limit:g} s")
        except Exception as error:  # whatever the compiler raises is what it has to say
            return unavailable(NAME, f"torch.compile failed: {_first_line(error)}")
        if not _agrees(expected, outputs, _SHARE.get(dtype or torch.float32, _SHARE_16)):
            return unavailable(NAME, "the compiled program computes something else than the eager one")
        return _timed(lambda: (call(*tensors), finish()))


def _timed(call: Callable[[], object]) -> Metric:
    samples = sample(call, _SETTINGS)
    how = f"wall clock around one inference after torch.compile, inputs in place, {len(samples.wall)} runs"
    return Metric(percentile(sorted(samples.wall), 50), "s", Kind.MEASURED, how, samples=samples.wall)


def _agrees(expected: Sequence[Any], seen: Sequence[Any], share: float) -> bool:
    pairs = zip(expected, seen, strict=True)
    return all(
        float((a.double() - b.double()).abs().max()) <= share * float(a.double().abs().max()) + 1e-5
        for a, b in pairs
        if a.numel()
    )


def _first_line(error: Exception) -> str:
    """The line that says what happened: wrappers put the error's own words below a line of theirs."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


class _Late(BaseException):
    """Time is up. Not an Exception, so that the compiler's own handlers let it through."""


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise :class:`_Late` when the block takes longer; outside of the main thread there is no limit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _apart(folder: str) -> Iterator[None]:
    """Compile in this process, with all files below ``folder``; afterwards everything is as it was."""
    from torch._inductor import config

    wanted = {"compile_threads": 1, "cpp_cache_precompile_headers": False}
    places = {name: os.environ.get(name) for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")}
    os.environ.update(dict.fromkeys(places, folder))
    try:
        with config.patch({name: value for name, value in wanted.items() if hasattr(config, name)}):
            yield
    finally:
        torch._dynamo.reset()
        for name, value in places.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
