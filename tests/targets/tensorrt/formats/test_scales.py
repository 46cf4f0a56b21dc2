"""Symmetric scales against their closed forms, and the split of a table of scales into one scale and factors."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from targets.tensorrt.formats.number_formats import FP16_MAX, FP16_NORMAL, FP16_TINY
from targets.tensorrt.formats.scales import (
    LARGEST,
    quantize_weights,
    split_scales,
    symmetric_scale,
    symmetric_scales,
    weight_scales,
)
from targets.tensorrt.placement.placement import Weights
from targets.tensorrt.placement.stored import store

#: Rounding up to fp16 adds at most one step of its 10 bits.
ULP = 2.0**-10
ends = st.just(0.0) | st.floats(1e-30, 1e4) | st.floats(-1e4, -1e-30)
magnitudes = st.floats(1e-3, 1e3)
matrices = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=4, max_side=5), elements=st.floats(-9, 9, width=32)
)


@hypothesis.given(ends, ends)
def test_the_larger_end_of_a_range_is_at_127(low, high):
    scale, largest = symmetric_scale((low, high)), max(abs(low), abs(high))
    if largest == 0:
        assert scale == 1
    else:
        assert LARGEST * scale >= largest * (1 - 1e-12)
        if largest / LARGEST >= FP16_TINY:
            assert scale == np.float16(scale), "scales are fp16 numbers"
        normal = largest / LARGEST * (1 + ULP)
        assert scale <= max(normal, min(FP16_NORMAL + FP16_TINY, largest / LARGEST + FP16_TINY))


def test_known_scales():
    assert symmetric_scale((-1.0, 127 / 64)) == 1 / 64
    assert symmetric_scale((-127 * 8.0, 3.0)) == 8
    assert symmetric_scale((0.0, 1e9)) == pytest.approx(1e9 / 127), "beyond fp16 a scale is what it is"
    assert symmetric_scale((0.0, 1e-9)) == pytest.approx(1e-9 / 127), "below fp16 too"
    assert weight_scales(np.array([[1e9], [0.0]]), 0) == pytest.approx(1e9 / 127), "zeros do not set a scale"
    small = weight_scales(np.array([[0.127], [0.0], [1e-9]]), 0)
    assert small == pytest.approx([1e-3, 1e-3, FP16_TINY], rel=ULP), "of one tensor all are fp16 numbers, or none"


def test_a_group_has_the_scale_of_its_widest_range():
    scales = symmetric_scales({"a": (-1, 1), "b": (0, 4), "c": (-2, 0), "d": (0, 3)}, [("a", "b"), ("c", "d")])
    assert scales == {name: symmetric_scale((0, wide)) for name, wide in {"a": 4, "b": 4, "c": 3, "d": 3}.items()}


@hypothesis.given(matrices, st.integers(0, 1), st.booleans())
def test_weights_are_the_nearest_multiples_of_their_scale(values, axis, per_channel):
    chosen = axis if per_channel else None
    scale = weight_scales(values, chosen)
    stored = quantize_weights(values, scale, chosen)
    wide = scale.astype(np.float64) if chosen is None else np.moveaxis(np.ones_like(values, float), axis, -1) * scale
    spread = wide if chosen is None else np.moveaxis(wide, -1, axis)
    assert np.all(np.abs(stored.astype(float) * spread - values) <= spread / 2 * (1 + 1e-6))
    assert stored.dtype == np.int8 and np.abs(stored.astype(int)).max(initial=0) <= LARGEST
    largest = np.abs(values).max(axis=None if chosen is None else tuple(i for i in range(values.ndim) if i != axis))
    used = np.abs(stored.astype(int)).max(
        axis=None if chosen is None else tuple(i for i in range(values.ndim) if i != axis)
    )
    assert np.all((used >= 126) | (largest < 1e-2)), "the largest weight of a channel uses the range"


@hypothesis.given(
    hnp.arrays(np.float32, st.integers(1, 8), elements=st.floats(2.0**-14, 4.0, width=32)), st.floats(1, 1e9)
)
def test_a_split_table_multiplies_back_and_sums_fit_fp16(scale, most):
    sums = np.full(scale.shape, most)
    split = split_scales(scale, sums)
    if split is None:
        needed = min(FP16_MAX / 2 / most, float(scale.max()))
        assert needed < float(scale.max()) / 512 or needed < 2 * FP16_NORMAL, "only hopeless tables are not split"
        return
    front, factors = split
    assert front.shape == () and factors.shape == scale.shape
    together = front.astype(np.float64) * factors
    assert np.all(together >= scale * (1 - 1e-6)), "rounded up, so that nothing is cut"
    lost = np.maximum(FP16_TINY * front, scale * ULP)
    assert np.all(together <= scale + lost * (1 + 1e-6))
    assert most * float(front) <= FP16_MAX


@hypothesis.given(hnp.arrays(np.float32, (6, 3, 2, 2), elements=st.floats(-2, 2, width=32)), st.floats(1e-3, 1e3))
def test_factors_behind_say_the_same_as_scales_in_front(values, input_scale):
    channel = store(values, 0, Weights.CHANNEL, input_scale)
    behind = store(values, 0, Weights.BEHIND, input_scale)
    if behind.factors is None:
        assert np.array_equal(behind.values, channel.values) and np.array_equal(behind.scale, channel.scale)
        return
    assert channel.factors is None and channel.axis == 0 and behind.axis is None and behind.scale.shape == ()
    shape = (-1, 1, 1, 1)
    real = behind.values * behind.scale.astype(float) * behind.factors.astype(float).reshape(shape)
    step = (behind.scale * behind.factors).reshape(shape)
    assert np.all(np.abs(real - values) <= step / 2 * (1 + 1e-6))
    assert np.abs(channel.values.astype(int) - behind.values).max() <= 1
    sums = np.abs(behind.values.astype(np.int64)).sum(axis=(1, 2, 3)) * 128 * input_scale * float(behind.scale)
    assert np.all(sums <= FP16_MAX), "sums of products between scale and factors fit fp16"


def test_weights_without_an_axis_and_weights_of_zeros():
    values = np.zeros((4, 2), np.float32)
    for style in Weights:
        stored = store(values, 0, style, 1.0)
        assert not stored.values.any() and np.all(stored.scale > 0)
        assert store(np.ones((3, 4, 2), np.float32), None, style, 1.0).scale.shape == ()
