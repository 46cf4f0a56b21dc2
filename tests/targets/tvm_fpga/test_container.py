"""The file of a command stream: it comes back as it was, and nothing else is taken for one."""

import dataclasses
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import ModelError
from targets.tvm_fpga import container
from targets.tvm_fpga.bounds import check_bounds
from targets.tvm_fpga.compiler.compile import compile_region
from targets.tvm_fpga.geometry import INSTRUCTION_BYTES, Geometry
from targets.tvm_fpga.isa import FIELDS, Op
from tests.targets.tvm_fpga.networks import dscnn

GEOMETRY = Geometry(lanes=4)


@pytest.fixture(scope="module")
def program():
    return compile_region(dscnn(), GEOMETRY)


@pytest.fixture(scope="module")
def data(program):
    return container.encode(program)


def resealed(data):
    """The bytes with a checksum that is right again."""
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def changed(program, number, **fields):
    """The program's file with one instruction changed."""
    image = program.image.copy()
    start = program.program_at + number * INSTRUCTION_BYTES
    word = int.from_bytes(image[start : start + INSTRUCTION_BYTES].tobytes(), "little")
    known = {field.name: field for field in FIELDS[program.instructions[number].op]}
    for name, value in fields.items():
        word &= ~(((1 << known[name].bits) - 1) << known[name].low)
        word |= known[name].pack(value)
    image[start : start + INSTRUCTION_BYTES] = np.frombuffer(word.to_bytes(INSTRUCTION_BYTES, "little"), np.int8)
    return container.encode(dataclasses.replace(program, image=image))


def number_of(program, op):
    return next(number for number, each in enumerate(program.instructions) if each.op is op)


def test_a_program_comes_back_as_it_was(program, data, tmp_path):
    container.save(program, tmp_path / "a.ewfs")
    again = container.load(tmp_path / "a.ewfs", GEOMETRY)
    assert [(i.encode(), i.note) for i in again.instructions] == [(i.encode(), i.note) for i in program.instructions]
    assert (again.inputs, again.outputs, again.layers) == (program.inputs, program.outputs, program.layers)
    assert np.array_equal(again.image, program.image)
    assert container.encode(again) == data


def test_another_array_is_refused_with_both_named(data):
    with pytest.raises(ModelError, match="this array") as caught:
        container.parse(data, Geometry(lanes=8))
    assert "lanes 4" in caught.value.seen
    assert "lanes 8" in caught.value.allowed


@pytest.mark.parametrize("keep", [0, 3, 11, 60, -33, -1])
def test_a_truncated_file_is_refused(data, keep):
    with pytest.raises(ModelError):
        container.parse(data[:keep])


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_one_changed_byte_is_noticed(data, draw):
    at = draw.draw(st.integers(0, len(data) - 1))
    broken = bytearray(data)
    broken[at] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(ModelError):
        container.parse(bytes(broken))


def test_another_version_is_refused(data):
    broken = bytearray(data)
    struct.pack_into("<H", broken, 4, 2)
    with pytest.raises(ModelError, match="version"):
        container.parse(resealed(bytes(broken)))


WRONG = [
    (Op.LOAD, {"dram": (1 << 32) - 8}, "memory up to"),
    (Op.LOAD, {"sram": (1 << 20) - 1}, "of "),
    (Op.LOAD, {"rows": 0}, "0 rows"),
    (Op.LOAD, {"wait_compute": 9}, "wait_compute is 9"),
    (Op.STORE, {"sram": (1 << 20) - 1}, "activations up to"),
    (Op.COMPUTE, {"nt": 0}, "nt is 0"),
    (Op.COMPUTE, {"wgt": (1 << 20) - 1}, "weights up to"),
    (Op.COMPUTE, {"par": 4095}, "parameters up to"),
    (Op.COMPUTE, {"out_base": (1 << 20) - 1}, "out vectors up to"),
    (Op.COMPUTE, {"in_base": (1 << 19)}, "input vectors up to"),
    (Op.COMPUTE, {"mode": 3}, "mode 3"),
]


@pytest.mark.parametrize(("op", "fields", "words"), WRONG, ids=[f"{op.name}-{next(iter(f))}" for op, f, _ in WRONG])
def test_an_instruction_out_of_bounds_is_refused(program, op, fields, words):
    with pytest.raises(ModelError) as caught:
        container.parse(changed(program, number_of(program, op), **fields), GEOMETRY)
    assert words in str(caught.value), f"the message must say what is wrong: {caught.value}"


def test_a_stream_without_an_end_is_refused(program):
    endless = tuple(each for each in program.instructions if each.op is not Op.FINISH)
    with pytest.raises(ModelError, match="ends"):
        check_bounds(dataclasses.replace(program, instructions=endless))
