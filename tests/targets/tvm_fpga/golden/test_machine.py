"""Loads and stores of the golden machine, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import DataError
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.golden.machine import Machine
from targets.tvm_fpga.isa import Instruction, Memory, Op


def _machine(seed, lanes=4, port=8):
    dram = np.random.default_rng(seed).integers(-128, 128, 1 << 12).astype(np.int8)
    return Machine(Geometry(lanes=lanes, port=port, activations=256, weights=256, parameters=16), dram)


@settings(max_examples=40)
@given(st.integers(0, 99), st.sampled_from([4, 8, 16]), st.integers(1, 4), st.integers(1, 3), st.integers(0, 9))
def test_rows_come_back_as_they_went(seed, lanes, rows, length, gap):
    made = _machine(seed, lanes)
    beats = length * max(1, lanes // 8)
    vectors = beats * 8 // lanes
    before = made.dram.copy()
    stride, pitch = beats * 8 + 8 * gap, vectors + gap
    load = {"dram": 64, "dram_stride": stride, "sram": 5, "sram_stride": pitch, "rows": rows, "len": beats}
    store = load | {"dram": 2048, "dram_stride": beats * 8}
    made.run([Instruction(Op.LOAD, load), Instruction(Op.STORE, store), Instruction(Op.FINISH, {})])
    for row in range(rows):
        want = before[64 + row * stride :][: beats * 8]
        assert np.array_equal(made.dram[2048 + row * beats * 8 :][: beats * 8], want), f"row {row} changed on its way"


@settings(max_examples=40)
@given(st.integers(0, 99), st.integers(1, 9), st.integers(1, 3), st.integers(1, 7))
def test_an_expanded_row_is_its_windows(seed, step, run, outputs):
    made = _machine(seed)
    need = (outputs - 1) * step + run * 4
    load = {"dram": 0, "dram_stride": 512, "sram_stride": 64, "rows": 2, "len": -(-need // 8), "expand": 1}
    made.step(Instruction(Op.LOAD, load | {"outputs": outputs, "step": step, "run": run}))
    for row in range(2):
        for output in range(outputs):
            want = made.dram[512 * row + output * step :][: run * 4]
            found = made.act[64 * row + output * run :][:run].reshape(-1)
            assert np.array_equal(found, want), f"run {output} of row {row} is not the image's bytes"


def test_parameters_have_a_bias_a_multiplier_and_a_shift():
    made = _machine(0)
    words = [bias & 0xFFFFFFFF | mult << 32 | shift << 48 for bias, mult, shift in [(-7, 65535, 48), (9, 1, 0)] * 2]
    made.dram[:32] = np.array(words, np.uint64).view(np.int8)
    made.step(Instruction(Op.LOAD, {"sram": 3, "rows": 1, "len": 4, "memory": int(Memory.PARAMETERS)}))
    assert made.bias[3].tolist() == [-7, 9, -7, 9]
    assert made.mult[3].tolist() == [65535, 1, 65535, 1]
    assert made.shift[3].tolist() == [48, 0, 48, 0]


@pytest.mark.parametrize(
    "instruction",
    [
        Instruction(Op.LOAD, {"dram": 4, "rows": 1, "len": 1}),
        Instruction(Op.LOAD, {"dram": 4088, "rows": 1, "len": 2}),
        Instruction(Op.LOAD, {"sram": 255, "rows": 1, "len": 1}),
        Instruction(Op.STORE, {"sram": 256, "rows": 1, "len": 1}),
        Instruction(Op.STORE, {"dram": 4096, "rows": 1, "len": 1}),
        Instruction(Op.LOAD, {"sram": 16, "rows": 1, "len": 4, "memory": int(Memory.PARAMETERS)}),
        Instruction(
            Op.COMPUTE, {"rows": 1, "ow": 1, "kh": 1, "kw": 1, "ct": 1, "nt": 1, "in_h": 1, "in_w": 1, "in_base": 256}
        ),
        Instruction(Op.COMPUTE, {"rows": 1, "ow": 1, "kh": 1, "kw": 1, "ct": 1, "nt": 1, "out_base": 256}),
        Instruction(Op.COMPUTE, {"rows": 1, "ow": 1, "kh": 1, "kw": 1, "ct": 1, "nt": 1, "par": 16}),
        Instruction(Op.COMPUTE, {"rows": 1, "ow": 1, "kh": 1, "kw": 1, "ct": 1, "nt": 1, "wgt": 254}),
    ],
)
def test_what_reaches_outside_of_a_memory_is_refused(instruction):
    with pytest.raises(DataError, match="instruction 0"):
        _machine(0).run([instruction])


def test_nothing_runs_behind_finish():
    made = _machine(0)
    made.run([Instruction(Op.FINISH, {}), Instruction(Op.LOAD, {"dram": 4})])
    assert not made.act.any()
