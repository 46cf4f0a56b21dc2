"""Paddings and batches of blocks equal the reference."""

import numpy as np
import pytest
from harness import tensor
from hypothesis import given, settings
from hypothesis import strategies as st
from many import Many, constant, image, seen

from targets.tflite_micro.ops.pad import (
    constant_amounts,
    constant_blocks,
    constant_value,
    few_borders,
    reflected_amounts,
    small_elements,
)

REFLECT, SYMMETRIC = 0, 1


def padded(many, kind, shape, amounts, options=None, *, extra=(), made=image):
    out = [n + sum(pair) for n, pair in zip(shape, amounts, strict=True)]
    return many.add(kind, [made(shape), constant(amounts), *extra], [made(out)], options)


def every_case():
    many = Many()
    for amounts in (
        [[0, 0], [1, 1], [1, 1], [0, 0]],
        [[1, 0], [0, 2], [3, 1], [2, 1]],
        [[0, 0]] * 3 + [[0, 1]],
        [[0, 0]] * 4,
    ):
        padded(many, "PAD", (2, 3, 4, 5), amounts)
        value = tensor((1,), "int8", 0.05, -3, data=[77])
        padded(many, "PADV2", (2, 3, 4, 5), amounts, extra=[value])
        for dtype in ("int32", "float32"):
            padded(many, "PAD", (2, 3, 4, 5), amounts, made=lambda shape, dtype=dtype: tensor(shape, dtype))
        number = tensor((1,), "float32", data=[-1.5])
        padded(many, "PADV2", (2, 3, 4, 5), amounts, extra=[number], made=lambda shape: tensor(shape, "float32"))
    padded(many, "PAD", (5,), [[2, 3]])
    for mode in (REFLECT, SYMMETRIC):
        padded(many, "MIRROR_PAD", (1, 4, 5, 3), [[0, 0], [1, 2], [3, 1], [0, 0]], {"mode": mode})
        padded(many, "MIRROR_PAD", (4, 5), [[3, 0], [0, 4]], {"mode": mode})
    return many


def test_every_kind_of_padding():
    every_case().check(4, sanitize=True, variants=("portable",))


@settings(max_examples=3, deadline=None, database=None, derandomize=True)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=4),
        min_size=20, max_size=20,
    )
)  # fmt: skip
def test_any_amounts(cases):
    many = Many()
    for axes in cases:
        padded(many, "PAD", [n for n, _, _ in axes], [[before, after] for _, before, after in axes])
    many.check(3, sanitize=True, variants=("portable",))


def batches(many, shape, block, amounts):
    """SPACE_TO_BATCH_ND of a shape and the way back."""
    grown = [n + sum(pair) for n, pair in zip(shape[1:], amounts, strict=False)]
    deep = (
        shape[0] * int(np.prod(block)),
        *(n // b for n, b in zip(grown, block, strict=True)),
        *shape[1 + len(block) :],
    )
    many.add("SPACE_TO_BATCH_ND", [image(shape), constant(block), constant(amounts)], [image(deep)])
    many.add("BATCH_TO_SPACE_ND", [image(deep), constant(block), constant(amounts)], [image(shape)])


def test_batches_of_blocks():
    many = Many()
    batches(many, (1, 4, 6, 3), [2, 2], [[0, 0], [0, 0]])
    batches(many, (2, 5, 7, 3), [2, 3], [[2, 1], [0, 2]])
    batches(many, (1, 1, 5, 2), [1, 4], [[0, 0], [3, 4]])
    batches(many, (1, 7, 2), [4], [[4, 1]])
    many.check(4, sanitize=True, variants=("portable",))


@pytest.mark.parametrize("device", ["cortex-m4-an386", "cortex-m55-an547"])
def test_on_an_emulated_core(device):
    every_case().check(2, variants=(), devices=(device,))


def test_what_is_refused():
    x, y, runtime = image((2, 3)), image((3, 3)), tensor((2, 2), "int32")
    amounts = constant([[1, 0], [0, 0]])
    assert "run time" in seen(constant_amounts, "PAD", [x, runtime], [y])
    assert "[(-1, 0), (0, 0)]" in seen(constant_amounts, "PAD", [x, constant([[-1, 0], [0, 0]])], [image((1, 3))])
    assert "an output of (4, 3)" in seen(constant_amounts, "PAD", [x, amounts], [image((4, 3))])
    assert "int64" in seen(small_elements, "PAD", [tensor((2,), "int64")], [tensor((2,), "int64")])
    value = tensor((1,), "int8", 0.1, 0, data=[7])
    assert "'tensor_2' of int8" in seen(constant_value, "PADV2", [x, amounts, value], [y])
    assert seen(reflected_amounts, "MIRROR_PAD", [x, constant([[2, 0], [0, 0]])], [y], {"mode": "reflect"})
    assert not seen(reflected_amounts, "MIRROR_PAD", [x, constant([[2, 0], [0, 0]])], [y], {"mode": "symmetric"})
    assert seen(few_borders, "MIRROR_PAD", [image((2, 2, 2)), constant([[1, 1]] * 3)], [y]) == "3 axes"
    deep, wide = image((25, 1, 1, 3)), image((1, 5, 5, 3))
    block = [constant([5, 5]), constant([[0, 0], [0, 0]])]
    assert "blocks [5, 5]" in seen(constant_blocks, "SPACE_TO_BATCH_ND", [wide, *block], [deep])
