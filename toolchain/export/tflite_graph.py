"""A TFLite file as a graph that can be rewritten: who makes a tensor, who reads it, and what is left over.

Only the main graph is changed. Layout of the objects: the TFLite schema (``schema.fbs``), as the object
interface of the classes that ``ai_edge_litert`` generates from it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from profiles.runner import Array
from targets.tflite_file import tflite_schema

#: Bytes to which constants are aligned (``force_align`` of Buffer.data in schema.fbs).
ALIGNMENT = 16


class Graph:
    """The main graph of a file, unpacked.

    Attributes:
        model: the whole file, as the generated ``ModelT``.
        main: its first graph, as ``SubGraphT``.
    """

    def __init__(self, data: bytes) -> None:
        self.schema = tflite_schema()
        self.model: Any = self.schema.ModelT.InitFromObj(self.schema.Model.GetRootAs(data))
        self.main: Any = self.model.subgraphs[0]
        for operator in self.main.operators:
            operator.inputs, operator.outputs = _listed(operator.inputs), _listed(operator.outputs)
        codes = {value: name for name, value in vars(self.schema.BuiltinOperator).items() if isinstance(value, int)}
        self._kinds = [codes.get(max(c.builtinCode, c.deprecatedBuiltinCode), "") for c in self.model.operatorCodes]

    @property
    def whole(self) -> bool:
        """Whether all constants lie inside the flatbuffer; others could not be packed again."""
        return all(buffer.offset <= 1 for buffer in self.model.buffers) and not self.model.externalBuffers

    def kind(self, operator: Any) -> str:
        """The builtin name (``CONV_2D``)."""
        return str(self._kinds[operator.opcodeIndex])

    def producer(self, tensor: int, kind: str) -> Any:
        """The operator of that kind that makes a tensor, or None."""
        found = (operator for operator in self.main.operators if tensor in operator.outputs)
        return next((operator for operator in found if self.kind(operator) == kind), None)

    def readers(self, tensor: int) -> list[Any]:
        """The operators that read a tensor."""
        return [operator for operator in self.main.operators if tensor in operator.inputs]

    def leaves(self, tensor: int) -> bool:
        """Whether a tensor is an output of the graph."""
        return tensor in self.main.outputs

    def shape(self, tensor: int) -> tuple[int, ...]:
        """As stored."""
        stored = self.main.tensors[tensor].shape
        return () if stored is None else tuple(int(size) for size in stored)

    def integers(self, tensor: int) -> Array | None:
        """The values of an int32 constant in its shape; None for anything else."""
        stored = self.main.tensors[tensor]
        data = self.model.buffers[stored.buffer].data
        if stored.type != self.schema.TensorType.INT32 or data is None or len(data) == 0:
            return None
        return np.frombuffer(bytes(data), np.int32).reshape(self.shape(tensor))

    def floats(self, tensor: int) -> Array | None:
        """The values of a float32 constant, flat; None for anything else."""
        stored = self.main.tensors[tensor]
        data = self.model.buffers[stored.buffer].data
        if stored.type != self.schema.TensorType.FLOAT32 or data is None or len(data) == 0:
            return None
        return np.frombuffer(bytes(data), np.float32)

    def add_integers(self, values: Array, name: str) -> int:
        """A new int32 constant; returns its number."""
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(np.asarray(values, np.int32).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        return self._add(name, values.shape, self.schema.TensorType.INT32, len(self.model.buffers) - 1)

    def add_activation(self, like: int, shape: Sequence[int], name: str) -> int:
        """A new computed tensor of the type of another one; returns its number."""
        return self._add(name, tuple(shape), self.main.tensors[like].type, 0)

    def _add(self, name: str, shape: tuple[int, ...], kind: int, buffer: int) -> int:
        tensor = self.schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = np.array(shape, np.int32), kind, buffer
        tensor.name, tensor.hasRank = self._free(name).encode(), True
        self.main.tensors.append(tensor)
        return len(self.main.tensors) - 1

    def name(self, tensor: int) -> str:
        """As stored."""
        return (self.main.tensors[tensor].name or b"").decode("utf-8", errors="replace")

    def _free(self, name: str) -> str:
        taken = {self.name(number) for number in range(len(self.main.tensors))}
        return next(free for n in itertools.count(1) if (free := f"{name};{n}") not in taken)

    def bypass(self, old: int, new: int) -> None:
        """Let everyone who reads one tensor read another."""
        for operator in self.readers(old):
            operator.inputs = [new if tensor == old else tensor for tensor in operator.inputs]

    def pack(self) -> bytes:
        """The file again, without what nobody needs any more; constants aligned as the schema asks."""
        import flatbuffers

        self._drop_operators()
        self._drop_tensors()
        self._drop_buffers()
        self.model.buffers = [_Aligned(self.schema, buffer) for buffer in self.model.buffers]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _drop_operators(self) -> None:
        read = {int(number) for number in self.main.outputs}
        kept = []
        for operator in reversed(self.main.operators):
            if any(tensor in read for tensor in operator.outputs) or len(operator.outputs) == 0:
                kept.append(operator)
                read.update(operator.inputs)
        self.main.operators = kept[::-1]

    def _drop_tensors(self) -> None:
        ends = [self.main.inputs, self.main.outputs]
        lists = [(o.inputs, o.outputs, [] if o.intermediates is None else o.intermediates) for o in self.main.operators]
        place = _places(len(self.main.tensors), itertools.chain(*ends, *itertools.chain(*lists)))
        self.main.tensors = [self.main.tensors[old] for old in place]
        self.main.inputs, self.main.outputs = (_moved(numbers, place) for numbers in ends)
        for operator in self.main.operators:
            operator.inputs, operator.outputs = _moved(operator.inputs, place), _moved(operator.outputs, place)
            if operator.intermediates is not None:
                operator.intermediates = _moved(operator.intermediates, place)
        for signature in self.model.signatureDefs or []:
            for entry in (*signature.inputs, *signature.outputs) if signature.subgraphIndex == 0 else ():
                entry.tensorIndex = place[entry.tensorIndex]

    def _drop_buffers(self) -> None:
        tensors = [tensor for graph in self.model.subgraphs for tensor in graph.tensors]
        metadata, listed = self.model.metadata or [], self.model.metadataBuffer
        used = [0, *(t.buffer for t in tensors), *(m.buffer for m in metadata), *([] if listed is None else listed)]
        place = _places(len(self.model.buffers), used)
        self.model.buffers = [self.model.buffers[old] for old in place]
        for holder in (*tensors, *metadata):
            holder.buffer = place[holder.buffer]
        if listed is not None:
            self.model.metadataBuffer = _moved(listed, place)


def _listed(numbers: Iterable[int] | None) -> list[int]:
    return [] if numbers is None else [int(number) for number in numbers]


def _places(count: int, used: Iterable[int]) -> dict[int, int]:
    """Old number to new number of everything used, in the old order."""
    wanted = {int(number) for number in used}
    return {old: new for new, old in enumerate(old for old in range(count) if old in wanted)}


def _moved(numbers: Iterable[int], place: dict[int, int]) -> Array:
    """New numbers; -1 marks an absent input and stays."""
    return np.array([place[int(number)] if number >= 0 else -1 for number in numbers], np.int32)


class _Aligned:
    """A buffer that packs its data on a multiple of :data:`ALIGNMENT`, which generated Python code does not."""

    def __init__(self, schema: Any, buffer: Any) -> None:
        self._schema, self._buffer = schema, buffer

    def Pack(self, builder: Any) -> int:
        """Write the buffer and return its place; called by the generated code."""
        vector = None if self._buffer.data is None else self._data(builder)
        self._schema.BufferStart(builder)
        if vector is not None:
            self._schema.BufferAddData(builder, vector)
        return int(self._schema.BufferEnd(builder))

    def _data(self, builder: Any) -> int:
        content = bytes(self._buffer.data)
        builder.StartVector(1, len(content), ALIGNMENT)
        builder.head = builder.Head() - len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        return int(builder.EndVector())
