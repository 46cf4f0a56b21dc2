"""TRANSPOSE and its kin, and reshapes that need a copy, equal the reference; the arithmetic of moves by brute force."""

import itertools

import numpy as np
import pytest
from harness import check, tensor
from hypothesis import given, settings
from hypothesis import strategies as st
from many import Many, check_overlap, constant, image, seen

from targets.tflite_micro.graph.ir import Tensor
from targets.tflite_micro.ops.moves import blank, few_axes, move
from targets.tflite_micro.ops.transpose import blocks_of_images, constant_axes, constant_permutation, lower_transpose


def transposed(many, shape, permutation, dtype="int8"):
    out = [shape[axis] for axis in permutation]
    if dtype == "int8":
        return many.add("TRANSPOSE", [image(shape), constant(permutation)], [image(out)])
    return many.add("TRANSPOSE", [tensor(shape, dtype), constant(permutation)], [tensor(out, dtype)])


def every_permutation(shape):
    many = Many()
    for permutation in itertools.permutations(range(len(shape))):
        transposed(many, shape, permutation)
    return many


def test_every_permutation_of_four_axes():
    many = every_permutation((2, 3, 4, 5))
    for dtype in ("int16", "int32", "float32"):
        transposed(many, (2, 3, 4, 5), (0, 2, 3, 1), dtype)
        transposed(many, (2, 3, 4, 5), (3, 2, 1, 0), dtype)
    many.check(4, sanitize=True, variants=("portable",))


@settings(max_examples=3, deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(st.permutations(range(5)), st.tuples(*[st.integers(1, 5)] * 5)), min_size=15, max_size=15))
def test_five_axes(cases):
    many = Many()
    for permutation, shape in cases:
        transposed(many, shape, permutation)
    many.check(4, sanitize=True, variants=("portable",))


def blocks(many, kind, deep, block):
    wide = (deep[0], deep[1] * block, deep[2] * block, deep[3] // block**2)
    ins, outs = (deep, wide) if kind == "DEPTH_TO_SPACE" else (wide, deep)
    many.add(kind, [image(ins)], [image(outs)], {"blockSize": block})


def test_blocks():
    many = Many()
    for kind in ("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"):
        blocks(many, kind, (1, 3, 2, 8), 2)
        blocks(many, kind, (2, 2, 3, 18), 3)
        blocks(many, kind, (1, 2, 2, 4), 2)
    many.check(4, sanitize=True, variants=("portable",))


def test_reverse():
    many = Many()
    for axes in ([0], [1], [2], [3]):
        many.add("REVERSE_V2", [image((2, 3, 4, 5)), constant(axes)], [image((2, 3, 4, 5))])
    many.check(4, sanitize=True, variants=("portable",))


@pytest.mark.parametrize("kind", ["RESHAPE", "SQUEEZE", "EXPAND_DIMS"])
def test_reshape_from_input_to_output(kind):
    operands = {"RESHAPE": [constant([6, 5])], "SQUEEZE": [], "EXPAND_DIMS": [constant([0])]}[kind]
    shapes = {"RESHAPE": ((2, 3, 5), (6, 5)), "SQUEEZE": ((1, 3, 5), (3, 5)), "EXPAND_DIMS": ((3, 5), (1, 3, 5))}[kind]
    many = Many().add(kind, [image(shapes[0]), *operands], [image(shapes[1])])
    check(many.model(), 4, sanitize=True, variants=("portable",))


@pytest.mark.parametrize("device", ["cortex-m4-an386", "cortex-m55-an547"])
def test_on_an_emulated_core(device):
    every_permutation((2, 19, 1, 3)).check(3, variants=(), devices=(device,))


def test_what_is_refused():
    runtime = tensor((2,), "int32")
    assert "run time" in seen(constant_permutation, "TRANSPOSE", [image((2, 3)), runtime], [image((3, 2))])
    assert "[0, 0]" in seen(constant_permutation, "TRANSPOSE", [image((2, 3)), constant([0, 0])], [image((3, 2))])
    assert "run time" in seen(constant_axes, "REVERSE_V2", [image((2, 3)), runtime], [image((2, 3))])
    odd = seen(blocks_of_images, "DEPTH_TO_SPACE", [image((1, 2, 2, 6))], [image((1, 4, 4, 1))], {"block_size": 2})
    assert "block 2" in odd
    many_axes = few_axes(lower_transpose)
    shape = (2, 3, 2, 3, 2, 3, 2)
    operands = [image(shape), constant(range(6, -1, -1))]
    assert many_axes.__doc__ and seen(many_axes, "TRANSPOSE", operands, [image(shape[::-1])]) == "7 axes"


def test_an_identity_is_safe_in_place():
    assert check_overlap(transposed(Many(), (2, 1, 3, 4), (1, 0, 2, 3)).model()) == 0


# --- the arithmetic of ew_copy, without C ---------------------------------------------------------


def walk(call, source: bytes, size: int, ahead=None):
    """What ew_copy does with a call, in Python: the output; in one memory with ``ahead`` bytes between the two."""
    p = dict(call.params)
    axes = p["axes"].values.reshape(-1, 3)[::-1].tolist()
    if ahead is None:
        memory, at_in, at_out = bytearray(source) + bytearray(size), 0, len(source)
    else:
        at_in, at_out = max(ahead, 0), max(-ahead, 0)
        memory = bytearray(max(at_in + len(source), at_out + size))
        memory[at_in : at_in + len(source)] = source
    for index in itertools.product(*(range(count) for count, _, _ in axes)):
        place = at_in + p["in_offset"] + sum(i * axis[1] for i, axis in zip(index, axes, strict=True))
        target = at_out + p["out_offset"] + sum(i * axis[2] for i, axis in zip(index, axes, strict=True))
        for byte in range(p["run"]):
            memory[target + byte] = memory[place + byte]
    return bytes(memory[at_out : at_out + size])


shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


@settings(max_examples=150, deadline=None, database=None)
@given(shapes.flatmap(lambda s: st.tuples(st.just(s), st.permutations(range(len(s))))), st.data())
def test_moves_by_brute_force(case, data):
    shape, permutation = case
    dtype = data.draw(st.sampled_from(["int8", "int16", "float32"]))
    steps = [data.draw(st.sampled_from([1, 2, -1])) for _ in shape]
    index = tuple(slice(None, None, step) for step in steps)
    source = Tensor(0, "in", shape, dtype)
    values = np.arange(source.elements, dtype=dtype).reshape(shape)
    wanted = values[index].transpose(permutation)
    target = Tensor(1, "out", wanted.shape, dtype)
    call = move(source, blank(source)[index].transpose(permutation), target, blank(target))
    assert walk(call, values.tobytes(), wanted.nbytes) == wanted.tobytes(), f"{call.params}"
    for ahead in call.overlap.values():
        assert walk(call, values.tobytes(), wanted.nbytes, ahead) == wanted.tobytes(), f"{ahead} ahead, {call.params}"
