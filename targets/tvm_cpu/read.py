"""TVM's fused module as a program of ours: which kernels ``main`` calls on which values. In the compiler's process."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from profiles.errors import UnsupportedError
from profiles.runner import Array
from targets.tvm_cpu.program import CODES, Program, Step, Value

_MAIN = "main"


def read_program(module: Any) -> tuple[Program, list[Array]]:
    """The calls of ``main`` as data, with the constants in the order of the values that are constant.

    Raises:
        UnsupportedError: ``main`` does something else than calling kernels on tensors of fixed shape.
    """
    reader = _Reader()
    function = module[_MAIN]
    inputs = [reader.fresh(parameter, parameter.ty) for parameter in function.params]
    for block in function.body.blocks:
        for binding in block.bindings:
            reader.bind(binding.var, binding.value)
    outputs = reader.numbers(function.body.body)
    program = Program(
        tuple(reader.values), tuple(reader.steps), tuple(inputs), tuple(outputs), tuple(reader.storage)
    )  # fmt: skip
    return program, reader.constants


class _Reader:
    """Goes through the bindings of ``main``; a variable stands for one value, or for several in a tuple."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.storage: list[int] = []
        self.steps: list[Step] = []
        self.constants: list[Array] = []
        self._known: dict[Any, list[int]] = {}
        self._same: dict[tuple[str, tuple[int, ...], bytes], int] = {}

    def fresh(self, variable: Any, kind: Any) -> int:
        """A new value in memory of its own."""
        number = self._add(_value(kind))
        if variable is not None:
            self._known[variable] = [number]
        return number

    def _add(self, value: Value, storage: int | None = None) -> int:
        self.values.append(value)
        self.storage.append(len(self.values) - 1 if storage is None else storage)
        return len(self.values) - 1

    def bind(self, variable: Any, value: Any) -> None:
        """One binding."""
        from tvm import relax

        name = getattr(getattr(value, "op", None), "name", "") if isinstance(value, relax.Call) else ""
        if name == "relax.call_tir":
            self._known[variable] = self._call(value)
        elif name == "relax.reshape":
            source = self.numbers(value.args[0])[0]
            shape = _value(variable.ty).shape
            old = self.values[source]
            alias = Value(shape, old.dtype, old.constant, old.offset)
            self._known[variable] = [self._add(alias, self.storage[source])]
        elif isinstance(value, relax.Call):
            raise UnsupportedError("every operator must become a kernel of TVM", seen=name or str(value.op))
        else:
            self._known[variable] = self.numbers(value)

    def _call(self, call: Any) -> list[int]:
        from tvm import relax

        kernel, arguments = call.args[0].name_hint, self.numbers(call.args[1])
        kinds = call.ty_args[0]
        kinds = list(kinds.fields) if isinstance(kinds, relax.TupleType) else [kinds]
        outputs = [self.fresh(None, kind) for kind in kinds]
        name = f"{len(self.steps):03d}_{kernel}"
        self.steps.append(Step(name, kernel, (*arguments, *outputs), len(outputs)))
        return outputs

    def numbers(self, value: Any) -> list[int]:
        """The values that an expression stands for.

        Raises:
            UnsupportedError: it is none of the kinds that remain after fusion.
        """
        from tvm import relax

        if isinstance(value, relax.Constant):
            return [self._constant(np.ascontiguousarray(value.data.numpy()))]
        if isinstance(value, relax.Tuple):
            return [number for field in value.fields for number in self.numbers(field)]
        if isinstance(value, relax.TupleGetItem):
            return [self.numbers(value.tuple_value)[value.index]]
        if isinstance(value, relax.Var) and value in self._known:
            return self._known[value]
        raise UnsupportedError("a compiled model calls kernels on tensors", seen=type(value).__name__)

    def _constant(self, array: Array) -> int:
        key = (array.dtype.name, array.shape, array.tobytes())
        if key not in self._same:
            self._same[key] = self._add(Value(array.shape, array.dtype.name, True))
            self.constants.append(array)
        return self._same[key]


def _value(kind: Any) -> Value:
    """A tensor's type as a value that is not placed yet.

    Raises:
        UnsupportedError: its shape is only known when it runs, or its elements are of an odd type.
    """
    dtype = str(kind.dtype)
    try:
        shape = tuple(int(size) for size in kind.shape)
        known = np.dtype(dtype).kind in CODES
    except (TypeError, ValueError, AttributeError) as error:
        raise UnsupportedError("every tensor must have a fixed shape", seen=str(kind)) from error
    if not known:
        raise UnsupportedError("every tensor must hold numbers", seen=dtype)
    return Value(shape, np.dtype(dtype).name, constant=False)


def pack_constants(program: Program, arrays: list[Array], alignment: int) -> tuple[Program, bytes]:
    """All constants in one piece, each at a multiple of ``alignment``, and the program with their offsets."""
    packed, offsets = bytearray(), {}
    roots = [
        number for number, value in enumerate(program.values) if value.constant and program.storage[number] == number
    ]
    for number, array in zip(roots, arrays, strict=True):
        packed += bytes(-len(packed) % alignment)
        offsets[number] = len(packed)
        packed += array.tobytes()
    values = tuple(
        dataclasses.replace(value, offset=offsets[program.storage[number]]) if value.constant else value
        for number, value in enumerate(program.values)
    )
    return dataclasses.replace(program, values=values), bytes(packed)
