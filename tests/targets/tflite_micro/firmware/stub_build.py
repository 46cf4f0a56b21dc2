"""Firmware around the stub model, built once per device; it computes output = input + 1."""

import functools
import os
import tempfile
from pathlib import Path

from profiles.device import load_device
from targets.tflite_micro.firmware.build import link

STUB = Path(__file__).with_name("stub")
DEVICES = ("cortex-m3-an385", "cortex-m4-an386", "cortex-m7-an500", "cortex-m33-an505", "cortex-m55-an547")
BYTES = 3072
#: What input 1 asks the stub for, see stub.c.
NOTHING, READ_NOWHERE, DIVIDE_BY_ZERO, JUMP_NOWHERE, HANG, DEEP, UNDEFINED = range(7)
_SCRATCH = tempfile.TemporaryDirectory(prefix="edgewright-stub-")


@functools.cache
def built(name, source=STUB / "stub.c", defines=(), stack=2048):
    """The firmware for a device, in a folder that lasts as long as the tests."""
    out = Path(tempfile.mkdtemp(dir=_SCRATCH.name))
    folders = [source.parent, *([STUB] if source.parent != STUB else [])]
    return link([source], folders, load_device(name), out, defines=defines, stack=stack, cache=Path(_SCRATCH.name))


def inputs(what=NOTHING, amount=0, size=BYTES):
    """Random bytes, and what the stub does besides."""
    return [os.urandom(size), (what | amount << 8).to_bytes(4, "little")]


def plus_one(data):
    return bytes((byte + 1) & 255 for byte in data)
