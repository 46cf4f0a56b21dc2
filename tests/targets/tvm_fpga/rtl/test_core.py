"""The whole accelerator against the golden model: random programs, random memories."""

import numpy as np
import pytest
from bench import simulated, small
from programs import random_program

from targets.tvm_fpga.golden.machine import Machine
from targets.tvm_fpga.isa import Op
from targets.tvm_fpga.rtl.simulate import Memory

#: Arrays with one, two and three passes of a window, and beats of one, two and four vectors.
ARRAYS = [(4, 8), (8, 8), (4, 16)]


@pytest.mark.parametrize(("lanes", "port"), ARRAYS)
def test_random_programs_give_the_bytes_of_the_golden_model(lanes, port):
    geometry = small(lanes, port=port)
    with simulated(lanes, port=port) as simulator:
        for seed in range(25):
            program, image = random_program(geometry, seed)
            wanted, got = image.copy(), image.copy()
            Machine(geometry, wanted).run(program)
            memory = Memory(latency=1 + 13 * (seed % 9), stalls=(0, 0, 100, 200)[seed % 4], seed=seed + 1)
            run = simulator.run(got, 0, memory)
            other = np.flatnonzero(wanted != got)
            assert not other.size, f"program {seed} differs in {other.size} bytes, the first at {other[0]:#x}"
            _check_counts(run, program, port)


def _check_counts(run, program, port):
    """What is counted follows from the program."""
    for name, op in (("load", Op.LOAD), ("store", Op.STORE), ("compute", Op.COMPUTE)):
        spans, mine = run.spans[name], [each for each in program if each.op is op]
        assert len(spans) == len(mine), f"{len(spans)} spans for {len(mine)} instructions of {name}"
        assert all(0 <= span.start < span.end <= run.cycles for span in spans), "spans lie in the run"
        assert run.ends[name] == sorted(run.ends[name]), "instructions of a queue end in order"
    stored = sum(each["rows"] * each["len"] for each in program if each.op is Op.STORE)
    loaded = sum(each["rows"] * each["len"] for each in program if each.op is Op.LOAD)
    assert run.written_beats == stored, "every beat of the stores is written once"
    fetched = run.read_beats - loaded
    assert fetched >= 64 // port * len(program) and fetched % (256 // port) == 0, (
        "the rest is the program, four at a time"
    )
    assert max(run.load_busy, run.store_busy, run.compute_busy) <= run.cycles


def test_stalls_change_time_but_no_byte():
    geometry = small(8)
    _, image = random_program(geometry, 99)
    with simulated(8) as simulator:
        results, cycles = [], []
        for stalls in (0, 64, 240):
            got = image.copy()
            cycles.append(simulator.run(got, 0, Memory(latency=20, stalls=stalls)).cycles)
            results.append(got.tobytes())
    assert len(set(results)) == 1, "a slow memory must not change what is computed"
    assert cycles == sorted(cycles) and cycles[0] < cycles[2], f"a slower memory takes longer: {cycles}"


def test_the_same_run_again_takes_the_same_cycles():
    _, image = random_program(small(4), 5)
    with simulated(4) as simulator:
        runs = [simulator.run(image.copy(), 0, Memory(stalls=99, seed=7)) for _ in range(2)]
    assert runs[0] == runs[1], "a run depends on its inputs only, not on the run before"


def test_instructions_overlap():
    """Loads run while the array works: the whole takes less than the sum of its parts."""
    geometry = small(8)
    _, image = random_program(geometry, 3)
    with simulated(8) as simulator:
        run = simulator.run(image, 0, Memory(latency=100))
    assert run.cycles < run.load_busy + run.compute_busy + run.store_busy + 500, f"{run}"
