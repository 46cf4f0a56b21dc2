"""Activations that do not fit: bands of rows through memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import UnsupportedError
from targets.tvm_fpga.compiler.compile import prepared
from targets.tvm_fpga.compiler.ir import Kind, Region, Tensor
from targets.tvm_fpga.compiler.plan import plan
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Op
from tests.targets.tvm_fpga.compiler.agree import agree, single
from tests.targets.tvm_fpga.regions import layer, random_addition


def _chain(seed=0, size=(30, 11)):
    """Strides, halos, a residual over two layers, all larger than the memory."""
    draw = np.random.default_rng(seed)
    source = Tensor("in", *size, 7, zero=3)
    a = layer(draw, "a", source, 9, (3, 3), padding=(1, 1))
    b = layer(draw, "b", a.out, 9, (3, 3), padding=(1, 1), kind=Kind.DEPTHWISE)
    c = layer(draw, "c", b.out, 9, (5, 5), padding=(2, 2))
    d = random_addition(draw, "d", c.out, a.out)
    e = layer(draw, "e", d.out, 5, (3, 3), (2, 2), (1, 1))
    return Region((a, b, c, d, e), (source,), (e.out, b.out))


@pytest.mark.parametrize("lanes", [4, 8])
@pytest.mark.parametrize("activations", [256, 512, 1024])
def test_layers_run_in_bands_with_halos(lanes, activations):
    region, geometry = _chain(), Geometry(lanes=lanes, activations=activations, accumulators=64)
    places = plan(prepared(region, geometry), geometry)
    assert places.spilled, "everything fits: the test tests nothing"
    assert max(len(each.rows) for each in places.bands) > 1
    agree(region, geometry)


def test_what_fits_stays_on_the_chip():
    program = agree(_chain(), Geometry(lanes=8, activations=4096))
    assert sum(each["len"] for each in program.of(Op.STORE)) * 8 == sum(port.size for port in program.outputs)


@settings(max_examples=8)
@given(
    st.integers(0, 999), st.integers(8, 40), st.integers(3, 12), st.sampled_from([128, 256]), st.sampled_from([8, 16])
)
def test_any_size(seed, height, width, activations, port):
    agree(_chain(seed, (height, width)), Geometry(lanes=8, port=port, activations=activations * 2, accumulators=32))


def test_a_first_layer_cut_into_runs_is_banded_too():
    draw = np.random.default_rng(0)
    source = Tensor("in", 60, 12, 3, zero=9)
    program = agree(
        single(layer(draw, "x", source, 4, (3, 3), (1, 1), (1, 1))),
        Geometry(lanes=16, activations=256, accumulators=64),
    )
    assert program.inputs[0].raw and len(program.of(Op.STORE)) > 3


@pytest.mark.parametrize("kind", [Kind.CONV, Kind.DEPTHWISE])
def test_rows_wider_than_the_accumulators_are_split(kind):
    """And than the line buffers; strides and paddings at both ends."""
    draw = np.random.default_rng(0)
    for stride in (1, 2, 3):
        source = Tensor("in", 5, 70, 4)
        made = layer(draw, "x", source, 4, (3, 3), (1, stride), (1, 1), kind=kind)
        program = agree(single(made), Geometry(lanes=4, accumulators=16, line=16))
        assert max(each["ow"] for each in program.of(Op.COMPUTE)) <= 16


def test_a_row_that_does_not_fit_is_refused():
    draw = np.random.default_rng(0)
    made = layer(draw, "wide", Tensor("in", 9, 300, 4), 4, (3, 3), padding=(1, 1))
    with pytest.raises(UnsupportedError, match="not even row by row") as caught:
        agree(single(made), Geometry(lanes=4, activations=256))
    assert "wide" in caught.value.wanted and "256" in caught.value.allowed
