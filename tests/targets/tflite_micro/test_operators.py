"""One case of every operator in one graph, bit for bit: on the host with sanitizers, and on every emulated core.

Each family of operators has tests of its own with many more cases; here is the one that runs everywhere.
"""

import harness
import numpy as np
import pytest
from many import Many

CORES = ("cortex-m3-an385", "cortex-m4-an386", "cortex-m7-an500", "cortex-m33-an505", "cortex-m55-an547")
SAMPLES = 64
RANDOM = np.random.default_rng(11)
IMAGE, A, B, C = (
    (1, 7, 6, 5),
    {"scale": 0.04, "zero_point": -7},
    {"scale": 0.055, "zero_point": 11},
    {"scale": 0.07, "zero_point": 3},
)


def image(shape=IMAGE, **more):
    return harness.tensor(shape, **{**A, **more})


def out(shape=IMAGE, **more):
    return harness.tensor(shape, **{**C, **more})


def weights(shape, axis, channels):
    return harness.tensor(
        shape, scale=RANDOM.uniform(0.002, 0.01, channels), data=RANDOM.integers(-127, 128, shape), axis=axis
    )


def bias(channels):
    return harness.tensor((channels,), "int32", scale=0.001, data=RANDOM.integers(-900, 900, channels))


def ints(*values):
    return harness.tensor((len(values),), "int32", data=values)


def window(**more):
    return {"padding": 0, "strideH": 2, "strideW": 1, "filterHeight": 3, "filterWidth": 2, **more}


STEP = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}


def convolutions(many):
    for kernel, options in (
        ((1, 1), {"padding": 1}), ((3, 3), {"padding": 0, "fusedActivationFunction": 1}),
        ((3, 2), {"padding": 1, "dilationHFactor": 2}), ((2, 3), {"padding": 0, "strideH": 2, "strideW": 2}),
    ):  # fmt: skip
        all_of = {**STEP, **options}
        reach = [(size - 1) * all_of[f"dilation{axis}Factor"] + 1 for size, axis in zip(kernel, "HW", strict=True)]
        sizes = [
            -(-n // all_of[f"stride{axis}"]) if options["padding"] == 0 else -(-(n - r + 1) // all_of[f"stride{axis}"])
            for n, r, axis in zip(IMAGE[1:3], reach, "HW", strict=True)
        ]
        many.add("CONV_2D", [image(), weights((9, *kernel, 5), 0, 9), bias(9)], [out((1, *sizes, 9))], all_of)
    grouped = [image((1, 5, 5, 6)), weights((4, 3, 3, 3), 0, 4), bias(4)]
    many.add("CONV_2D", grouped, [out((1, 5, 5, 4))], {**STEP, "padding": 0})
    for multiplier in (1, 3):
        count = 5 * multiplier
        deep = [image(), weights((1, 3, 3, count), 3, count), bias(count)]
        many.add(
            "DEPTHWISE_CONV_2D", deep, [out((1, 7, 6, count))], {**STEP, "padding": 0, "depthMultiplier": multiplier}
        )
    up = [ints(1, 14, 12, 4), weights((4, 3, 3, 5), 0, 4), image(), bias(4)]
    many.add("TRANSPOSE_CONV", up, [out((1, 14, 12, 4))], {"padding": 0, "strideH": 2, "strideW": 2})
    dense = [image((1, 33)), harness.tensor((7, 33), scale=0.01, data=RANDOM.integers(-127, 128, (7, 33))), bias(7)]
    many.add("FULLY_CONNECTED", dense, [out((1, 7))])


def pools_and_sums(many):
    many.add("AVERAGE_POOL_2D", [image()], [out((1, 4, 6, 5), **A)], window())
    many.add("MAX_POOL_2D", [image()], [out((1, 4, 6, 5), **A)], window())
    many.add("AVERAGE_POOL_2D", [image()], [out((1, 1, 1, 5), **A)], window(filterHeight=7, filterWidth=6, padding=1))
    many.add("MEAN", [image(), ints(1, 2)], [out((1, 5))], {"keepDims": False})


def arithmetic(many):
    vector = {"shape": (1, 1, 1, 5)}
    for kind in ("ADD", "SUB", "MUL"):
        many.add(kind, [image(), harness.tensor(IMAGE, **B)], [out()], {"fusedActivationFunction": 1})
        many.add(kind, [image(), harness.tensor(vector["shape"], **B)], [out()])
    for kind in ("MINIMUM", "MAXIMUM"):
        many.add(kind, [image(), image()], [out(**A)])
    alpha = harness.tensor((1, 1, 5), scale=0.01, data=RANDOM.integers(-127, 128, (1, 1, 5)))
    many.add("PRELU", [image(), alpha], [out()])


def functions(many):
    for kind in ("RELU", "RELU6", "HARD_SWISH"):
        many.add(kind, [image()], [out()])
    many.add("LEAKY_RELU", [image()], [out()], {"alpha": 0.2})
    many.add("LOGISTIC", [image()], [out(scale=1 / 256, zero_point=-128)])
    many.add("TANH", [image()], [out(scale=1 / 128, zero_point=0)])
    many.add("SOFTMAX", [image((3, 10))], [out((3, 10), scale=1 / 256, zero_point=-128)], {"beta": 1.0})
    many.add("QUANTIZE", [image()], [out()])
    many.add("DEQUANTIZE", [image()], [harness.tensor(IMAGE, "float32")])


def movements(many):
    many.add("CONCATENATION", [image(), image((1, 7, 6, 2))], [out((1, 7, 6, 7), **A)], {"axis": 3})
    many.add(
        "PAD", [image(), harness.tensor((4, 2), "int32", data=[0, 0, 1, 2, 0, 1, 0, 0])], [out((1, 10, 7, 5), **A)]
    )
    many.add("RESHAPE", [image(), ints(1, 210)], [out((1, 210), **A)], {"newShape": [1, 210]})
    many.add("TRANSPOSE", [image(), ints(0, 3, 1, 2)], [out((1, 5, 7, 6), **A)])
    many.add("SLICE", [image(), ints(0, 1, 2, 1), ints(1, 4, 3, 2)], [out((1, 4, 3, 2), **A)])
    strided = [image(), ints(0, 6, 0, 0), ints(1, 0, 6, 5), ints(1, -2, 1, 3)]
    many.add("STRIDED_SLICE", strided, [out((1, 3, 6, 2), **A)], {"beginMask": 0, "endMask": 0})
    many.add("SPLIT", [ints(3), image((1, 4, 4, 6))], [out((1, 4, 4, 2), **A)] * 3, {"numSplits": 3})
    sizes = ints(11, 9)
    many.add("RESIZE_NEAREST_NEIGHBOR", [image(), sizes], [out((1, 11, 9, 5), **A)], {"halfPixelCenters": True})
    many.add("RESIZE_BILINEAR", [image(), sizes], [out((1, 11, 9, 5), **A)], {"halfPixelCenters": True})


@pytest.fixture(scope="module")
def everything():
    many = Many()
    for family in (convolutions, pools_and_sums, arithmetic, functions, movements):
        family(many)
    model = many.model()
    samples = harness.random_samples(model, SAMPLES, seed=5)
    return model, samples, harness.reference(model, samples), [op[0] for op in many.ops]


def told(problem, kinds):
    """Names of operators instead of numbers of outputs."""
    return f"{problem} (operators in order: {', '.join(kinds)})"


@pytest.mark.parametrize("core", CORES)
def test_on_a_core(everything, core):
    model, samples, wanted, kinds = everything
    problem = harness.difference(wanted, harness.firmware(model, samples, core))
    assert not problem, told(problem, kinds)


@pytest.mark.parametrize("variant", ["portable", "dsp"])
def test_under_sanitizers(everything, variant):
    model, samples, wanted, kinds = everything
    problem = harness.difference(wanted, harness.host(model, samples, variant, sanitize=True))
    assert not problem, told(problem, kinds)
