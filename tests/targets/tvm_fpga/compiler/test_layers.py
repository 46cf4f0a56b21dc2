"""Every kind of layer: kernels, strides, paddings, dilations, groups."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.tvm_fpga.compiler.ir import Kind, Tensor
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Mode, Op
from tests.targets.tvm_fpga.compiler.agree import agree, computes, single
from tests.targets.tvm_fpga.regions import layer, random_layer

SIZES = st.tuples(st.integers(1, 11), st.integers(1, 11), st.integers(1, 20))


def _source(draw, shape):
    return Tensor("in", *shape, zero=int(draw.integers(-50, 50)))


CASES = {
    "conv 1x1": {"kernel": (1, 1)},
    "conv 3x3": {"kernel": (3, 3), "padding": (1, 1)},
    "conv 5x5": {"kernel": (5, 5), "padding": (2, 2)},
    "conv 7x7": {"kernel": (7, 7), "padding": (3, 3), "stride": (2, 2)},
    "conv 10x4": {"kernel": (10, 4), "padding": (4, 1), "stride": (2, 2)},
    "strided": {"kernel": (3, 3), "stride": (3, 2), "padding": (1, 0)},
    "strided 1x1": {"kernel": (1, 1), "stride": (2, 2)},
    "dilated": {"kernel": (3, 3), "dilation": (2, 3), "padding": (2, 3)},
    "depthwise 3x3": {"kernel": (3, 3), "padding": (1, 1), "kind": Kind.DEPTHWISE},
    "depthwise 3x3, stride 2": {"kernel": (3, 3), "padding": (0, 1), "stride": (2, 2), "kind": Kind.DEPTHWISE},
    "depthwise 3x3, stride 3": {"kernel": (3, 3), "padding": (1, 1), "stride": (3, 3), "kind": Kind.DEPTHWISE},
    "depthwise 5x5": {"kernel": (5, 5), "padding": (2, 2), "kind": Kind.DEPTHWISE},
    "depthwise, dilated": {"kernel": (3, 3), "padding": (2, 2), "dilation": (2, 2), "kind": Kind.DEPTHWISE},
    "max pooling": {"kernel": (3, 3), "padding": (1, 1), "stride": (2, 2), "kind": Kind.LARGEST},
    "average pooling": {"kernel": (2, 2), "stride": (2, 2), "kind": Kind.DEPTHWISE},
}


@pytest.mark.parametrize("lanes", [4, 8])
@pytest.mark.parametrize("given_", CASES.values(), ids=CASES.keys())
def test_a_layer_gives_what_its_definition_says(given_, lanes):
    """Odd sizes; more channels than lanes, and not a multiple."""
    draw = np.random.default_rng(lanes)
    source = _source(draw, (13, 11, lanes + 3))
    outputs = source.channels if "kind" in given_ else 2 * lanes + 1
    agree(single(layer(draw, "x", source, outputs, **given_)), Geometry(lanes=lanes))


@settings(max_examples=60)
@given(st.integers(0, 1 << 30), st.sampled_from([4, 8]), st.sampled_from([8, 16]), SIZES)
def test_random_layers_agree(seed, lanes, port, shape):
    """Paddings that differ from side to side, kernels wider than the image, clamps, groups."""
    draw = np.random.default_rng(seed)
    agree(single(random_layer(draw, "x", _source(draw, shape))), Geometry(lanes=lanes, port=port, accumulators=64))


@pytest.mark.parametrize("shape", [(7, 7, 9), (1, 1, 30), (25, 5, 8)])
def test_a_global_pooling_is_one_position(shape):
    draw = np.random.default_rng(0)
    for kind in (Kind.DEPTHWISE, Kind.LARGEST):
        agree(single(layer(draw, "x", _source(draw, shape), shape[2], shape[:2], kind=kind)), Geometry(lanes=4))


def test_dense_is_a_convolution_of_one_position():
    draw = np.random.default_rng(0)
    agree(single(layer(draw, "x", _source(draw, (1, 1, 70)), 33, (1, 1))), Geometry(lanes=8))


@pytest.mark.parametrize("lanes", [4, 8])
def test_a_clamp_is_a_relu(lanes):
    draw = np.random.default_rng(0)
    made = layer(draw, "x", _source(draw, (5, 5, 6)), 9, (1, 1))
    for lo, hi in ((made.zero, 127), (made.zero, made.zero + 60)):
        object.__setattr__(made, "lo", lo)
        object.__setattr__(made, "hi", hi)
        agree(single(made), Geometry(lanes=lanes))


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_tiles_of_other_groups_are_left_out(groups):
    """A grouped convolution of whole tiles takes a group's share of the multiplications only."""
    draw = np.random.default_rng(0)
    made = layer(draw, "x", _source(draw, (4, 4, 32)), 32, (3, 3), padding=(1, 1), groups=groups)
    program = agree(single(made), Geometry(lanes=4))
    tiles = sum(each["nt"] * each["ct"] for each in computes(program))
    assert tiles == 64 // groups, f"{tiles} tiles per tap for {groups} groups of {32 // groups} channels"


def test_few_channels_are_cut_into_runs():
    """Three taps of three channels are one tile of 16, not three."""
    draw = np.random.default_rng(0)
    made = layer(draw, "x", _source(draw, (9, 9, 3)), 5, (3, 3), padding=(1, 1))
    program = agree(single(made), Geometry(lanes=16))
    assert {(each["kh"], each["kw"], each["ct"]) for each in computes(program)} == {(3, 1, 1)}
    assert all(each["expand"] for each in program.of(Op.LOAD) if not each["memory"])
    assert program.inputs[0].raw


def test_line_buffers_are_for_many_positions_only():
    draw = np.random.default_rng(0)
    for size, mode in ((8, Mode.WINDOW), (3, Mode.TAPS)):
        made = layer(draw, "x", _source(draw, (size, size, 4)), 4, (3, 3), kind=Kind.DEPTHWISE)
        assert {each["mode"] for each in computes(agree(single(made), Geometry(lanes=16)))} == {mode}
