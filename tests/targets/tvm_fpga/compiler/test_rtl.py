"""Compiled programs in RTL simulation: the same bytes, whatever the memory's speed, in the cycles that were
predicted.
"""

import numpy as np
import pytest

from profiles.errors import UnsupportedError
from targets.tvm_fpga.compiler.compile import compile_region, run_program, simulated
from targets.tvm_fpga.compiler.cost import estimate, layer_cycles
from targets.tvm_fpga.rtl.simulate import Memory
from tests.targets.tvm_fpga.compiler.agree import agree
from tests.targets.tvm_fpga.networks import dscnn, random_inputs, resnet8
from tests.targets.tvm_fpga.regions import random_region


@pytest.mark.parametrize("seed", range(25))
def test_random_regions_agree(small_array, seed):
    """Waits are right: at latencies from 1 to 150 cycles, with and without a memory that holds still at random."""
    geometry, simulator = small_array
    memory = Memory(latency=1 + 6 * seed, stalls=[0, 100, 200][seed % 3], seed=seed + 1)
    try:
        agree(random_region(seed), geometry, seed, simulated(simulator, memory))
    except UnsupportedError as error:
        pytest.skip(f"does not fit into this array: {error.wanted}")


def _compare(region, geometry, simulator, latency):
    program = compile_region(region, geometry)
    _, run = run_program(program, random_inputs(region), simulated(simulator, Memory(latency=latency)))
    cost = estimate(program, latency)
    ends = run.ends["compute"]
    return cost, run, layer_cycles(program.layers, ends, np.zeros(len(ends), int))


@pytest.mark.parametrize("make", [dscnn, resnet8])
def test_cycles_of_every_layer_are_predicted(usual_array, make):
    cost, run, layers = _compare(make(), *usual_array, 100)
    for guess, real in zip(cost.layers, layers, strict=True):
        error = guess.cycles / real.cycles - 1
        assert abs(error) < 0.05, f"'{real.name}' takes {real.cycles} cycles, {guess.cycles} were predicted"
        assert guess.compute <= guess.cycles + 2, "an array cannot be faster than its positions"
    assert abs(cost.cycles / run.cycles - 1) < 0.002


@pytest.mark.parametrize("latency", [20, 400])
def test_programs_that_wait_for_memory_are_predicted(small_array, latency):
    """Bands through memory, at other latencies: in total only, layers overlap."""
    for seed in (3, 5, 11):
        try:
            cost, run, _ = _compare(random_region(seed, 4, 14), *small_array, latency)
        except UnsupportedError:
            continue
        assert abs(cost.cycles / run.cycles - 1) < 0.05, f"{run.cycles} cycles, {cost.cycles} were predicted"
