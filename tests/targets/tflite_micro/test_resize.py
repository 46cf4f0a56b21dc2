"""Nearest and bilinear resizing equal the reference."""

import itertools

import pytest
from harness import tensor
from hypothesis import given, settings
from hypothesis import strategies as st
from many import Many, constant, image, seen

from targets.tflite_micro.ops.resize import images, near_scale, one_alignment

KINDS = ("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR")
FLAGS = ((False, False), (True, False), (False, True))
SIZES = [
    ((3, 4), (6, 8)),
    ((3, 4), (9, 4)),
    ((5, 7), (8, 5)),
    ((1, 1), (3, 3)),
    ((6, 4), (3, 2)),
    ((2, 3), (1, 1)),
    ((4, 4), (13, 11)),
]


def resized(many, kind, shape, out, flags, *, made=image):
    corners, centers = flags
    target = (shape[0], *out, shape[3])
    options = {"alignCorners": corners, "halfPixelCenters": centers}
    return many.add(kind, [made(shape), constant(out)], [made(target)], options)


def every_case():
    many = Many()
    for kind, flags, (size, out) in itertools.product(KINDS, FLAGS, SIZES):
        resized(many, kind, (2, *size, 3), out, flags)
    for out in ((6, 8), (5, 5)):
        resized(many, KINDS[0], (1, 3, 4, 2), out, FLAGS[0], made=lambda shape: tensor(shape, "float32"))
    return many


def test_every_alignment():
    every_case().check(5, sanitize=True, variants=("portable",))


sizes = st.integers(1, 40)


@settings(max_examples=4, deadline=None, database=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), sizes, sizes, sizes, sizes, st.sampled_from(FLAGS)), min_size=15, max_size=15
    )
)
def test_any_size(cases):
    many = Many()
    for kind, height, width, out_h, out_w, flags in cases:
        resized(many, kind, (1, height, width, 2), (out_h, out_w), flags)
    many.check(3, sanitize=True, variants=("portable",))


@pytest.mark.parametrize("device", ["cortex-m4-an386", "cortex-m55-an547"])
def test_on_an_emulated_core(device):
    every_case().check(2, variants=(), devices=(device,))


def test_what_is_refused():
    x = image((1, 2, 2, 3))
    assert seen(images, KINDS[1], [image((2, 2)), constant([4, 4])], [image((4, 4))])
    assert seen(images, KINDS[1], [x, constant([4, 4])], [image((1, 4, 4, 2))])
    both = {"align_corners": True, "half_pixel_centers": True}
    assert seen(one_alignment, KINDS[1], [x, constant([4, 4])], [image((1, 4, 4, 3))], both) == "both"
    assert seen(near_scale, KINDS[1], [x, constant([4000, 4])], [image((1, 4000, 4, 3))]) == "2 to 4000"
