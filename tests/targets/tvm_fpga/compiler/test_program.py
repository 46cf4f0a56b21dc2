"""Ports: tensors as bytes of the image, and back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from targets.tvm_fpga.compiler.compile import compile_region
from targets.tvm_fpga.compiler.ir import Tensor
from targets.tvm_fpga.compiler.program import Port
from targets.tvm_fpga.geometry import INSTRUCTION_BYTES, Geometry
from targets.tvm_fpga.isa import Op, decode
from tests.targets.tvm_fpga.compiler.agree import single
from tests.targets.tvm_fpga.regions import layer

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 9))


def _value(shape, seed=0):
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


@given(SHAPES, st.integers(0, 99), st.integers(0, 20))
def test_plain_tensors_come_back(shape, seed, gap):
    pixel = -(-shape[2] // 4) * 4
    port = Port(Tensor("x", *shape), 64, shape[1] * pixel + gap, pixel)
    image = np.zeros(64 + port.size, np.int8)
    image[64:] = port.pack(_value(shape, seed))
    assert np.array_equal(port.unpack(image), _value(shape, seed))
    spread = image[64:].reshape(shape[0], -1)[:, : shape[1] * pixel].reshape(shape[0], shape[1], pixel)
    assert not spread[..., shape[2] :].any(), "channels that there are none of are not zero"


@given(SHAPES, st.integers(0, 3), st.integers(0, 9), st.integers(-9, 9))
def test_raw_rows_are_padded_with_the_zero_point(shape, left, gap, zero):
    row = (left + shape[1]) * shape[2] + gap
    port = Port(Tensor("x", *shape, zero=zero), 0, row, shape[2], left)
    rows = port.pack(_value(shape)).reshape(shape[0], row)
    start = left * shape[2]
    assert (rows[:, :start] == zero).all() and (rows[:, row - gap :] == zero).all() | (gap == 0)
    assert np.array_equal(rows[:, start : row - gap].reshape(shape), _value(shape))


def _program():
    draw = np.random.default_rng(0)
    made = layer(draw, "x", Tensor("in", 9, 9, 3, zero=7), 5, (3, 3), (2, 2), (1, 1))
    return compile_region(single(made), Geometry(lanes=8))


def test_the_stream_in_the_image_is_the_program():
    program = _program()
    data = program.image.tobytes()[program.program_at :]
    found = [decode(data[at : at + INSTRUCTION_BYTES]) for at in range(0, len(data), INSTRUCTION_BYTES)]
    assert [each.encode() for each in found[: len(program.instructions)]] == [
        each.encode() for each in program.instructions
    ]
    assert len(program.instructions) % 4 == 0 and program.instructions[-1].op is Op.FINISH
    assert len(program.layers) == len(program.of(Op.COMPUTE))


def test_the_same_region_gives_the_same_bytes():
    assert np.array_equal(_program().image, _program().image)


def test_a_listing_has_a_line_for_each_instruction():
    program = _program()
    lines = program.listing().splitlines()
    assert len(lines) == len(program.instructions)
    assert "COMPUTE" in program.listing() and "; weights of x" in program.listing()
