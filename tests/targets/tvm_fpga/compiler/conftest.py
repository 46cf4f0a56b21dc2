"""Simulators of small arrays, shared by all test processes; without g++ or Verilator, tests that need them say so."""

import os

import pytest

from profiles.errors import MissingToolError
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.rtl.build import simulator
from tests.targets.tvm_fpga.rtl.bench import cache

#: Memories so small that everything has to be cut into parts.
SMALL = Geometry(lanes=4, activations=256, weights=256, parameters=16, accumulators=16, line=16, raw=128)
USUAL = Geometry(lanes=8)


def _open(geometry):
    try:
        return simulator(geometry, cache())
    except MissingToolError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{error.seen}; {error.next_step}")


@pytest.fixture(scope="session")
def small_array():
    """Its geometry and simulator."""
    with _open(SMALL) as opened:
        yield SMALL, opened


@pytest.fixture(scope="session")
def usual_array():
    """Its geometry and simulator."""
    with _open(USUAL) as opened:
        yield USUAL, opened
