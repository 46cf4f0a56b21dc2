"""The oracle itself, against im2col and exact fractions."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.tvm_fpga.compiler.ir import Kind, Tensor
from targets.tvm_fpga.compiler.reference import run_layer
from tests.targets.tvm_fpga.golden.machines import columns_of
from tests.targets.tvm_fpga.regions import layer, random_layer

SIZES = st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 5))


def _want(made, source):
    """Sums in 64-bit integers, scaled in exact fractions."""
    out = made.out.height, made.out.width
    seen = columns_of(source.astype(np.int64), made.kernel, made.stride, made.padding, made.dilation, out, made.fill)
    if made.kind is Kind.CONV:
        sums = np.einsum(
            "yxti,oti->yxo", seen, made.weights.reshape(len(made.weights), -1, source.shape[2]).astype(np.int64)
        )
    else:
        products = seen * made.weights.reshape(-1, source.shape[2])
        sums = products.max(2) if made.kind is Kind.LARGEST else products.sum(2)
    found = np.empty(sums.shape, np.int8)
    for place, total in np.ndenumerate(sums + made.bias):
        exact = Fraction(int(total) * int(made.mult[place[2]]), 1 << int(made.shift[place[2]]))
        found[place] = min(max(floor(exact + Fraction(1, 2)) + made.zero, made.lo), made.hi)
    return found


@settings(max_examples=60)
@given(st.integers(0, 1 << 30), SIZES)
def test_any_layer(seed, shape):
    draw = np.random.default_rng(seed)
    made = random_layer(draw, "x", Tensor("in", *shape, zero=int(draw.integers(-50, 50))))
    source = draw.integers(-128, 128, shape).astype(np.int8)
    assert np.array_equal(run_layer(made, source), _want(made, source)), "the reference is wrong"


@pytest.mark.parametrize("groups", [2, 3])
def test_groups_see_their_own_channels_only(groups):
    draw = np.random.default_rng(0)
    made = layer(draw, "x", Tensor("in", 3, 3, 6), 6, (1, 1), groups=groups)
    source = draw.integers(-128, 128, (3, 3, 6)).astype(np.int8)
    before = run_layer(made, source)
    source[..., : 6 // groups] += 9
    after = run_layer(made, source)
    assert np.array_equal(before[..., 6 // groups :], after[..., 6 // groups :]), "another group's channels count"
    assert not np.array_equal(before, after)
