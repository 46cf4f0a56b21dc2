"""Resident memory of this process, from /proc (proc(5), section /proc/pid/status)."""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def resident_bytes(field: str = "VmRSS") -> int | None:
    """``VmRSS`` (now) or ``VmHWM`` (peak) in bytes; None where the kernel does not tell."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None


def reset_peak() -> bool:
    """Make the current resident size the new peak; False where that is not permitted."""
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return True
