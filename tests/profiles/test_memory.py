"""Resident memory against the kernel's other word on it."""

import mmap
import subprocess
import sys

import numpy as np
import pytest

from profiles import memory
from profiles.memory import reset_peak, resident_bytes

MIB = 2**20


def test_resident_size_agrees_with_statm():
    """/proc/self/statm counts pages (proc(5)); both are read within a moment of each other."""
    with open("/proc/self/statm") as stream:
        pages = int(stream.read().split()[1])
    assert abs(resident_bytes() - pages * mmap.PAGESIZE) < 8 * MIB


def test_peak_is_what_a_process_once_had():
    """In a fresh process, which takes 512 MiB and gives them back; getrusage(2), which inherits, only bounds it."""
    code = (
        "import resource; from profiles.memory import resident_bytes\n"
        "before = resident_bytes()\n"
        "block = bytearray(b'x') * (512 * 2**20); del block\n"
        "limit = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "print(before, resident_bytes('VmHWM'), limit)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, peak, limit = map(int, done.stdout.split())
    assert abs(peak - before - 512 * MIB) < 8 * MIB, "the peak is the block above what was there before"
    assert peak <= limit + 8 * MIB


def test_touched_memory_shows_and_the_peak_stays():
    before = resident_bytes()
    block = np.ones(64 * MIB, np.uint8)
    assert resident_bytes() - before > 56 * MIB
    del block
    assert resident_bytes("VmHWM") - before > 56 * MIB, "the peak outlives the memory"
    assert resident_bytes("VmHWM") >= resident_bytes()


def test_the_peak_can_be_reset():
    block = np.ones(64 * MIB, np.uint8)
    del block
    if not reset_peak():
        pytest.skip("this kernel does not permit writing /proc/self/clear_refs")
    assert resident_bytes("VmHWM") - resident_bytes() < 16 * MIB


def test_unknown_is_none_not_zero(tmp_path, monkeypatch):
    assert resident_bytes("VmNothing") is None
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "absent")
    monkeypatch.setattr(memory, "_CLEAR_REFS", tmp_path / "absent" / "absent")
    assert resident_bytes() is None
    assert reset_peak() is False


def test_kernel_text_is_read_in_kib(tmp_path, monkeypatch):
    status = tmp_path / "status"
    status.write_text("Name:\tx\nVmPeak:\t  999 kB\nVmHWM:\t   4096 kB\nVmRSS:\t    12 kB\n")
    monkeypatch.setattr(memory, "_STATUS", status)
    assert (resident_bytes(), resident_bytes("VmHWM")) == (12 * 1024, 4096 * 1024)
