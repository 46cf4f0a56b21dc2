"""Mutations of TFLite files: of their bits, of the numbers that hold them together, and of what they say."""

from __future__ import annotations

import copy
import random
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from targets.tflite_micro.graph.verify import Walk

#: Numbers at which things change.
_NUMBERS = (-(1 << 31), -129, -128, -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 10, 16, 32, 64, 127, 128, 255, 256, 32767, 65535,
            1 << 20, 1 << 30, (1 << 31) - 1)  # fmt: skip


def mutants(given: Sequence[bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Mutated files with the name of the mutation, each kind in turn."""
    draw = random.Random(seed)
    places = [structure(model) for model in given]
    kinds = (bits, stretch, words, cut, splice, offsets, fields)
    for number in range(count):
        mutate, which = kinds[number % len(kinds)], number // len(kinds) % len(given)
        yield mutate.__name__, mutate(draw, given, which, places[which])


def structure(model: bytes) -> list[int]:
    """Where the numbers are that hold the file together: offsets, vtables, lengths of vectors."""

    class Listening(Walk):
        def _number(self, kind_of: str, at: int, kind: str) -> int:
            seen.append(at)
            return super()._number(kind_of, at, kind)

    seen: list[int] = []
    Listening(model).table(struct.unpack_from("<I", model)[0], "Model")
    return [0, *seen]


def bits(draw: random.Random, given: Sequence[bytes], which: int, places: list[int]) -> bytes:
    """Up to eight bits turned, half of them near the numbers that hold the file together."""
    data = bytearray(given[which])
    for _ in range(draw.randint(1, 8)):
        near = draw.choice(places) + draw.randint(-16, 16)
        at = near if draw.random() < 0.5 else draw.randrange(len(data))
        data[at % len(data)] ^= 1 << draw.randrange(8)
    return bytes(data)


def stretch(draw: random.Random, given: Sequence[bytes], which: int, places: list[int]) -> bytes:
    """A stretch of random bytes."""
    data, size = bytearray(given[which]), draw.choice((1, 2, 4, 16, 256))
    at = draw.choice(places) if draw.random() < 0.5 else draw.randrange(len(data))
    data[at : at + size] = draw.randbytes(min(size, len(data) - at))
    return bytes(data)


def words(draw: random.Random, given: Sequence[bytes], which: int, places: list[int]) -> bytes:
    """A few 32-bit words near the structure replaced by numbers at the edges."""
    data = bytearray(given[which])
    for _ in range(draw.randint(1, 3)):
        at = min(max((draw.choice(places) + draw.randint(-32, 32)) & ~3, 0), len(data) - 4)
        struct.pack_into("<i", data, at, draw.choice(_NUMBERS))
    return bytes(data)


def cut(draw: random.Random, given: Sequence[bytes], which: int, places: list[int]) -> bytes:
    """The beginning of a file, or a file with something behind it."""
    data = given[which]
    if draw.random() < 0.2:
        return data + draw.randbytes(draw.randrange(64))
    return data[: draw.choice(places) if draw.random() < 0.3 else draw.randrange(len(data))]


def splice(draw: random.Random, given: Sequence[bytes], which: int, places: list[int]) -> bytes:
    """A piece of one of the files over, into, or out of another place."""
    data, other = bytearray(given[which]), draw.choice(given)
    size, at = draw.choice((4, 8, 32, 512, 8192)), draw.choice((draw.randrange(len(data)), draw.choice(places)))
    source = draw.randrange(len(other))
    piece = other[source : source + size]
    if draw.random() < 0.6:
        data[at : at + len(piece)] = piece
    else:
        data[at : at + draw.choice((0, size))] = draw.choice((b"", piece))
    return bytes(data)


def offsets(draw: random.Random, given: Sequence[bytes], which: int, places: list[int]) -> bytes:
    """An offset that leads somewhere else in the file: another table's, itself, the end, nearby."""
    data = bytearray(given[which])
    for _ in range(draw.randint(1, 2)):
        at = min(draw.choice(places), len(data) - 4)
        target = draw.choice((draw.choice(places), at, len(data) - draw.randint(0, 8), at + draw.randint(-64, 64)))
        struct.pack_into("<I", data, at, (target - at) % (1 << 32))
    return bytes(data)


def fields(draw: random.Random, given: Sequence[bytes], which: int, places: list[int]) -> bytes:
    """A well-formed file that says something else: shapes, types, operands, options, scales, operators."""
    while True:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(given[which]))
        for _ in range(draw.choice((1, 1, 2, 4))):
            draw.choice(_FIELDS)(draw, model)
        builder = flatbuffers.Builder(1 << 16)
        try:
            builder.Finish(model.Pack(builder), b"TFL3")
        except (TypeError, struct.error, ValueError):  # a number that its field cannot hold
            continue
        return bytes(builder.Output())


def _tensor(draw: random.Random, model: Any) -> None:
    tensor = draw.choice(model.subgraphs[0].tensors)
    what = draw.randrange(5)
    if what == 0:
        tensor.shape = _edited(draw, tensor.shape)
    elif what == 1:
        tensor.type = draw.randrange(25)
    elif what == 2:
        tensor.buffer = draw.randrange(len(model.buffers) + 1)
    elif what == 3:
        tensor.isVariable = not tensor.isVariable
    elif tensor.quantization is not None:
        _quantization(draw, tensor.quantization)


def _quantization(draw: random.Random, found: Any) -> None:
    what = draw.randrange(4)
    if what == 0 and found.scale is not None:
        found.scale = [draw.choice((value, 0.0, -1.0, 1e-38, 1e38, float("nan"), 0.5, 2.0)) for value in found.scale]
    elif what == 1 and found.zeroPoint is not None:
        found.zeroPoint = [draw.choice((value, -129, -128, 0, 127, 1 << 40)) for value in found.zeroPoint]
    elif what == 2:
        found.quantizedDimension = draw.choice(_NUMBERS)
    else:
        found.scale = [0.5] * draw.randrange(4)


def _operator(draw: random.Random, model: Any) -> None:
    op = draw.choice(model.subgraphs[0].operators or [schema.OperatorT()])
    what = draw.randrange(5)
    if what == 0:
        op.inputs = _edited(draw, op.inputs, len(model.subgraphs[0].tensors))
    elif what == 1:
        op.outputs = _edited(draw, op.outputs, len(model.subgraphs[0].tensors))
    elif what == 2:
        op.opcodeIndex = draw.randrange(len(model.operatorCodes) + 1)
    elif op.builtinOptions is not None and vars(op.builtinOptions):
        name = draw.choice(list(vars(op.builtinOptions)))
        old = getattr(op.builtinOptions, name)
        setattr(
            op.builtinOptions, name, float(draw.choice(_NUMBERS)) if isinstance(old, float) else draw.choice(_NUMBERS)
        )


def _code(draw: random.Random, model: Any) -> None:
    code = draw.choice(model.operatorCodes)
    code.builtinCode = draw.randrange(210)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    for op in model.subgraphs[0].operators:
        if model.operatorCodes[op.opcodeIndex % len(model.operatorCodes)] is code and draw.random() < 0.8:
            op.builtinOptions, op.builtinOptionsType = None, 0


def _insert(draw: random.Random, model: Any) -> None:
    """One more operator of any kind between an operator and those behind it, with a fitting output if it is unary."""
    graph, code, op = model.subgraphs[0], schema.OperatorCodeT(), schema.OperatorT()
    at = draw.randrange(len(graph.operators) + 1)
    known = graph.inputs if at == 0 else graph.operators[at - 1].outputs
    source = draw.choice(list(known) or [-1])
    if not 0 <= source < len(graph.tensors):
        return
    code.builtinCode = draw.randrange(210)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
    op.opcodeIndex, op.inputs, op.outputs = len(model.operatorCodes), [source], [len(graph.tensors)]
    op.inputs += [draw.randrange(len(graph.tensors)) for _ in range(draw.choice((0, 0, 1, 2)))]
    for other in graph.operators[at:]:
        other.inputs = [len(graph.tensors) if key == source else key for key in other.inputs]
    made = copy.copy(graph.tensors[source])
    made.buffer = 0
    graph.tensors.append(made)
    graph.operators.insert(at, op)
    model.operatorCodes.append(code)


def _graph(draw: random.Random, model: Any) -> None:
    graph = model.subgraphs[0]
    what = draw.randrange(4)
    if what == 0:
        graph.inputs = _edited(draw, graph.inputs, len(graph.tensors))
    elif what == 1:
        graph.outputs = _edited(draw, graph.outputs, len(graph.tensors))
    elif what == 2:
        draw.shuffle(graph.operators)
    elif graph.operators:
        del graph.operators[draw.randrange(len(graph.operators))]


def _data(draw: random.Random, model: Any) -> None:
    """A small constant, such as the shape of a reshape, gets other numbers."""
    small = [buffer for buffer in model.buffers if buffer.data is not None and 0 < len(buffer.data) <= 16]
    buffer = draw.choice(small or model.buffers)
    if buffer.data is not None and len(buffer.data) >= 4:
        raw = bytearray(bytes(bytearray(buffer.data)))
        struct.pack_into("<i", raw, draw.randrange(len(raw) // 4) * 4, draw.choice(_NUMBERS))
        buffer.data = list(raw[: draw.choice((len(raw), len(raw), 3))])


def _edited(draw: random.Random, values: Any, limit: int = 0) -> list[int]:
    """A list of numbers with one changed, dropped or added."""
    made = [int(value) for value in values] if values is not None else []
    at, what = draw.randrange(len(made) + 1), draw.randrange(4)
    number = draw.randrange(-1, limit + 1) if limit else draw.choice(_NUMBERS)
    if what == 0:
        made.insert(at, number)
    elif what == 1:
        del made[at : at + 1]
    else:
        made[at : at + 1] = [number]
    return made


_FIELDS = (_tensor, _tensor, _tensor, _operator, _operator, _code, _insert, _insert, _graph, _data)
