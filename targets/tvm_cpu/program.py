"""A compiled model as data: values with their places in memory, and the kernels to call on them, in order."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

#: DLPack's type codes (dlpack.h, DLDataTypeCode) by numpy's kind.
CODES = {"i": 0, "u": 1, "f": 2, "b": 6}


#: Kernels that hold a network's arithmetic, by the names that TVM gives them.
_COMPUTE = re.compile(r"conv\d?d|matmul|dense|gemm|einsum")


@dataclasses.dataclass(frozen=True)
class Value:
    """One tensor, of row-major layout.

    Attributes:
        shape: dimensions.
        dtype: its name in numpy.
        constant: whether it lies among the constants; else it lies in the arena.
        offset: in bytes.
    """

    shape: tuple[int, ...]
    dtype: str
    constant: bool
    offset: int = 0

    @property
    def bytes(self) -> int:
        """Its size."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def code(self) -> int:
        """DLPack's type code."""
        return CODES[np.dtype(self.dtype).kind]

    @property
    def bits(self) -> int:
        """Width of one element."""
        return np.dtype(self.dtype).itemsize * 8

    @property
    def strides(self) -> tuple[int, ...]:
        """In elements."""
        return tuple(math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape)))


@dataclasses.dataclass(frozen=True)
class Step:
    """One call of a kernel.

    Attributes:
        name: unique, for people.
        kernel: name of TVM's function.
        arguments: numbers of values, inputs first.
        outputs: how many of the last arguments are written.
    """

    name: str
    kernel: str
    arguments: tuple[int, ...]
    outputs: int

    @property
    def computes(self) -> bool:
        """Whether it holds multiplications with weights."""
        return bool(_COMPUTE.search(self.kernel))

    @property
    def reads(self) -> tuple[int, ...]:
        """Numbers of the values that it reads."""
        return self.arguments[: len(self.arguments) - self.outputs]

    @property
    def writes(self) -> tuple[int, ...]:
        """Numbers of the values that it writes."""
        return self.arguments[len(self.arguments) - self.outputs :]


@dataclasses.dataclass(frozen=True)
class Program:
    """The whole model.

    Attributes:
        values: everything that a kernel reads or writes.
        steps: in the order of execution.
        inputs, outputs: numbers of values, in the order of the model's own. Several may share memory.
        storage: number of the value whose memory each value is; a reshaped tensor shares that of its source.
        arena: bytes of memory for all values that are not constant; 0 until they were placed.
    """

    values: tuple[Value, ...]
    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    storage: tuple[int, ...]
    arena: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the bundle's ``plan.json``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Program:
        """The inverse of :meth:`as_dict`."""
        values = tuple(Value(**{**value, "shape": tuple(value["shape"])}) for value in data["values"])
        steps = tuple(Step(**{**step, "arguments": tuple(step["arguments"])}) for step in data["steps"])
        numbers = {key: tuple(data[key]) for key in ("inputs", "outputs", "storage")}
        return cls(values, steps, arena=int(data["arena"]), **numbers)
