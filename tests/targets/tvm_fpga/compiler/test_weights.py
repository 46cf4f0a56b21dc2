"""Weights: portions, more than fit at once, parameters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import UnsupportedError
from targets.tvm_fpga.compiler.chunks import Ring, chunks
from targets.tvm_fpga.compiler.compile import prepared
from targets.tvm_fpga.compiler.ir import Tensor
from targets.tvm_fpga.compiler.plan import plan
from targets.tvm_fpga.compiler.schedule import Choices, schedule
from targets.tvm_fpga.geometry import Geometry
from tests.targets.tvm_fpga.compiler.agree import agree, computes, same, single
from tests.targets.tvm_fpga.networks import random_inputs
from tests.targets.tvm_fpga.regions import layer


def _layer(inputs, outputs, kernel=(3, 3), size=(6, 6)):
    draw = np.random.default_rng(0)
    return layer(draw, "x", Tensor("in", *size, inputs, zero=2), outputs, kernel, padding=(1, 1))


def test_one_group_after_the_other():
    program = agree(single(_layer(8, 64)), Geometry(lanes=4, weights=256))
    assert len(computes(program)) >= 16, "all groups at once, though they do not fit"


@pytest.mark.parametrize("size", [(4, 4), (6, 6)])
def test_a_group_that_does_not_fit_is_cut_along_the_inputs(size):
    """Sums are kept from piece to piece; with several blocks the weights are loaded again for each."""
    program = agree(single(_layer(40, 6, size=size)), Geometry(lanes=4, weights=128, accumulators=16))
    assert any(each["keep"] for each in computes(program)) and any(each["carry"] for each in computes(program))


def test_dense_layers_larger_than_the_memory():
    program = agree(single(_layer(600, 9, (1, 1), (1, 1))), Geometry(lanes=8, weights=256))
    assert any(each["keep"] for each in computes(program))


def test_taps_that_do_not_fit_are_refused():
    with pytest.raises(UnsupportedError, match="weights of 'x'") as caught:
        agree(single(_layer(4, 4, (9, 9), (12, 12))), Geometry(lanes=4, weights=128))
    assert "324" in caught.value.seen and caught.value.allowed == "128"


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([128, 512]), st.sampled_from([16, 64]))
def test_chunks_have_all_weights_once(inputs, outputs, weights, parameters):
    geometry = Geometry(lanes=4, weights=weights, parameters=parameters)
    found = chunks(_layer(inputs, outputs), geometry, 4)
    groups = [group for each in found for group in range(each.group, each.group + each.groups)]
    assert groups == list(range(-(-outputs // 4))), "groups of outputs are missing, twice, or out of order"
    rows = sum(len(piece.rows) for each in found for piece in each.pieces)
    assert rows == 4 * 9 * -(-inputs // 4) * len(groups), "weights are missing or twice"
    assert all(len(piece.rows) <= weights for each in found for piece in each.pieces)


@given(st.lists(st.integers(1, 16), min_size=1, max_size=30))
def test_a_ring_never_reaches_beyond_its_end(counts):
    ring, end = Ring(16), 0
    for count in counts:
        at = ring.take(count)
        assert 0 <= at <= 16 - count and at in (0, end)
        end = at + count


@pytest.mark.parametrize("choices", [Choices(2, 8, 3), Choices(16, 1000, 0), Choices(1, 16, 9)])
def test_every_choice_gives_the_same_result(choices):
    from targets.tvm_fpga.compiler.hazards import check_program
    from targets.tvm_fpga.compiler.reference import run_region
    from targets.tvm_fpga.compiler.run import golden, run_program

    region, geometry = single(_layer(8, 40, size=(13, 9))), Geometry(lanes=4, weights=512)
    ready = prepared(region, geometry)
    program = schedule(ready, geometry, plan(ready, geometry), choices)
    check_program(program)
    inputs = random_inputs(region)
    same(run_program(program, inputs, golden)[0], run_region(region, inputs))
