"""Concatenation and its kin equal the reference."""

import itertools

import numpy as np
import pytest
from harness import check, tensor, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from many import Many, constant, image, seen

from targets.tflite_micro.ops.concat import broadcast_shape, fitting_shapes, packed_shapes, repeated_shape, same_scales


def concatenated(many, shape, axis, sizes, made=image):
    shapes = [(*shape[:axis], n, *shape[axis + 1 :]) for n in sizes]
    out = (*shape[:axis], sum(sizes), *shape[axis + 1 :])
    given_axis = axis - len(shape) if axis % 2 else axis
    return many.add("CONCATENATION", [made(s) for s in shapes], [made(out)], {"axis": given_axis})


def every_case():
    many = Many()
    for axis, sizes in itertools.product(range(4), [(1,), (2, 3), (4, 1, 5)]):
        concatenated(many, (2, 3, 4, 5), axis, sizes)
        concatenated(many, (2, 3, 4, 5), axis, sizes, lambda shape: tensor(shape, "int32"))
    for axis in (0, 1, -1):
        many.add(
            "PACK",
            [image((3, 4))] * 3,
            [image(np.stack([np.empty((3, 4))] * 3, axis).shape)],
            {"axis": axis, "valuesCount": 3},
        )
    for times in ([1, 1, 1], [2, 1, 3], [1, 4, 1], [3, 2, 2]):
        many.add("TILE", [image((2, 3, 4)), constant(times)], [image(np.multiply((2, 3, 4), times))])
    for shape, out in (((3, 1), (2, 3, 4)), ((4,), (3, 4)), ((1, 1, 5), (2, 3, 5)), ((2, 1, 2), (2, 3, 2))):
        many.add("BROADCAST_TO", [image(shape), constant(out)], [image(out)])
    return many


def test_every_kind():
    every_case().check(4, sanitize=True, variants=("portable",))


parts = st.lists(st.integers(1, 9), min_size=1, max_size=5)


@settings(max_examples=3, deadline=None, database=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.tuples(*[st.integers(1, 6)] * 4), st.integers(0, 3), parts), min_size=12, max_size=12
    )
)  # fmt: skip
def test_any_number_of_inputs(cases):
    many = Many()
    for shape, axis, sizes in cases:
        concatenated(many, shape, axis, sizes)
    many.check(3, sanitize=True, variants=("portable",))


@pytest.mark.parametrize("device", ["cortex-m4-an386", "cortex-m55-an547"])
def test_on_an_emulated_core(device):
    many = Many()
    for axis in range(4):
        concatenated(many, (2, 3, 4, 25), axis, (4, 1, 5))
    many.check(2, variants=(), devices=(device,))


def test_operators_of_several_calls_in_one_plan():
    whole, part, padded = (1, 4, 4, 6), (1, 4, 4, 3), (1, 6, 6, 3)
    tensors = [image(whole), constant(3), image(part), image(part), constant([[0, 0], [1, 1], [1, 1], [0, 0]])]
    tensors += [image(padded), image(padded), image((1, 6, 6, 6)), constant([0, 2, 1, 3]), image((1, 6, 6, 6))]
    ops = [
        ("SPLIT", [1, 0], [2, 3], {"numSplits": 2}),
        ("PAD", [2, 4], [5], {}),
        ("PAD", [3, 4], [6], {}),
        ("CONCATENATION", [5, 6], [7], {"axis": 3}),
        ("TRANSPOSE", [7, 8], [9], {}),
    ]
    check(tiny(ops, tensors, [0], [9]), 8, sanitize=True)


def test_what_is_refused():
    x, y = image((2, 3)), image((4, 3))
    other = image((2, 3), 0.1, 0)
    assert "'tensor_1' is int8 with scale 0.1 and zero point 0" in seen(same_scales, "CONCATENATION", [x, other], [y])
    assert seen(fitting_shapes, "CONCATENATION", [x, image((3, 3))], [y], {"axis": 0})
    assert seen(fitting_shapes, "CONCATENATION", [x, x], [y], {"axis": 2})
    assert seen(packed_shapes, "PACK", [x, x], [y], {"axis": 0})
    assert "run time" in seen(repeated_shape, "TILE", [x, tensor((2,), "int32")], [y])
    assert seen(repeated_shape, "TILE", [x, constant([3, 1])], [y])
    assert seen(broadcast_shape, "BROADCAST_TO", [x, constant([4, 3])], [y])
