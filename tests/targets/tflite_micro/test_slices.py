"""Parts of tensors equal the reference."""

import numpy as np
import pytest
from harness import tensor
from hypothesis import given, settings
from hypothesis import strategies as st
from many import Many, check_overlap, constant, image, seen

from targets.tflite_micro.ops.slices import (
    constant_indices,
    constant_place,
    parts_of_input,
    plain_masks,
    unpacked_shapes,
    within_input,
)


def sliced(many, shape, begin, size, made=image):
    out = [n - b if s == -1 else s for n, b, s in zip(shape, begin, size, strict=True)]
    return many.add("SLICE", [made(shape), constant(begin), constant(size)], [made(out)])


def strided(many, shape, index, **masks):
    """``index``: (begin, end, stride) per axis; the output shape is numpy's."""
    begin, end, stride = (list(values) for values in zip(*index, strict=True))
    bits = {name: masks.get(name, 0) for name in ("begin", "end", "shrinkAxis")}
    out = np.empty(shape)[tuple(_item(i, item, bits) for i, item in enumerate(index))].shape
    operands = [constant(values) for values in (begin, end, stride)]
    return many.add("STRIDED_SLICE", [image(shape), *operands], [image(out)], {f"{k}Mask": v for k, v in bits.items()})


def every_case():
    many, shape = Many(), (2, 5, 6, 7)
    sliced(many, shape, (0, 0, 0, 0), (-1, -1, -1, -1))
    sliced(many, shape, (1, 2, 3, 4), (1, 2, 3, 3))
    sliced(many, shape, (0, 1, 0, 0), (2, 3, -1, -1), lambda shape: tensor(shape, "int32"))
    strided(many, shape, [(0, 2, 1), (1, 5, 2), (0, 6, 3), (2, 7, 1)])
    strided(many, shape, [(0, 2, 1), (4, 0, -1), (-1, -7, -2), (6, -8, -3)])
    strided(many, shape, [(0, 0, 1), (1, 0, 1), (0, -1, 1), (3, 9, 2)], begin=1, end=3)
    strided(many, shape, [(1, 2, 1), (0, 5, 1), (-2, 99, 1), (3, 4, 1)], shrinkAxis=0b1101)
    for axis, count in ((0, 2), (1, 5), (2, 3), (-1, 7)):
        parts = [p.shape for p in np.split(np.empty(shape), count, axis)]
        many.add("SPLIT", [constant(axis), image(shape)], [image(p) for p in parts], {"numSplits": count})
    for axis, sizes in ((1, [2, 2, 1]), (3, [1, 6]), (2, [6])):
        parts = [[n if i == axis else m for i, m in enumerate(shape)] for n in sizes]
        options = {"numSplits": len(sizes)}
        many.add("SPLIT_V", [image(shape), constant(sizes), constant(axis)], [image(p) for p in parts], options)
    for axis in (0, 2, -1):
        part = np.moveaxis(np.empty(shape), axis, 0).shape
        many.add("UNPACK", [image(shape)], [image(part[1:])] * part[0], {"axis": axis, "num": part[0]})
    for axis, indices in ((0, [1, 0, 1]), (1, [[0, 4], [2, 2]]), (-1, [6, 5, 0]), (2, 3)):
        out = np.take(np.empty(shape), indices, axis).shape
        many.add("GATHER", [image(shape), constant(indices)], [image(out)], {"axis": axis})
    return many


def test_every_kind():
    every_case().check(4, sanitize=True, variants=("portable",))


@st.composite
def strides(draw):
    shape = draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))
    index, empty = [], False
    for size in shape:
        step = draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        begin, end = draw(st.integers(-size - 1, size)), draw(st.integers(-size - 1, size))
        empty |= not range(size)[slice(begin, end, step)]
        index.append((begin, end, step))
    masks = {name: draw(st.integers(0, 15)) for name in ("begin", "end")}
    if empty:
        masks = {"begin": 15, "end": 15}
    return (tuple(shape), index, masks)


@settings(max_examples=3, deadline=None, database=None, derandomize=True)
@given(st.lists(strides(), min_size=20, max_size=20))
def test_any_strides(cases):
    many = Many()
    for shape, index, masks in cases:
        kept = [size if masks else 0 for size in shape]
        if 0 not in np.empty(kept)[tuple(_item(i, item, masks) for i, item in enumerate(index))].shape:
            strided(many, shape, index, **masks)
    if many.ops:
        many.check(3, sanitize=True, variants=("portable",))


def _item(i, item, masks):
    begin, end, step = item
    if masks.get("shrinkAxis", 0) >> i & 1:
        return begin
    return slice(None if masks["begin"] >> i & 1 else begin, None if masks["end"] >> i & 1 else end, step)


@pytest.mark.parametrize(
    ("begin", "size", "ahead"),
    [((0, 0, 0), (2, 2, 3), 0), ((1, 2, 1), (1, 3, 3), -29), ((0, 0, 2), (2, 5, 2), -2)],
)
def test_output_over_input(begin, size, ahead):
    assert check_overlap(sliced(Many(), (2, 5, 4), begin, size).model()) == ahead


@pytest.mark.parametrize("device", ["cortex-m4-an386", "cortex-m55-an547"])
def test_on_an_emulated_core(device):
    every_case().check(2, variants=(), devices=(device,))


def test_what_is_refused():
    x, runtime = image((2, 3)), tensor((2,), "int32")
    assert "run time" in seen(constant_place, "SLICE", [x, runtime, constant([1, 1])], [image((1, 1))])
    operands = [x, constant([0, 0]), constant([1, 1])]
    assert "new_axis_mask" in seen(plain_masks, "STRIDED_SLICE", [x], [x], {"new_axis_mask": 1})
    assert "a slice of (1, 1)" in seen(within_input, "SLICE", operands, [image((2, 3))])
    assert "an axis" in seen(parts_of_input, "SPLIT", [tensor((1,), "int32"), x], [x])
    assert "along axis 1" in seen(parts_of_input, "SPLIT", [constant(1), x], [image((2, 1)), image((2, 1))])
    assert seen(unpacked_shapes, "UNPACK", [x], [image((3,))], {"axis": 0})
    assert "beyond 2" in seen(constant_indices, "GATHER", [x, constant([2])], [x])
    assert "run time" in seen(constant_indices, "GATHER", [x, runtime], [x])
    assert "batch_dims" in seen(constant_indices, "GATHER", [x, constant([0])], [x], {"batch_dims": 1})
