"""Additions: fused where nothing else needs a term, layers of their own where something does."""

import dataclasses

import numpy as np
import pytest

from targets.tvm_fpga.compiler.compile import prepared
from targets.tvm_fpga.compiler.ir import Region, Tensor
from targets.tvm_fpga.geometry import Geometry
from tests.targets.tvm_fpga.compiler.agree import agree
from tests.targets.tvm_fpga.regions import layer, random_addition

GEOMETRY = Geometry(lanes=4)


def _pieces(seed=0):
    draw = np.random.default_rng(seed)
    source = Tensor("in", 5, 6, 7, zero=3)
    first = layer(draw, "first", source, 7, (3, 3), padding=(1, 1))
    second = layer(draw, "second", source, 7, (1, 1))
    return draw, source, first, second


@pytest.mark.parametrize("turned", [False, True])
def test_it_goes_into_the_layer_before(turned):
    draw, source, first, second = _pieces()
    terms = (second.out, first.out) if turned else (first.out, second.out)
    region = Region((first, second, random_addition(draw, "sum", *terms)), (source,), (Tensor("sum", 5, 6, 7),))
    region = dataclasses.replace(region, outs=(region.layers[-1].out,))
    assert len(prepared(region, GEOMETRY).layers) == 2, "the addition was not fused"
    agree(region, GEOMETRY)


def test_the_input_is_added_to_what_was_made_of_it():
    draw, source, first, _ = _pieces()
    made = random_addition(draw, "sum", source, first.out)
    region = Region((first, made), (source,), (made.out,))
    assert len(prepared(region, GEOMETRY).layers) == 1, "the addition was not fused"
    agree(region, GEOMETRY)


def test_a_term_that_others_need_stays():
    draw, source, first, second = _pieces()
    made = random_addition(draw, "sum", first.out, second.out)
    region = Region((first, second, made), (source,), (made.out, first.out, second.out))
    assert len(prepared(region, GEOMETRY).layers) == 3, "what comes out was fused away"
    agree(region, GEOMETRY)


def test_a_chain_of_sums():
    draw, source, first, second = _pieces()
    one = random_addition(draw, "one", first.out, second.out)
    two = random_addition(draw, "two", one.out, source)
    three = random_addition(draw, "three", two.out, one.out)
    agree(Region((first, second, one, two, three), (source,), (three.out,)), GEOMETRY)


def test_a_tensor_plus_itself_and_two_inputs():
    draw, source, first, _ = _pieces()
    twice = random_addition(draw, "twice", first.out, first.out)
    other = Tensor("other", 5, 6, 7, zero=-9)
    made = random_addition(draw, "sum", twice.out, other)
    agree(Region((first, twice, made), (source, other), (made.out,)), GEOMETRY)
