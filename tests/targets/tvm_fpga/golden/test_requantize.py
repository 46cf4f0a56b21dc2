"""Requantization and additions against exact fractions."""

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.tvm_fpga.golden.compute import requantize, rounded_shift
from targets.tvm_fpga.isa import Instruction, Mode, Op
from tests.targets.tvm_fpga.golden.machines import OUT, compute, machine, run

BYTE = st.integers(-128, 127)


def _half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


@given(st.integers(-(1 << 48), 1 << 48), st.integers(0, 48))
def test_shifts_round_half_up(value, shift):
    assert int(rounded_shift(np.int64(value), np.int64(shift))) == _half_up(Fraction(value, 1 << shift))


@given(
    st.integers(-(1 << 31), (1 << 31) - 1), st.integers(-(1 << 31), (1 << 31) - 1),
    st.integers(0, (1 << 16) - 1), st.integers(0, 48), BYTE, BYTE, BYTE,
)  # fmt: skip
def test_a_sum_is_scaled_exactly(total, bias, mult, shift, zero, lo, hi):
    lo, hi = min(lo, hi), max(lo, hi)
    made = machine(0)
    made.bias[0], made.mult[0], made.shift[0] = bias, mult, shift
    given_ = Instruction(Op.COMPUTE, {"zero": zero, "lo": lo, "hi": hi})
    found = requantize(made, given_, 0, np.array([[total] * 4]))[0, 0]
    wrapped = (total + bias + (1 << 31)) % (1 << 32) - (1 << 31)
    want = min(max(_half_up(Fraction(wrapped * mult, 1 << shift)) + zero, lo), hi)
    assert found == want


@settings(max_examples=50)
@given(
    st.integers(0, 1000),
    st.integers(0, (1 << 16) - 1),
    st.integers(0, (1 << 16) - 1),
    st.integers(0, 26),
    BYTE,
    BYTE,
    BYTE,
)
def test_a_second_tensor_is_added_after_the_first_is_scaled(seed, mul_a, mul_b, shift, zero, other_zero, sum_zero):
    plain = {"shape": (2, 3), "tiles": 1, "out": (2, 3), "kernel": (1, 1), "padding": (0, 0), "zero": zero}
    first = run(machine(seed), compute(Mode.CONV, **plain)).astype(object)
    made = machine(seed)
    second = made.act[2000 : 2000 + 6].reshape(2, 3, 4).astype(object)
    more = {
        "residual": 1, "res_base": 2000, "res_row": 3, "res_px": 1, "mul_a": mul_a, "mul_b": mul_b, "res_shift": shift,
        "res_zero": other_zero, "sum_zero": sum_zero, "sum_lo": -100, "sum_hi": 100,
    }  # fmt: skip
    found = run(made, compute(Mode.CONV, **plain, **more))
    total = (first - zero) * mul_a + (second - other_zero) * mul_b
    want = np.vectorize(lambda each: min(max(_half_up(Fraction(each, 1 << shift)) + sum_zero, -100), 100))(total)
    assert np.array_equal(found, want.astype(np.int8)), "the requantized sum of two tensors is wrong"


def test_results_of_a_block_leave_what_is_beside_them():
    """Positions apart, as slices of a wider tensor are."""
    made = machine(3)
    before = made.act.copy()
    made.step(compute(Mode.CONV, (3, 3), 1, (3, 3), out_px=2, out_row=6))
    written = np.zeros(len(before), bool)
    written[OUT : OUT + 18 : 2] = True
    assert np.array_equal(made.act[~written], before[~written]), "something outside of the result was written"
    assert not np.array_equal(made.act[written], before[written])
