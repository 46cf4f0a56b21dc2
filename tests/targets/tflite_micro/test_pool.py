"""Average and maximum pools equal the reference, on the host and in place."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from many import Many, check_overlap, image

from targets.tflite_micro.ops.common import out_size

SAME, VALID = 0, 1
NONE, RELU, RELU_N1, RELU6 = range(4)


def pooled(many, kind, shape, window, stride, padding, activation=NONE, zero_point=-3):
    sizes = [out_size(shape[i + 1], window[i], stride[i], 1, ["same", "valid"][padding]) for i in range(2)]
    options = {
        "filterHeight": window[0], "filterWidth": window[1], "strideH": stride[0], "strideW": stride[1],
        "padding": padding, "fusedActivationFunction": activation,
    }  # fmt: skip
    out = (shape[0], *sizes, shape[3])
    return many.add(kind, [image(shape, 0.05, zero_point)], [image(out, 0.05, zero_point)], options)


KINDS = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
CASES = [
    ((1, 8, 8, 64), (8, 8), (8, 8), VALID),  # ResNet-8's last
    ((1, 25, 5, 64), (25, 5), (25, 5), VALID),  # DS-CNN's last
    ((2, 6, 6, 5), (2, 2), (2, 2), VALID),
    ((1, 7, 9, 3), (3, 3), (2, 2), SAME),
    ((1, 7, 9, 4), (3, 2), (1, 3), SAME),
    ((1, 5, 5, 17), (5, 5), (1, 1), SAME),
    ((1, 20, 20, 1), (20, 20), (1, 1), VALID),  # more than 256 elements
    ((1, 20, 20, 9), (20, 20), (3, 3), SAME),
    ((1, 9, 1, 2), (2, 1), (4, 1), VALID),  # stride above window
    ((3, 4, 4, 7), (4, 4), (4, 4), SAME),
]


def test_every_kind_of_window():
    many = Many()
    for kind, case in itertools.product(KINDS, CASES):
        pooled(many, kind, *case)
    many.check(sanitize=True)


def test_fused_activations():
    many = Many()
    for kind, activation in itertools.product(KINDS, (RELU, RELU_N1, RELU6)):
        pooled(many, kind, (1, 5, 4, 6), (2, 2), (1, 1), SAME, activation, zero_point=11)
        pooled(many, kind, (1, 5, 4, 6), (5, 4), (1, 1), VALID, activation, zero_point=11)
    many.check(sanitize=True)


sizes = st.integers(1, 9)
windows = st.tuples(st.sampled_from(KINDS), *[sizes] * 5, *[st.integers(1, 4)] * 2, st.booleans())


@settings(max_examples=5, deadline=None, database=None, derandomize=True)
@given(st.lists(windows, min_size=20, max_size=20))
def test_any_window(cases):
    many = Many()
    for kind, height, width, channels, window_h, window_w, stride_h, stride_w, same in cases:
        window = (window_h, window_w) if same else (min(window_h, height), min(window_w, width))
        pooled(many, kind, (1, height, width, channels), window, (stride_h, stride_w), SAME if same else VALID)
    many.check(4, variants=("portable",), sanitize=True)


@pytest.mark.parametrize(
    ("case", "ahead"),
    [
        (((1, 6, 6, 5), (2, 2), (2, 2), VALID), 0),
        (((2, 5, 5, 3), (5, 5), (5, 5), VALID), 0),
        (((1, 6, 5, 6), (3, 3), (1, 1), SAME), 36),
        (((1, 7, 7, 4), (3, 3), (2, 2), VALID), 0),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_output_over_input(kind, case, ahead):
    assert check_overlap(pooled(Many(), kind, *case).model()) == ahead


def test_output_over_input_needs_the_head_start():
    model = pooled(Many(), "MAX_POOL_2D", (1, 6, 5, 6), (3, 3), (1, 1), SAME).model()
    with pytest.raises(AssertionError, match="values differ"):
        check_overlap(model, shift=-1)


@pytest.mark.parametrize("device", ["cortex-m4-an386", "cortex-m55-an547"])
def test_on_an_emulated_core(device):
    many = Many()
    for kind, case in itertools.product(KINDS, CASES):
        pooled(many, kind, *case)
    many.check(3, variants=(), devices=(device,))
