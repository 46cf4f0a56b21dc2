"""Average and maximum pools equal the reference, on the host and in place."""

import ctypes
import itertools

import numpy as np
import pytest
from harness import program_of, random_samples, reference
from hypothesis import given, settings
from hypothesis import strategies as st
from many import Many, check_overlap, image, seen

from targets.execute import run_program
from targets.tflite_micro.kernels import INCLUDE, SOURCES
from targets.tflite_micro.ops.common import out_size
from targets.tflite_micro.ops.pool import images, ring_bytes, rows_of, sane_window

SAME, VALID = 0, 1
NONE, RELU, RELU_N1, RELU6 = range(4)


def pooled(many, kind, case, activation=NONE, zero_point=-3):
    shape, window, stride, padding = case
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
        pooled(many, kind, case)
    many.check(sanitize=True)


def test_fused_activations():
    many = Many()
    for kind, activation in itertools.product(KINDS, (RELU, RELU_N1, RELU6)):
        pooled(many, kind, ((1, 5, 4, 6), (2, 2), (1, 1), SAME), activation, zero_point=11)
        pooled(many, kind, ((1, 5, 4, 6), (5, 4), (1, 1), VALID), activation, zero_point=11)
    many.check(sanitize=True)


sizes = st.integers(1, 9)
windows = st.tuples(st.sampled_from(KINDS), *[sizes] * 5, *[st.integers(1, 4)] * 2, st.booleans())


@settings(max_examples=5, deadline=None, database=None, derandomize=True)
@given(st.lists(windows, min_size=20, max_size=20))
def test_any_window(cases):
    many = Many()
    for kind, height, width, channels, window_h, window_w, stride_h, stride_w, same in cases:
        window = (window_h, window_w) if same else (min(window_h, height), min(window_w, width))
        case = (1, height, width, channels), window, (stride_h, stride_w), SAME if same else VALID
        pooled(many, kind, case)
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
    assert check_overlap(pooled(Many(), kind, case).model()) == ahead


def test_output_over_input_needs_the_head_start():
    model = pooled(Many(), "MAX_POOL_2D", ((1, 6, 5, 6), (3, 3), (1, 1), SAME)).model()
    with pytest.raises(AssertionError, match="values differ"):
        check_overlap(model, shift=-1)


@pytest.mark.parametrize("device", ["cortex-m4-an386", "cortex-m55-an547"])
def test_on_an_emulated_core(device):
    many = Many()
    for kind, case in itertools.product(KINDS, CASES):
        pooled(many, kind, case)
    many.check(3, variants=(), devices=(device,))


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """The pools for this machine, to call their row functions."""
    path = tmp_path_factory.mktemp("pool") / "pool.so"
    sources = [str(SOURCES / name) for name in ("ew_pool.c", "ew_copy.c")]
    made = run_program(
        ["gcc", "-shared", "-fPIC", "-DEW_PORTABLE", f"-I{INCLUDE}", "-o", str(path), *sources], timeout=60
    )
    assert made.status == 0, made.stderr
    return ctypes.CDLL(str(path))


def params_of(call):
    """The struct of a pool's params, as ew_pool.h has it."""
    kinds = [(name, ctypes.c_int8 if name.startswith("act") else ctypes.c_int16) for name in call.params]
    return type("Params", (ctypes.Structure,), {"_fields_": kinds})(*call.params.values())


@pytest.mark.parametrize("case", [CASES[2], CASES[3], CASES[4], CASES[5], CASES[8]])
@pytest.mark.parametrize("kind", KINDS)
def test_row_by_row(kernels, kind, case):
    shape, *rest = case
    model = pooled(Many(), kind, ((1, *shape[1:]), *rest)).model()
    (call,), samples = program_of(model).calls, random_samples(model, 5)
    rows, params, ring = rows_of(call), params_of(call), np.empty(ring_bytes(call), np.int8)
    load, row = getattr(kernels, rows.load), getattr(kernels, rows.row)
    got, loaded = np.empty((rows.out_rows, rows.out_bytes), np.int8), 0
    image_rows = samples[4][0].reshape(rows.in_rows, rows.in_bytes)
    for y in range(rows.out_rows):
        while loaded < min(rows.in_rows, y * rows.stride + rows.reach):
            load(ctypes.byref(params), ring.ctypes, loaded, image_rows[loaded : loaded + 1].ctypes)
            loaded += 1
        row(ctypes.byref(params), ring.ctypes, y, got[y : y + 1].ctypes)
    assert np.array_equal(got.ravel(), reference(model, samples)[4][0].ravel())


def test_what_is_refused():
    window = {"filter_height": 2, "filter_width": 2, "stride_h": 2, "stride_w": 2, "padding": "valid"}
    assert "(1, 40000, 1, 1)" in seen(images, "MAX_POOL_2D", [image((1, 40000, 1, 1))], [image((1, 2, 1, 1))])
    assert "(2, 3)" in seen(images, "MAX_POOL_2D", [image((2, 3))], [image((2, 3))])
    x, y = image((1, 4, 4, 3)), image((1, 2, 2, 3))
    assert not seen(sane_window, "MAX_POOL_2D", [x], [y], window)
    assert "strides 0 and 2" in seen(sane_window, "MAX_POOL_2D", [x], [y], {**window, "stride_h": 0})
    assert "instead of (1, 2, 2, 3)" in seen(sane_window, "MAX_POOL_2D", [x], [x], window)
