"""MEAN, SUM and extremes over any axes equal the reference."""

import itertools

import numpy as np
import pytest
from harness import host, random_samples, tensor
from hypothesis import given, settings
from hypothesis import strategies as st
from many import Many, check_overlap, constant, image, seen

from targets.tflite_micro.ops.mean import constant_axes, few_groups, same_scale


def reduced(many, kind, shape, axes, keep=True, *, source=(0.05, -3), target=(0.021, 7)):
    axes = sorted({axis % len(shape) for axis in axes})
    out = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
    target = source if kind.startswith("REDUCE") else target
    return many.add(
        kind,
        [image(shape, *source), constant(axes)],
        [image(out, *target)],
        {"table": "ReducerOptions", "keepDims": keep},
    )


KINDS = ("MEAN", "REDUCE_MAX", "REDUCE_MIN")
CASES = [
    ((1, 8, 8, 64), (1, 2)),  # global average
    ((1, 25, 5, 64), (1, 2)),
    ((2, 3, 5, 7), (1, 2)),
    ((2, 3, 5, 7), (-1,)),
    ((2, 3, 5, 7), (0, 1, 2, 3)),
    ((2, 3, 5, 7), (0, 2)),
    ((2, 3, 5, 7), (1, 3)),
    ((2, 3, 2, 3, 4), (1, 3)),
    ((2, 3, 2, 3, 4), (0, 2, 4)),
    ((1, 20, 20, 9), (2, 1)),
    ((6, 1), (1,)),  # of one element
    ((5,), (0,)),
]


def every_case():
    many = Many()
    for kind, (shape, axes), keep in itertools.product(KINDS, CASES, (True, False)):
        reduced(many, kind, shape, axes, keep)
    return many


def test_every_pattern_of_axes():
    every_case().check(sanitize=True, variants=("portable",))


scales = st.floats(1e-3, 1.0).map(lambda x: float(f"{x:.3g}"))
quantization = st.tuples(scales, st.integers(-128, 127))
patterns = st.lists(st.integers(1, 6), min_size=1, max_size=5).flatmap(
    lambda shape: st.tuples(
        st.just(tuple(shape)),
        st.sets(st.integers(0, len(shape) - 1), min_size=1),
        st.booleans(),
        quantization,
        quantization,
    )
)


@settings(max_examples=5, deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(KINDS), patterns), min_size=25, max_size=25))
def test_any_axes_and_scales(cases):
    many = Many()
    for kind, (shape, axes, keep, source, target) in cases:
        reduced(many, kind, shape, axes, keep, source=source, target=target)
    many.check(6, variants=("portable",), sanitize=True)


@pytest.mark.parametrize("axes", [(1, 2), (3,), (1, 3), (0, 2)])
@pytest.mark.parametrize("kind", ["MEAN", "REDUCE_MAX"])
def test_in_place(kind, axes):
    assert check_overlap(reduced(Many(), kind, (2, 3, 5, 6), axes, True).model()) == 0


def test_sum():
    # BUILTIN_REF of LiteRT 2.3 reads the elements of an int8 SUM as uint8; its other kernels and TFLM do not.
    many, source, target = Many(), (0.05, -3), (0.34, 7)
    for shape, axes in CASES:
        reduced(many, "SUM", shape, axes, source=source, target=target)
    samples = random_samples(many.model(), 8)
    for sample, outputs in zip(samples, host(many.model(), samples, sanitize=True), strict=True):
        for values, got, (_, axes) in zip(sample, outputs, CASES, strict=True):
            exact = (values.astype(float) + 3).sum(axes, keepdims=True) * (0.05 / 0.34) + 7
            assert np.abs(got - np.clip(exact, -128, 127)).max() < 0.7, f"sum over {axes}"  # rounded twice


@pytest.mark.parametrize("device", ["cortex-m4-an386", "cortex-m55-an547"])
def test_on_an_emulated_core(device):
    every_case().check(3, variants=(), devices=(device,))


def test_what_is_refused():
    runtime, x, y = tensor((1,), "int32"), image((2, 3)), image((2, 1))
    assert "run time" in seen(constant_axes, "MEAN", [x, runtime], [y])
    assert "[5]" in seen(constant_axes, "MEAN", [x, constant([5])], [y])
    assert seen(same_scale, "REDUCE_MAX", [x, constant([1])], [image((2, 1), 0.1, 0)])
    shape = (2, 3) * 4
    assert "4 and 4 times" in seen(few_groups, "MEAN", [image(shape), constant([0, 2, 4, 6])], [image((3,) * 4)])
