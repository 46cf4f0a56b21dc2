"""What cannot be compiled is refused: what was wanted, seen, allowed."""

import dataclasses

import numpy as np
import pytest

from profiles.errors import DataError, UnsupportedError
from targets.tvm_fpga.compiler.compile import check_region, compile_region, golden, run_program
from targets.tvm_fpga.compiler.ir import Addition, Kind, Region, Tensor
from targets.tvm_fpga.geometry import Geometry
from tests.targets.tvm_fpga.compiler.agree import single
from tests.targets.tvm_fpga.regions import layer

SOURCE = Tensor("in", 80, 80, 4)
GEOMETRY = Geometry(lanes=4)


def _layer(**given):
    kernel = given.pop("kernel", (1, 1))
    return layer(np.random.default_rng(0), "x", SOURCE, 4, kernel, **given)


def _changed(**given):
    return dataclasses.replace(_layer(), **given)


CASES = {
    "kernel": (_layer(kernel=(1, 64)), "64", "0 to 63"),
    "stride": (_layer(stride=(1, 8)), "8", "0 to 7"),
    "dilation": (_layer(kernel=(3, 3), dilation=(8, 1)), "8", "0 to 7"),
    "padding on the left": (_layer(padding=(0, 65)), "65", "0 to 64"),
    "multiplier": (_changed(mult=np.full(4, 65536)), "65536", "0 to 65535"),
    "shift": (_changed(shift=np.full(4, 49)), "49", "0 to 48"),
    "addition's shift": (_changed(addition=Addition(Tensor("o", 80, 80, 4), 1, 1, 27)), "27", "0 to 26"),
    "its bias": (_changed(bias=np.zeros(3, np.int32)), "(3,)", "(4,)"),
    "channels of its input": (_changed(weights=np.zeros((4, 1, 1, 5), np.int8)), "4", "5, as its weights"),
    "what it adds": (_changed(addition=Addition(Tensor("o", 80, 79, 4), 1, 1, 1)), "(80, 79, 4)", "(80, 80, 4)"),
}


@pytest.mark.parametrize(("what", "case"), CASES.items(), ids=CASES.keys())
def test_a_layer_out_of_bounds_is_refused(what, case):
    made, seen, allowed = case
    with pytest.raises(UnsupportedError, match=f"'x': {what}") as caught:
        compile_region(single(made), GEOMETRY)
    assert (caught.value.seen, caught.value.allowed) == (seen, allowed)


@pytest.mark.parametrize("memory", ["activations", "weights"])
def test_what_cannot_be_compiled_is_known_without_compiling(memory):
    """At every size of a memory, the check refuses what the compiler refuses, in its words, and nothing else."""
    region, said = single(layer(np.random.default_rng(0), "x", Tensor("in", 12, 12, 12), 8, (3, 3))), []
    for size in (16, 32, 64, 128, 1024):
        geometry = dataclasses.replace(GEOMETRY, **{memory: size})
        refusals = [_refusal(each, region, geometry) for each in (check_region, compile_region)]
        assert refusals[0] == refusals[1], f"with {size} {memory}"
        said.append(bool(refusals[0]))
    assert said[0] and not said[-1], "a memory is too small, and one is not"


def _refusal(make, region, geometry):
    try:
        make(region, geometry)
    except UnsupportedError as error:
        return str(error)
    return ""


def test_layers_out_of_order_are_refused():
    draw = np.random.default_rng(0)
    first = layer(draw, "first", SOURCE, 4, (1, 1))
    second = layer(draw, "second", first.out, 4, (1, 1))
    with pytest.raises(UnsupportedError, match="'second' reads 'first'"):
        compile_region(Region((second, first), (SOURCE,), (second.out,)), GEOMETRY)


@pytest.mark.parametrize("outs", [(SOURCE,), (Tensor("nothing", 1, 1, 1),)])
def test_outputs_that_no_layer_makes_are_refused(outs):
    with pytest.raises(UnsupportedError, match="no layer writes it"):
        compile_region(Region((_layer(),), (SOURCE,), outs), GEOMETRY)


def test_an_input_is_not_written():
    with pytest.raises(UnsupportedError, match="writes 'in'"):
        compile_region(Region((_changed(out=SOURCE),), (SOURCE,), (SOURCE,)), GEOMETRY)


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"in": np.zeros((80, 80, 3), np.int8)},
        {"in": np.zeros((80, 80, 4), np.uint8)},
        {"in": np.zeros((80, 80, 4), np.int8), "more": np.zeros(1, np.int8)},
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs):
    program = compile_region(single(_layer(kind=Kind.CONV)), GEOMETRY)
    with pytest.raises(DataError):
        run_program(program, inputs, golden)
