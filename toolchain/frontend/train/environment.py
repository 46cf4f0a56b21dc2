"""The state of torch that a run depends on: threads, random numbers, determinism, precision."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: x86 flags of /proc/cpuinfo that mean bfloat16 matrix arithmetic in hardware.
BF16_FLAGS = ("avx512_bf16", "amx_bf16")


@functools.cache
def cpu_has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU computes in bfloat16 itself; False where the file does not exist or tell."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    lines = [line for line in text.splitlines() if line.startswith("flags")]
    return bool(lines) and any(flag in lines[0].split() for flag in BF16_FLAGS)


def resolve_precision(precision: str, device: str = "cpu") -> str:
    """``auto`` as ``bf16`` or ``fp32`` of this machine; anything else as it is. Accelerators train in bf16."""
    if precision != "auto":
        return precision
    return "bf16" if device != "cpu" or cpu_has_bf16() else "fp32"


@contextmanager
def bounded_threads(threads: int) -> Iterator[None]:
    """Torch with at most ``threads`` threads (0: all cores); the old number comes back."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def deterministic(device: str = "cpu") -> Iterator[None]:
    """Deterministic algorithms where torch has them, and a random state of its own; both come back."""
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    if device != "cpu":  # as its documentation asks, before cuBLAS is first used
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        with own_random(device):
            yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)


@contextmanager
def own_random(device: str) -> Iterator[None]:
    """What is drawn inside, on the processor and on ``device``, changes nothing that is drawn afterwards."""
    import torch

    kind = torch.device(device).type
    forked = [] if kind == "cpu" else [device]
    with torch.random.fork_rng(devices=forked, device_type="cuda" if kind == "cpu" else kind):
        yield


@contextmanager
def at_home(*modules: Any) -> Iterator[None]:
    """Each module goes back to the device where it was, whatever happens; one without tensors has none."""
    homes = [next((v.device for part in (m.parameters(), m.buffers()) for v in part), None) for m in modules]
    try:
        yield
    finally:
        for module, home in zip(modules, homes, strict=True):
            if home is not None:
                module.to(home)
