"""Our memcpy, memmove and memset, on emulated cores with vectors and without."""

import functools
import struct
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from stub_build import built

from profiles.device import load_device
from targets.tflite_micro.emulate.session import emulate

SIZE = 256
PROBE = Path(__file__).with_name("libc") / "probe.c"
COPY, MOVE, SET = range(3)
START = bytes(range(SIZE))


@pytest.fixture(scope="module", params=["cortex-m3-an385", "cortex-m55-an547"])
def call(request):
    """Runs one function on the core; returns the whole buffer."""
    firmware = built(request.param, PROBE, (f"STUB_BYTES={SIZE}",))
    with emulate(firmware, load_device(request.param), icount=False) as session:
        yield functools.partial(_call, session)


def _call(session, what, to, source, count):
    outputs = session.run([START, struct.pack("<4I", what, to, source, count)]).outputs
    assert outputs[1] == b"\1\0\0\0", "they return where they wrote"
    return outputs[0]


@settings(max_examples=150)
@given(st.data())
def test_copies_and_moves(call, data):
    count = data.draw(st.integers(0, SIZE // 2 - 8), "bytes")
    to, source = (data.draw(st.integers(0, SIZE - count), name) for name in ("to", "from"))
    apart = to + count <= source or source + count <= to
    what = data.draw(st.sampled_from([COPY, MOVE] if apart else [MOVE]), "function")
    wanted = bytearray(START)
    wanted[to : to + count] = START[source : source + count]
    assert call(what, to, source, count) == bytes(wanted)


@pytest.mark.parametrize("distance", [1, 2, 3, 4, 5, 8, 15, 16, 17])
def test_moves_by_little(call, distance):
    for to, source in ((20, 20 + distance), (20 + distance, 20)):
        for count in (15, 16, 17, 100):
            wanted = bytearray(START)
            wanted[to : to + count] = START[source : source + count]
            assert call(MOVE, to, source, count) == bytes(wanted), f"{count} bytes from {source} to {to}"


@settings(max_examples=60)
@given(st.integers(0, SIZE), st.integers(0, SIZE), st.integers(0, 1000))
def test_sets(call, to, end, value):
    to, end = sorted((to, end))
    wanted = bytearray(START)
    wanted[to:end] = bytes([value & 255]) * (end - to)
    assert call(SET, to, value, end - to) == bytes(wanted)
