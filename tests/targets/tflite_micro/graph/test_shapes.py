"""Derived shapes against those that LiteRT derives, over random parameters; and a file that lies is refused."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from graph_files import ints, litert_shapes, main_graph, q8
from harness import tensor, tiny
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from profiles.errors import ModelError
from targets.tflite_micro.graph import shapes
from targets.tflite_micro.ops import registry

small = st.integers(1, 7)
window = st.integers(1, 3)
padding = st.sampled_from([schema.Padding.SAME, schema.Padding.VALID])
shape4 = st.tuples(st.integers(1, 2), small, small, st.integers(1, 4))


def weights(*shape):
    return tensor(shape, "int8", 0.25, 0, data=np.zeros(shape, np.int8))


def bias(count):
    return tensor((count,), "int32", 0.125, 0, data=np.zeros(count, np.int32))


def image(draw):
    return draw(shape4)


def conv(draw):
    shape, groups, multiple = image(draw), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    shape = (*shape[:3], shape[3] * groups)
    filters = groups * multiple
    options = slide(draw) | {"dilationHFactor": draw(window), "dilationWFactor": draw(window)}
    kernel = weights(filters, draw(window), draw(window), shape[3] // groups)
    return "CONV_2D", [q8(shape), kernel, bias(filters)], 1, options


def depthwise(draw):
    shape, multiplier = image(draw), draw(st.integers(1, 3))
    options = slide(draw) | {"depthMultiplier": multiplier}
    options |= {"dilationHFactor": draw(window), "dilationWFactor": draw(window)}
    return "DEPTHWISE_CONV_2D", [q8(shape), weights(1, draw(window), draw(window), shape[3] * multiplier)], 1, options


def slide(draw):
    return {"strideH": draw(window), "strideW": draw(window), "padding": draw(padding)}


def pool(draw):
    kind = draw(st.sampled_from(["MAX_POOL_2D", "AVERAGE_POOL_2D"]))
    return kind, [q8(image(draw))], 1, slide(draw) | {"filterHeight": draw(small), "filterWidth": draw(small)}


def transpose_conv(draw):
    shape, options, filters = image(draw), slide(draw), draw(window)
    kernel = draw(window), draw(window)
    size = [
        n * options[f"stride{axis}"]
        + (max(k - options[f"stride{axis}"], 0) if options["padding"] == schema.Padding.VALID else 0)
        for n, k, axis in zip(shape[1:3], kernel, "HW", strict=True)
    ]
    return (
        "TRANSPOSE_CONV",
        [ints(shape[0], *size, filters), weights(filters, *kernel, shape[3]), q8(shape)],
        1,
        options,
    )


def dense(draw):
    shape = draw(st.lists(small, min_size=2, max_size=3))
    return "FULLY_CONNECTED", [q8(shape), weights(draw(small), shape[-1])], 1, {"keepNumDims": draw(st.booleans())}


def broadcast(draw):
    shape = draw(st.lists(small, min_size=1, max_size=4))
    other = [size if draw(st.booleans()) else 1 for size in shape][draw(st.integers(0, len(shape) - 1)) :]
    pair = [q8(shape), q8(other)]
    kind = draw(st.sampled_from(["ADD", "SUB", "MUL", "MINIMUM", "MAXIMUM"]))
    return kind, pair[:: draw(st.sampled_from([1, -1]))], 1, {}


def unary(draw):
    kind = draw(
        st.sampled_from(["LOGISTIC", "TANH", "RELU", "RELU6", "SOFTMAX", "QUANTIZE", "LEAKY_RELU", "HARD_SWISH"])
    )
    return kind, [q8(image(draw))], 1, {"beta": 1.0} if kind == "SOFTMAX" else {}


def prelu(draw):
    shape = image(draw)
    return "PRELU", [q8(shape), weights(1, 1, shape[3])], 1, {}


def mean(draw):
    shape = image(draw)
    axes = draw(st.lists(st.integers(-4, 3), min_size=1, max_size=3))
    return (
        draw(st.sampled_from(["MEAN", "SUM", "REDUCE_MAX"])),
        [q8(shape), ints(*axes)],
        1,
        {"keepDims": draw(st.booleans())},
    )


def reshape(draw):
    shape = image(draw)
    wanted = draw(st.permutations(shape))
    wanted[draw(st.integers(0, 3))] = draw(st.sampled_from([-1, wanted[0]]))
    assume(-1 in wanted or np.prod(wanted) == np.prod(shape))
    return "RESHAPE", [q8(shape), ints(*wanted)], 1, {}


def squeeze(draw):
    shape = [draw(st.sampled_from([1, 2])) for _ in range(4)]
    dims = [
        place - draw(st.sampled_from([0, 4])) for place, size in enumerate(shape) if size == 1 and draw(st.booleans())
    ]
    return "SQUEEZE", [q8(shape)], 1, {"squeezeDims": dims}


def expand_dims(draw):
    return "EXPAND_DIMS", [q8(image(draw)[1:]), ints(draw(st.integers(-4, 3)))], 1, {}


def transpose(draw):
    return "TRANSPOSE", [q8(image(draw)), ints(*draw(st.permutations(range(4))))], 1, {}


def pad(draw):
    amounts = [draw(st.integers(0, 2)) for _ in range(8)]
    kind = draw(st.sampled_from(["PAD", "PADV2", "MIRROR_PAD"]))
    extra = [tensor((1,), "int8", 0.5, 3, data=[7])] if kind == "PADV2" else []
    options = {"mode": draw(st.sampled_from([0, 1]))} if kind == "MIRROR_PAD" else {}
    return kind, [q8(image(draw)), ints(*amounts, shape=(4, 2)), *extra], 1, options


def concatenation(draw):
    shape, at = list(image(draw)), draw(st.integers(-4, 3))
    parts = []
    for _ in range(draw(window)):
        shape[at] = draw(small)
        parts.append(q8(shape))
    return "CONCATENATION", parts, 1, {"axis": at}


def slices(draw):
    shape = image(draw)
    begin = [draw(st.integers(0, size - 1)) for size in shape]
    size = [
        draw(st.sampled_from([-1, *range(1, total - first + 1)])) for total, first in zip(shape, begin, strict=True)
    ]
    return "SLICE", [q8(shape), ints(*begin), ints(*size)], 1, {}


def strided(draw):
    shape = image(draw)
    begin, end = ([draw(st.integers(-9, 9)) for _ in shape] for _ in range(2))
    step = [draw(st.sampled_from([1, 2, 3, -1, -2])) for _ in shape]
    masks = {name: draw(st.integers(0, 15)) for name in ("beginMask", "endMask")}
    if draw(st.booleans()):
        at = draw(st.integers(0, 3))
        masks["shrinkAxisMask"], begin[at], step[at] = 1 << at, draw(st.integers(-shape[at], shape[at] - 1)), 1
    return "STRIDED_SLICE", [q8(shape), ints(*begin), ints(*end), ints(*step)], 1, masks


def split(draw):
    shape, at, parts = list(image(draw)), draw(st.integers(-4, 3)), draw(window)
    shape[at] *= parts
    return "SPLIT", [ints(at, shape=()), q8(shape)], parts, {"numSplits": parts}


def split_v(draw):
    shape, at = list(image(draw)), draw(st.integers(-4, 3))
    sizes = draw(st.lists(small, min_size=1, max_size=3))
    shape[at] = sum(sizes)
    if draw(st.booleans()):
        sizes[-1] = -1
    return "SPLIT_V", [q8(shape), ints(*sizes), ints(at, shape=())], len(sizes), {"numSplits": len(sizes)}


def pack(draw):
    count, shape = draw(window), image(draw)[1:]
    return "PACK", [q8(shape)] * count, 1, {"axis": draw(st.integers(-4, 3)), "valuesCount": count}


def unpack(draw):
    shape, at = image(draw), draw(st.integers(-4, 3))
    return "UNPACK", [q8(shape)], shape[at], {"axis": at, "num": shape[at]}


def resize(draw):
    kind = draw(st.sampled_from(["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"]))
    return kind, [q8(image(draw)), ints(draw(small), draw(small))], 1, {"alignCorners": draw(st.booleans())}


def shape_of(draw):
    return "SHAPE", [q8(image(draw))], 1, {"outType": schema.TensorType.INT32}


def tile(draw):
    return "TILE", [q8(image(draw)), ints(*(draw(window) for _ in range(4)))], 1, {}


def broadcast_to(draw):
    wanted = image(draw)
    shape = [draw(st.sampled_from([1, size])) for size in wanted][draw(window) - 1 :]
    return "BROADCAST_TO", [q8(shape), ints(*wanted)], 1, {}


def gather(draw):
    shape, at = image(draw), draw(st.integers(0, 3))
    picked = draw(st.lists(st.integers(0, shape[at] - 1), min_size=1, max_size=4))
    batch = draw(st.sampled_from([0, 1])) if at and shape[0] == len(picked) else 0
    return "GATHER", [q8(shape), ints(*picked)], 1, {"axis": at - draw(st.sampled_from([0, 4])), "batchDims": batch}


def reverse(draw):
    return "REVERSE_V2", [q8(image(draw)), ints(draw(st.integers(-4, 3)))], 1, {}


def blocks(draw):
    batch, height, width, channels = image(draw)
    block = draw(window)
    if draw(st.booleans()):
        return "SPACE_TO_DEPTH", [q8((batch, height * block, width * block, channels))], 1, {"blockSize": block}
    return "DEPTH_TO_SPACE", [q8((batch, height, width, channels * block * block))], 1, {"blockSize": block}


def batches(draw):
    batch, height, width, channels = image(draw)
    two, amounts = (draw(window), draw(window)), [draw(st.integers(0, 2)) for _ in range(4)]
    extra = [ints(*two), ints(*amounts, shape=(2, 2))]
    if draw(st.booleans()):
        return "BATCH_TO_SPACE_ND", [q8((batch * two[0] * two[1], height, width, channels)), *extra], 1, {}
    height, width = (height + 4) * two[0] - sum(amounts[:2]), (width + 4) * two[1] - sum(amounts[2:])
    return "SPACE_TO_BATCH_ND", [q8((batch, height, width, channels)), *extra], 1, {}


CASES = [
    conv, depthwise, pool, transpose_conv, dense, broadcast, unary, prelu, mean, reshape, squeeze, expand_dims,
    transpose, pad, concatenation, slices, strided, split, split_v, pack, unpack, resize, shape_of, tile,
    broadcast_to, gather, reverse, blocks, batches,
]  # fmt: skip


def build(case, stated):
    """A file with one operator whose outputs are said to have these shapes."""
    kind, tensors, outputs, options = case
    makes = {"SHAPE": lambda shape: tensor(shape, "int32")}.get(kind, q8)
    if kind == "SOFTMAX":
        makes = lambda shape: q8(shape, 1 / 256, -128)  # noqa: E731
    if kind in ("LOGISTIC", "TANH"):
        makes = lambda shape: q8(shape, 1 / (256 if kind == "LOGISTIC" else 128), -128 if kind == "LOGISTIC" else 0)  # noqa: E731
    made = [makes(shape) for shape in stated]
    places = list(range(len(tensors)))
    inputs = [place for place in places if tensors[place]["data"] is None]
    results = list(range(len(tensors), len(tensors) + outputs))
    return tiny([(kind, places, results, options)], [*tensors, *made], inputs, results)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_shapes_are_those_of_litert(case, data):
    made = case(data.draw)
    wanted = litert_shapes(build(made, [(1, 1, 1, 1)] * made[2]))
    assume(wanted is not None and all(0 not in shape for shape in wanted))
    graph = main_graph(build(made, wanted))
    assert shapes.INFER[made[0]](graph.ops[0], graph) == wanted
    at = data.draw(st.integers(0, len(wanted[0])))
    lie = [*wanted[0], 2] if at == len(wanted[0]) else [*wanted[0][:at], wanted[0][at] + 1, *wanted[0][at + 1 :]]
    with pytest.raises(ModelError):
        main_graph(build(made, [lie, *wanted[1:]]))


def test_every_operator_with_a_kernel_has_a_shape_rule():
    missing = set(registry.rules()) - set(shapes.INFER)
    assert not missing, f"nothing derives the output shapes of {sorted(missing)}, so a file could state false ones"


WRONG = {
    "a stride of 0": ("CONV_2D", [q8((1, 4, 4, 2)), weights(2, 1, 1, 2)], {"strideH": 0, "strideW": 1}, (1, 4, 4, 2)),
    "weights for other channels": (
        "CONV_2D", [q8((1, 4, 4, 3)), weights(2, 1, 1, 2)], {"strideH": 1, "strideW": 1}, (1, 4, 4, 2),
    ),
    "a kernel of 0": ("MAX_POOL_2D", [q8((1, 4, 4, 2))], {"strideH": 1, "strideW": 1}, (1, 4, 4, 2)),
    "too few biases": (
        "FULLY_CONNECTED", [q8((1, 4)), weights(3, 4), bias(2)], {}, (1, 3),
    ),
    "a slice beyond the end": ("SLICE", [q8((4,)), ints(2), ints(3)], {}, (3,)),
    "a negative padding": ("PAD", [q8((4,)), ints(-1, 0, shape=(1, 2))], {}, (3,)),
    "an axis twice": ("TRANSPOSE", [q8((2, 2)), ints(0, 0)], {}, (2, 2)),
    "an axis too far": ("MEAN", [q8((2, 2)), ints(2)], {}, (2,)),
    "float sizes": ("RESIZE_BILINEAR", [q8((1, 2, 2, 1)), tensor((2,), "float32", data=[2, 2])], {}, (1, 2, 2, 1)),
    "parts that do not add up": ("SPLIT_V", [q8((4,)), ints(1, 2), ints(0, shape=())], {"numSplits": 1}, (4,)),
    "a reshape that grows": ("RESHAPE", [q8((4,)), ints(8)], {}, (8,)),
    "inputs that do not fit": ("ADD", [q8((4,)), q8((3,))], {}, (4,)),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_wrong_parameters_are_refused(what):
    kind, tensors, options, stated = WRONG[what]
    with pytest.raises(ModelError, match=kind):
        main_graph(build((kind, tensors, 1, options), [stated]))
