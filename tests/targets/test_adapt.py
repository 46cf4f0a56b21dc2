"""Canonical to native and back: layouts are inverse, quantization loses at most half a step."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from profiles.errors import DataError
from targets.adapt import inputs_to_native, outputs_to_canonical, permutation, to_canonical, to_native
from targets.base import TensorSpec

LAYOUTS = [("NCHW", "NHWC"), ("NC", "CN"), ("NCL", "NLC"), ("NCDHW", "NDHWC"), ("NCHW", "NCHW"), ("", "NHWC"), ("", "")]


@st.composite
def tensors(draw, dtype=np.float32, magnitude=1e3):
    """An array of a canonical layout, its canonical spec, and a native layout."""
    source, wanted = draw(st.sampled_from(LAYOUTS))
    rank = len(source) or draw(st.integers(0, 4))
    shape = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    values = draw(hnp.arrays(dtype, shape, elements=st.floats(-magnitude, magnitude, width=32)))
    return values, TensorSpec("x", shape, layout=source), wanted


def native_spec(shape, **given):
    return TensorSpec("inner", shape, **given)


@given(st.permutations("NCHW"), st.permutations("NCHW"))
def test_permutation_brings_each_axis_to_its_place(source, wanted):
    source, wanted = "".join(source), "".join(wanted)
    axes = permutation(source, wanted)
    if source == wanted:
        assert axes is None
    else:
        assert "".join(source[axis] for axis in axes) == wanted


@pytest.mark.parametrize(("source", "wanted"), [("", "NHWC"), ("NCHW", ""), ("NC", "NHWC"), ("NCHW", "NCHW")])
def test_nothing_moves_without_two_layouts_of_the_same_axes(source, wanted):
    assert permutation(source, wanted) is None


def test_a_known_image():
    image = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    native = to_native(image, TensorSpec("x", image.shape, layout="NCHW"), native_spec((1, 3, 4, 2), layout="NHWC"))
    for c, h, w in itertools.product(range(2), range(3), range(4)):
        assert native[0, h, w, c] == image[0, c, h, w]
    assert native.flags.c_contiguous


@given(tensors())
def test_layouts_are_inverse_of_each_other(case):
    values, canonical, wanted = case
    native = native_spec(values.shape, layout=wanted)
    inner = to_native(values, canonical, native)
    back = to_canonical(inner, native, canonical)
    assert inner.flags.c_contiguous
    assert back.flags.c_contiguous
    assert back.shape == values.shape
    assert np.array_equal(back, values)


QUANTIZED = st.tuples(
    st.floats(1e-4, 10),
    st.sampled_from([("int8", -128, 127), ("uint8", 0, 255), ("int16", -32768, 32767)]),
    st.floats(0, 1),
)


@given(tensors(), QUANTIZED)
def test_quantization_loses_at_most_half_a_step(case, quantization):
    values, canonical, wanted = case
    scale, (dtype, least, most), place = quantization
    zero_point = round(least + place * (most - least))
    native = native_spec(values.shape, layout=wanted, dtype=dtype, scale=scale, zero_point=zero_point)
    inner = to_native(values, canonical, native)
    back = to_canonical(inner, native, canonical)
    assert inner.dtype == dtype
    assert back.dtype == np.float32
    low, high = (least - zero_point) * scale, (most - zero_point) * scale
    inside = np.clip(values.astype(np.float64), low, high)
    rounding = 4e-7 * np.maximum(np.abs(inside), scale)
    assert np.all(np.abs(back - inside) <= scale / 2 + rounding), (
        "beyond the range it must saturate, inside it must round"
    )


@given(st.integers(-128, 127), st.integers(-128, 127), st.floats(1e-6, 1e3))
def test_every_quantized_value_survives_the_round_trip(step, zero_point, scale):
    native = native_spec((1,), dtype="int8", scale=scale, zero_point=zero_point)
    canonical = TensorSpec("x", (1,))
    real = to_canonical(np.array([step], np.int8), native, canonical)
    assert real[0] == pytest.approx(scale * (step - zero_point), rel=1e-6), "real = scale * (q - zero_point)"
    assert to_native(real, canonical, native)[0] == step


def test_halves_round_to_even_and_infinity_saturates():
    native = native_spec((6,), dtype="int8", scale=1.0, zero_point=0)
    values = np.array([0.5, 1.5, 2.5, -0.5, np.inf, -np.inf], np.float32)
    assert to_native(values, TensorSpec("x", (6,)), native).tolist() == [0, 2, 2, 0, 127, -128]


@pytest.mark.parametrize("dtype", ["int8", "int32"])
def test_large_values_saturate_instead_of_wrapping(dtype):
    native = native_spec((2,), dtype=dtype, scale=1e-30, zero_point=0)
    limits = np.iinfo(dtype)
    assert to_native(np.array([3e38, -3e38], np.float32), TensorSpec("x", (2,)), native).tolist() == [
        limits.max,
        limits.min,
    ]


def test_nan_cannot_be_quantized():
    native = native_spec((1,), dtype="int8", scale=1.0, zero_point=0)
    with pytest.raises(DataError, match="needs numbers"):
        to_native(np.array([np.nan], np.float32), TensorSpec("x", (1,)), native)


@pytest.mark.parametrize(
    ("value", "dtype"), [(300, "int8"), (-1, "uint8"), (2**40, "int32"), (0.5, "int64"), (np.nan, "int64")]
)
def test_what_an_integer_input_cannot_hold_is_refused(value, dtype):
    with pytest.raises(DataError, match=f"input 'inner' is {dtype}") as caught:
        to_native(np.array([1, value]), TensorSpec("x", (2,)), native_spec((2,), dtype=dtype))
    assert str(value) in caught.value.seen


def test_integers_pass_where_they_fit():
    ids = np.array([0, 1, 2**31 - 1], np.int64)
    inner = to_native(ids, TensorSpec("x", (3,), dtype="int64"), native_spec((3,), dtype="int32"))
    assert inner.dtype == np.int32
    assert inner.tolist() == ids.tolist()
    assert to_canonical(inner, native_spec((3,), dtype="int32"), TensorSpec("x", (3,))).dtype == np.int32


def test_half_precision_comes_back_as_float32():
    native = native_spec((2,), dtype="float16")
    back = to_canonical(np.array([1, 2], np.float16), native, TensorSpec("x", (2,)))
    assert back.dtype == np.float32


def test_inputs_and_outputs_are_matched_by_position():
    canonical = (TensorSpec("a", (1, 2)), TensorSpec("b", (3,)))
    native = (native_spec((1, 2)), TensorSpec("second", (3,)))
    values = {"b": np.ones(3, np.float32), "a": np.zeros((1, 2), np.float32)}
    inner = inputs_to_native(values, canonical, native)
    assert list(inner) == ["inner", "second"]
    back = outputs_to_canonical(inner, native, canonical)
    assert list(back) == ["a", "b"]
    assert all(np.array_equal(back[name], values[name]) for name in values)
    with pytest.raises(ValueError, match="shorter"):
        inputs_to_native(values, canonical, native[:1])
