"""The simulator of one array, built once."""

from __future__ import annotations

from pathlib import Path

from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.rtl.simulate import Simulator
from targets.tvm_fpga.rtl.sources import SIM, parameters
from targets.tvm_fpga.rtl.verilate import Plan, library


def plan(geometry: Geometry) -> Plan:
    """What a simulator is built from."""
    return Plan("ew_core", parameters(geometry), (SIM / "ew_sim.cpp").read_text())


def simulator(geometry: Geometry, cache: Path | None = None) -> Simulator:
    """The accelerator in simulation, a context manager. The first call for an array takes some ten seconds.

    Args:
        geometry: of the array.
        cache: folder for built simulators; by default ``rtl`` in Edgewright's cache.

    Raises:
        MissingToolError: no Verilator, or no g++.
        ToolCrashError: one of them refused; its words are in the message.
        OutputError: the cache cannot be written.
    """
    return Simulator(library(plan(geometry), cache), geometry.port)
