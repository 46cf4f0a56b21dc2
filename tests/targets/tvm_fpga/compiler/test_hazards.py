"""The proof finds what is wrong: programs that are right, with one thing broken."""

import dataclasses

import numpy as np
import pytest

from profiles.errors import VerificationError
from targets.tvm_fpga.compiler.compile import compile_region
from targets.tvm_fpga.compiler.hazards import check_program
from targets.tvm_fpga.compiler.ir import Region, Tensor
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Instruction, Op
from tests.targets.tvm_fpga.regions import layer


def _program(size=(3, 3), activations=512, channels=40, weights=128, kernel=3):
    """Small blocks behind each other, weights that are loaded again and again, stores."""
    draw = np.random.default_rng(0)
    source = Tensor("in", *size, 8)
    first = layer(draw, "first", source, channels, (1, 1))
    second = layer(draw, "second", first.out, 8, (kernel, kernel), padding=(kernel // 2, kernel // 2))
    region = Region((first, second), (source,), (second.out,))
    return compile_region(region, Geometry(lanes=4, activations=activations, weights=weights, accumulators=16))


def _with(program, number, **values):
    """One instruction changed."""
    old = program.instructions[number]
    new = Instruction(old.op, {**old.values, **values}, old.note)
    return dataclasses.replace(
        program, instructions=(*program.instructions[:number], new, *program.instructions[number + 1 :])
    )


def _numbers(program, op, name):
    return [number for number, each in enumerate(program.instructions) if each.op is op and each[name]]


_SPILLED = {"size": (20, 5), "activations": 256, "channels": 16}
#: A program, and what of it must not be less: not every wait counts, another may say the same.
CASES = {
    "weights that are not there": ({}, Op.COMPUTE, "wait_load"),
    "weights that are in use": ({}, Op.LOAD, "wait_compute"),
    "results that are not there": ({}, Op.STORE, "wait_compute"),
    "results on their way": ({"size": (1, 1), "channels": 4, "kernel": 1}, Op.COMPUTE, "fence"),
    "rows that are not in memory": (_SPILLED, Op.LOAD, "wait_store"),
    "rows that are not stored": (_SPILLED, Op.COMPUTE, "wait_store"),
}


@pytest.mark.parametrize(("size", "op", "name"), CASES.values(), ids=CASES.keys())
def test_a_wait_less_is_found(size, op, name):
    program = _program(**size)
    numbers = _numbers(program, op, name)
    assert numbers, f"no {op.name} has a {name}: the test tests nothing"
    found = 0
    for number in numbers:
        try:
            check_program(_with(program, number, **{name: program.instructions[number][name] - 1}))
        except VerificationError as error:
            found += 1
            assert "may still" in error.seen
    assert found, f"no {name} that is too small was found"


@pytest.mark.parametrize(
    ("op", "name"), [(Op.COMPUTE, "wait_load"), (Op.LOAD, "wait_compute"), (Op.STORE, "wait_compute")]
)
def test_a_wait_for_what_comes_later_is_found(op, name):
    program = _program()
    number = _numbers(program, op, name)[0]
    with pytest.raises(VerificationError, match="before it"):
        check_program(_with(program, number, **{name: 999}))


@pytest.mark.parametrize(
    ("op", "values", "seen"),
    [
        (Op.COMPUTE, {"out_base": 600}, "act"),
        (Op.COMPUTE, {"wgt": 127}, "wgt"),
        (Op.COMPUTE, {"par": 127, "nt": 2}, "par"),
        (Op.LOAD, {"dram": 1 << 30}, "dram"),
        (Op.STORE, {"dram": 1 << 30}, "dram"),
        (Op.COMPUTE, {"rows": 17}, "positions of 16"),
        (Op.COMPUTE, {"carry": 1}, "no sums"),
    ],
)
def test_what_reaches_too_far_is_found(op, values, seen):
    program = _program()
    number = next(number for number, each in enumerate(program.instructions) if each.op is op)
    if "rows" in values:
        number = next(at for at, each in enumerate(program.instructions) if each.op is op and each["kh"] == 3)
    with pytest.raises(VerificationError) as caught:
        check_program(_with(program, number, **values))
    assert seen in caught.value.seen


def test_a_store_into_the_program_is_found():
    program = _program()
    number = _numbers(program, Op.STORE, "len")[0]
    with pytest.raises(VerificationError, match="a store into the program"):
        check_program(_with(program, number, dram=program.program_at))


def test_sums_that_nobody_carries_on_are_found():
    program = _program(weights=64, channels=80)
    number = _numbers(program, Op.COMPUTE, "carry")[0]
    with pytest.raises(VerificationError, match="not carried on"):
        check_program(_with(program, number, carry=0))


def test_a_program_without_an_end_is_found():
    program = _program()
    with pytest.raises(VerificationError, match="last instruction"):
        check_program(dataclasses.replace(program, instructions=program.instructions[:3]))
