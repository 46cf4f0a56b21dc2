"""The structures of ``kernels/rtl/sim/ew_sim.cpp`` in ctypes."""

from __future__ import annotations

import ctypes
from pathlib import Path

from profiles.errors import VerificationError

#: Of the structures below; ``ew_version`` says the same.
VERSION = 3
#: Queues in the order of their numbers.
QUEUES = ("load", "store", "compute")


class CMemory(ctypes.Structure):
    """``ew_memory``."""

    _fields_ = [
        ("bytes", ctypes.c_void_p),
        *((name, ctypes.c_uint32) for name in ("size", "latency", "stalls", "seed", "port")),
    ]


class CResult(ctypes.Structure):
    """``ew_result``."""

    _fields_ = [
        ("cycles", ctypes.c_uint64),
        ("done", ctypes.c_uint32),
        ("fault", ctypes.c_uint32),
        ("faults", ctypes.c_uint32),
        ("busy", ctypes.c_uint64 * 3),
        ("stalled", ctypes.c_uint64),
        ("read_beats", ctypes.c_uint64),
        ("written_beats", ctypes.c_uint64),
        ("retired", ctypes.c_uint32 * 3),
        ("running", ctypes.c_uint32 * 3),
        ("open_reads", ctypes.c_uint32),
        ("open_writes", ctypes.c_uint32),
        ("events", ctypes.c_uint32),
        ("windows", ctypes.c_uint32),
        ("window", ctypes.c_uint32),
    ]


class CEvent(ctypes.Structure):
    """``ew_event``."""

    _fields_ = [
        ("queue", ctypes.c_uint16),
        ("ends", ctypes.c_uint16),
        ("cycle", ctypes.c_uint64),
    ]


class CWindow(ctypes.Structure):
    """``ew_window``."""

    _fields_ = [(name, ctypes.c_uint32) for name in ("read_beats", "written_beats", "stalled", "idle")]


def load(path: Path) -> ctypes.CDLL:
    """A built simulator with its functions declared.

    Raises:
        VerificationError: it was built from another version of the harness.
    """
    lib = ctypes.CDLL(str(path))
    version = lib.ew_version() if hasattr(lib, "ew_version") else 1
    if version != VERSION:
        raise VerificationError(
            f"the simulator {path.name} is of another version",
            seen=str(version),
            allowed=str(VERSION),
            next_step="build it again",
        )
    lib.ew_open.restype = ctypes.c_void_p
    lib.ew_close.argtypes = [ctypes.c_void_p]
    lib.ew_run.argtypes = [
        ctypes.c_void_p,
        ctypes.POINTER(CMemory),
        ctypes.c_uint32,
        ctypes.c_uint64,
        ctypes.c_uint64,
        ctypes.POINTER(CResult),
        ctypes.POINTER(CEvent),
        ctypes.c_uint32,
        ctypes.POINTER(CWindow),
        ctypes.c_uint32,
    ]
    return lib
