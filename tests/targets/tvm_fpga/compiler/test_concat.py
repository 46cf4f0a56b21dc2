"""Concatenations on the channel axis: in place, by copies, and through memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import UnsupportedError
from targets.tvm_fpga.compiler.compile import prepared
from targets.tvm_fpga.compiler.ir import Region, Tensor
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Op
from tests.targets.tvm_fpga.compiler.agree import agree
from tests.targets.tvm_fpga.regions import layer, random_addition


def _region(channels, size=(6, 5), seed=0, then=True):
    """Layers side by side, one behind them that needs all."""
    draw = np.random.default_rng(seed)
    source = Tensor("in", *size, 5, zero=3)
    out = Tensor("wide", *size, sum(channels), zero=-4)
    at = np.cumsum([0, *channels])
    made = [
        layer(draw, f"part{number}", source, count, (3, 3), padding=(1, 1), out=out, at=int(at[number]))
        for number, count in enumerate(channels)
    ]
    behind = [layer(draw, "behind", out, 6, (3, 3), padding=(1, 1))] if then else []
    return Region((*made, *behind), (source,), ((behind or made)[-1].out,))


def test_whole_vectors_are_written_in_place():
    region = _region((8, 4, 12))
    assert len(prepared(region, Geometry(lanes=4)).layers) == 4, "copies, where there is no need"
    agree(region, Geometry(lanes=4))


@settings(max_examples=25)
@given(st.lists(st.integers(1, 11), min_size=1, max_size=4), st.sampled_from([4, 8]), st.integers(0, 99))
def test_any_channels(channels, lanes, seed):
    agree(_region(channels, (3, 4), seed), Geometry(lanes=lanes))


def test_a_wide_tensor_can_come_out_or_be_spilled():
    agree(_region((8, 8, 16), then=False), Geometry(lanes=8))
    program = agree(_region((8, 8, 16), (20, 9)), Geometry(lanes=8, activations=256))
    assert len(program.of(Op.STORE)) > 20, "nothing was spilled"


def test_a_sum_can_be_a_slice():
    region = _region((8, 4))
    draw = np.random.default_rng(1)
    other = Tensor("other", 6, 5, 8)
    first = layer(draw, "first", region.sources[0], 8, (1, 1))
    made = random_addition(draw, "sum", first.out, other)
    sliced = type(made)(**{**{f: getattr(made, f) for f in made.__dataclass_fields__}, "out": region.layers[0].out})
    layers = (first, sliced, *region.layers[1:])
    agree(Region(layers, (*region.sources, other), region.outs), Geometry(lanes=4))


@pytest.mark.parametrize(("at", "seen"), [(4, "4 to 7"), (6, "6 to 9")])
def test_gaps_and_overlaps_are_refused(at, seen):
    draw, source, out = np.random.default_rng(0), Tensor("in", 3, 3, 4), Tensor("wide", 3, 3, 12)
    made = [layer(draw, f"part{each}", source, 4, (1, 1), out=out, at=each) for each in (0, at, 8)]
    with pytest.raises(UnsupportedError, match="written once each") as caught:
        agree(Region(tuple(made[:1] + made[1:2] + ([] if at == 4 else made[2:])), (source,), (out,)), Geometry(lanes=4))
    assert seen in caught.value.seen
