"""Cycles and energy from counts."""

import dataclasses

import pytest
from stub_build import DEVICES

from profiles.device import load_device
from profiles.measurement import Kind
from targets.tflite_micro.emulate import estimate
from targets.tflite_micro.emulate.counts import Counts, Tally

M4 = load_device("cortex-m4-an386")


def changed(device, **parameters):
    return dataclasses.replace(device, parameters={**device.parameters, **parameters})


def test_the_manuals_own_examples():
    """Arm's Cortex-M4 manual, section 3.3.2: LDR LDR takes three cycles, LDR STR three, LDR LDR LDR four."""
    assert estimate.cycles(M4, Tally({"load": 2, "paired": 1})).value == 3
    assert estimate.cycles(M4, Tally({"load": 1, "store": 1})).value == 3
    assert estimate.cycles(M4, Tally({"load": 3, "paired": 2})).value == 4


def test_pushes_branches_and_multiplications():
    assert estimate.cycles(M4, Tally({"multiple": 1, "words": 5})).value == 6, "1 + N"
    assert estimate.cycles(M4, Tally({"branch": 10, "taken": 9})).value == 10 + 9 * 2
    assert estimate.cycles(M4, Tally({"mul": 7, "alu": 3})).value == 10


def test_a_vector_instruction_takes_two_cycles_on_a_core_that_works_at_two_beats():
    assert (
        estimate.cycles(load_device("cortex-m55-an547"), Tally({"mve": 10, "mve_load": 5, "alu": 2, "loop": 3})).value
        == 32
    )


@pytest.mark.parametrize("name", DEVICES)
def test_estimates_are_marked_and_name_their_source(name):
    device = load_device(name)
    metric = estimate.cycles(device, Tally({"alu": 5}))
    assert (metric.kind, metric.unit) == (Kind.ESTIMATED, "1")
    assert f"Cortex-M{name[8 : name.index('-an')]}" in metric.method, metric.method


@pytest.mark.parametrize("name", DEVICES)
def test_no_estimate_leaves_out_what_the_core_can_execute(name):
    classes = ["alu", "mul", "mul_long", "div", "load", "store", "multiple", "words", "paired", "branch", "taken"]
    classes += ["fp", "fp_div"] if name != "cortex-m3-an385" else []
    classes += ["mve", "mve_load", "mve_store", "loop"] if name == "cortex-m55-an547" else []
    assert estimate.cycles(load_device(name), Tally(dict.fromkeys(classes, 1))).available


def test_what_cannot_be_estimated_says_why():
    said = [
        estimate.cycles(changed(M4, cycles={}), Tally({"alu": 1})).reason,
        estimate.cycles(M4, Tally({"any": 100})).reason,
        estimate.cycles(M4, Tally({"alu": 1, "mve": 1})).reason,
    ]
    assert "no cycles per class" in said[0]
    assert "no C compiler" in said[1]
    assert said[2] == "the profile of cortex-m4-an386 has no cycles for mve"


def test_energy_is_current_times_voltage_times_cycles():
    device = changed(M4, energy={"microamps_per_mhz": 100, "volts": 3.0})
    metric = estimate.energy(device, estimate.cycles(device, Tally({"alu": 1_000_000})))
    assert metric.value == pytest.approx(3e-4), "100 uA/MHz are 100 pC a cycle"
    assert metric.kind is Kind.ESTIMATED
    assert (
        estimate.energy(M4, estimate.cycles(M4, Tally({"alu": 1}))).reason
        == "the profile of cortex-m4-an386 has no run current"
    )


def test_all_metrics_of_a_run():
    counts = Counts(Tally({"alu": 60}), Tally({"alu": 17}), Tally({"alu": 1000, "words": 5}), (), "counted somehow")
    metrics = estimate.metrics(M4, counts)
    assert {name: metric.value for name, metric in metrics.items()} == {
        "instructions": 1000, "instructions_mve": 0, "cycles": 1005, "energy": None, "init_instructions": 77,
    }  # fmt: skip
    assert metrics["instructions"].kind is Kind.SIMULATED
    assert metrics["instructions"].method == "counted somehow"
    coarse = estimate.metrics(M4, Counts(None, Tally({"any": 80}), Tally({"any": 1000}), (), "ticks"))
    assert {name for name, metric in coarse.items() if metric.available} == {"instructions", "init_instructions"}
