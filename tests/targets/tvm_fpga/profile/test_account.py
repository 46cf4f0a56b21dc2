"""Where cycles and bytes went: everything adds up, nothing is below zero, loads belong to the layer they are for."""

import dataclasses

import pytest

from profiles.errors import UnsupportedError
from targets.tvm_fpga.account import Spent, account, fed, owners, program_bytes
from targets.tvm_fpga.compiler.compile import compile_region, run_program, simulated
from targets.tvm_fpga.isa import Memory as Where
from targets.tvm_fpga.isa import Op
from targets.tvm_fpga.rtl.simulate import Memory
from tests.targets.tvm_fpga.networks import dscnn, random_inputs, resnet8
from tests.targets.tvm_fpga.regions import random_region


def _run(region, array, memory):
    geometry, simulator = array
    program = compile_region(region, geometry, proven=False)
    return program, run_program(program, random_inputs(region), simulated(simulator, memory))[1]


def _adds_up(program, run):
    """Layers are the whole run, cycle by cycle and byte by byte; the whole."""
    spent, port = account(program, run), program.geometry.port
    for name, each in spent.items():
        assert min(dataclasses.astuple(each)) >= 0, f"'{name}' has something below zero: {each}"
    whole = sum(spent.values(), Spent())
    assert whole.cycles == run.cycles, f"layers take {whole.cycles} cycles, the run {run.cycles}"
    assert whole.stored == run.written_beats * port
    assert whole.loaded + program_bytes(program, run) == run.read_beats * port
    needed = 1 + sum(each.op is not Op.FINISH for each in program.instructions)
    assert program_bytes(program, run) >= 64 * needed, "every instruction is fetched"
    return spent, whole


@pytest.mark.parametrize("seed", range(12))
def test_everything_adds_up_even_where_tensors_go_through_memory(small_array, seed):
    memory = Memory(latency=1 + 20 * seed, stalls=[0, 100][seed % 2], seed=seed + 1)
    try:
        program, run = _run(random_region(seed, 3, 10), small_array, memory)
    except UnsupportedError as error:
        pytest.skip(f"does not fit into this array: {error.wanted}")
    _adds_up(program, run)
    _belong(program)


@pytest.mark.parametrize("make", [dscnn, resnet8])
def test_causes_agree_with_what_the_array_itself_counts(usual_array, make):
    """The array says when it stalls and when it has nothing; the rest are vectors, and positions on their way through
    the pipeline, which are few.
    """
    program, run = _run(make(), usual_array, Memory())
    spent, whole = _adds_up(program, run)
    idle = sum(each.idle for each in run.windows)
    rest = run.cycles - idle - run.stalled - whole.compute
    assert 0 <= rest <= 20 * len(program.layers), f"{rest} cycles are neither vectors nor stalls"
    assert whole.load + whole.store + whole.stall == idle + run.stalled + rest
    assert whole.compute / run.cycles > 0.85, "these networks keep the array busy"
    _, after = _run(make(), usual_array, Memory(latency=600))
    slow = _adds_up(program, after)[1]
    for run_, mine in ((run, whole), (after, slow)):
        nothing = sum(each.idle for each in run_.windows)
        apart = abs(nothing - mine.load - mine.store)
        assert apart <= 20 * len(program.layers), f"{mine} waits, but the array had nothing to do for {nothing} cycles"
    assert slow.compute == whole.compute, "a slow memory changes no work"
    assert slow.load > whole.load, "and is waited for"
    _belong(program)
    assert list(spent) == list(dict.fromkeys(program.layers)), "in order"


def test_the_last_results_are_waited_for(usual_array):
    """They are on their way when everything else is over."""
    program, run = _run(resnet8(), usual_array, Memory(latency=3000))
    last = account(program, run)[program.layers[-1]]
    assert last.store >= 3000, f"the last results need a round trip of 3000 cycles: {last}"


def _belong(program):
    """Weights and parameters say whose they are, which nobody asked."""
    named = owners(program)
    for owner, load in zip(named[Op.LOAD], program.of(Op.LOAD), strict=True):
        if load["memory"] != Where.ACTIVATIONS:
            assert load.note.endswith(f" of {owner}"), f"'{load.note}' was given to '{owner}'"
    assert set(named[Op.STORE]) <= set(program.layers)


def test_windows_are_the_run(usual_array):
    program, run = _run(dscnn(), usual_array, Memory())
    assert [each.start for each in run.windows] == [
        sum(each.cycles for each in run.windows[:number]) for number in range(len(run.windows))
    ]
    assert sum(each.cycles for each in run.windows) == run.cycles
    assert len({each.cycles for each in run.windows[:-1]}) == 1, "but for the last one, they are of one length"
    assert sum(each.read_beats for each in run.windows) == run.read_beats
    assert sum(each.written_beats for each in run.windows) == run.written_beats
    assert sum(each.stalled for each in run.windows) == run.stalled
    for each in run.windows:
        assert max(each.read_beats, each.written_beats, each.stalled + each.idle) <= each.cycles
    total = sum(fed(each, program.geometry) for each in program.of(Op.COMPUTE))
    assert total <= run.cycles
