"""The specification against closed forms: im2col and matrix products, maxima and sums over windows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.tvm_fpga.isa import Mode
from tests.targets.tvm_fpga.golden.machines import columns_of, compute, machine, run, scaled, tensor

SIZES = {
    "shape": st.tuples(st.integers(1, 7), st.integers(1, 7)),
    "kernel": st.tuples(st.integers(1, 4), st.integers(1, 4)),
    "stride": st.tuples(st.integers(1, 3), st.integers(1, 3)),
    "padding": st.tuples(st.integers(0, 3), st.integers(0, 3)),
    "dilation": st.tuples(st.integers(1, 2), st.integers(1, 2)),
    "out": st.tuples(st.integers(1, 5), st.integers(1, 5)),
    "fill": st.integers(-128, 127),
}


@settings(max_examples=40)
@given(st.integers(0, 1000), st.integers(1, 3), st.integers(1, 3), st.fixed_dictionaries(SIZES))
def test_a_convolution_is_im2col_times_a_matrix(seed, tiles, groups, sizes):
    made = machine(seed)
    seen = columns_of(
        tensor(made, sizes["shape"], tiles),
        *(sizes[name] for name in ("kernel", "stride", "padding", "dilation", "out", "fill")),
    )
    flat = seen.reshape(*seen.shape[:2], -1).astype(np.float64)
    taps, lanes = flat.shape[-1], made.geometry.lanes
    matrix = made.wgt[: groups * taps].reshape(groups, taps, lanes).transpose(1, 0, 2).reshape(taps, -1)
    want = scaled(made, flat @ matrix.astype(np.float64), zero=4)
    shape, out, fill = sizes.pop("shape"), sizes.pop("out"), sizes.pop("fill")
    found = run(made, compute(Mode.CONV, shape, tiles, out, nt=groups, fill=fill, zero=4, **sizes))
    assert np.array_equal(found, want), "a convolution is not the product of im2col and its weights"


@settings(max_examples=40)
@given(st.integers(0, 1000), st.booleans(), st.fixed_dictionaries(SIZES))
def test_taps_sum_or_take_the_largest(seed, largest, sizes):
    made = machine(seed)
    seen = columns_of(
        tensor(made, sizes["shape"], 1),
        *(sizes[name] for name in ("kernel", "stride", "padding", "dilation", "out", "fill")),
    )
    products = seen * made.wgt[: seen.shape[2]].astype(np.int64)
    want = scaled(made, products.max(2) if largest else products.sum(2))
    shape, out, fill = sizes.pop("shape"), sizes.pop("out"), sizes.pop("fill")
    found = run(made, compute(Mode.TAPS, shape, 1, out, fill=fill, max=int(largest), **sizes))
    assert np.array_equal(found, want), "taps do not give the window's maximum" if largest else "taps do not add up"


@settings(max_examples=40)
@given(st.integers(0, 1000), st.sampled_from([4, 8, 16]), st.integers(1, 3), st.fixed_dictionaries(SIZES))
def test_a_window_is_nine_taps(seed, lanes, groups, sizes):
    made = machine(seed, lanes)
    given_ = {name: sizes[name] for name in ("shape", "out", "stride", "padding", "fill")}
    shape, out = given_.pop("shape"), given_.pop("out")
    window = run(made, compute(Mode.WINDOW, shape, groups, out, nt=groups, **given_))
    other = machine(seed, lanes)
    # the window's tiles are padded to whole tiles, those of taps follow each other
    for group in range(groups):
        start = group * made.geometry.passes * lanes
        other.wgt[9 * group : 9 * group + 9] = machine(seed, lanes).wgt[start : start + 9]
    taps = run(other, compute(Mode.TAPS, shape, groups, out, nt=groups, **given_))
    assert np.array_equal(window, taps), "line buffers and single taps differ"


@settings(max_examples=40)
@given(st.integers(0, 1000), st.integers(1, 3), st.integers(1, 2))
def test_kept_sums_go_on(seed, first, second):
    """Tiles of inputs in two instructions are those of one."""
    made, other = machine(seed), machine(seed)
    tiles, lanes = first + second, made.geometry.lanes
    whole = run(made, compute(Mode.CONV, (4, 4), tiles, (4, 4), (1, 1), padding=(0, 0)))
    plain = {"shape": (4, 4), "tiles": tiles, "out": (4, 4), "kernel": (1, 1), "padding": (0, 0)}
    other.step(compute(Mode.CONV, **plain, ct=first, keep=1))
    parts = run(other, compute(Mode.CONV, **plain, ct=second, in_base=first, wgt=first * lanes, carry=1))
    assert np.array_equal(whole, parts), "sums that are kept are not carried on"


@pytest.mark.parametrize("more", [{"mode": 2, "keep": 1}, {"mode": 0, "nt": 2, "carry": 1}])
def test_sums_of_several_groups_are_not_kept(more):
    with pytest.raises(IndexError, match="one group"):
        machine(0).step(compute(Mode(more.pop("mode")), (4, 4), 2, (4, 4), **more))


def test_more_sums_than_accumulators_are_refused():
    made = machine(0, accumulators=16)
    with pytest.raises(IndexError, match="25 positions of 16"):
        made.step(compute(Mode.CONV, (5, 5), 1, (5, 5)))
    run(made, compute(Mode.CONV, (5, 5), 1, (5, 5), (1, 1), padding=(0, 0)))
