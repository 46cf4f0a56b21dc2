"""Kernel calls: what an operator becomes, as data that the planner and the emitter read.

Every kernel of ``kernels/cortex_m`` has the C signature ``void NAME(const NAME_t *p, ARGS...)``, where
``NAME_t`` is a struct of compile-time constants; a :class:`Call` holds the values of that struct and
what the arguments are.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any, Literal

from profiles.runner import Array
from targets.tflite_micro.graph.ir import Graph, Op, Tensor

#: Instruction set that a kernel is built for, and with it the order of packed weights.
Variant = Literal["portable", "dsp", "mve"]
VARIANTS: tuple[Variant, ...] = ("portable", "dsp", "mve")


class Role(str, enum.Enum):
    """What an array in flash is for; sizes are reported by role."""

    WEIGHTS = "weights"
    BIAS = "bias"
    REQUANT = "requant"  # multipliers and shifts
    TABLE = "table"  # look-up tables and other constants that follow from the model


@dataclasses.dataclass(frozen=True)
class Const:
    """An array in flash.

    ``values`` is one-dimensional; its dtype (int8, uint8, int16, int32, float32) is the array's C type.
    ``align`` is in bytes.
    """

    values: Array = dataclasses.field(repr=False)
    role: Role
    align: int = 4


#: A value of a params field: a number, a list of numbers (a C array member), an array in flash, or NULL.
Value = int | float | tuple[int, ...] | Const | None


@dataclasses.dataclass(frozen=True)
class In:
    """The argument is the address of a tensor that the kernel reads (an activation, or a constant in flash)."""

    tensor: int


@dataclasses.dataclass(frozen=True)
class Out:
    """The argument is the address of a tensor that the kernel writes."""

    tensor: int


@dataclasses.dataclass(frozen=True)
class Scratch:
    """The argument is the address of the call's scratch memory."""


Arg = In | Out | Scratch


@dataclasses.dataclass(frozen=True)
class Rows:
    """How a call computes one output row at a time, for fused strips.

    The C functions are ``void LOAD(const NAME_t *p, void *scratch, int32_t y, const int8_t *row)``, which
    takes input row ``y`` (0 to height - 1) into the ring in scratch, and ``void ROW(const NAME_t *p, void
    *scratch, int32_t y, int8_t *out)``, which computes output row ``y`` once all input rows up to
    ``min(in_rows, y * stride + reach)`` (exclusive) are loaded; rows come in order, each once.

    Attributes:
        load, row: names of the C functions.
        stride: of rows.
        reach: kernel height in dilated rows minus the padding at the top.
        in_rows, out_rows: heights.
        in_bytes, out_bytes: of one row.
        scratch: bytes that the call needs when it runs by rows; None where that is what it always needs.
    """

    load: str
    row: str
    stride: int
    reach: int
    in_rows: int
    out_rows: int
    in_bytes: int
    out_bytes: int
    scratch: int | None = None


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a kernel.

    Attributes:
        function: its C name; ``params`` are the members of ``function_t`` in the order of the struct.
        args: after the params pointer, in the order of the C signature.
        scratch: bytes of scratch, aligned to 16; 0 where the kernel takes none.
        overlap: for inputs that may share memory with the first output when nobody reads them afterwards:
            tensor key to the smallest ``address(input) - address(output)`` in bytes that is safe. 0 is
            in place; a positive figure asks for that much head start, a negative one leaves room. An input that
            is not listed must not overlap with the output.
        elementwise: whether ``count`` in params is all there is to the shape, so that the call can run on parts.
        rows: for calls that can run row by row.
        sources: C files below ``kernels/cortex_m/src``, without the headers.
        macs: multiply-accumulates.
        op: what the call computes, for tables (``CONV_2D``); name: the name of the layer.
    """

    function: str
    params: Mapping[str, Value]
    args: tuple[Arg, ...]
    scratch: int = 0
    overlap: Mapping[int, int] = dataclasses.field(default_factory=dict)
    elementwise: bool = False
    rows: Rows | None = None
    sources: tuple[str, ...] = ()
    macs: int = 0
    op: str = ""
    name: str = ""


#: Says why an operator cannot be built ("a stride of 3"), or "" when it can. Its docstring, one sentence, is
#: what is allowed: the user's message, and the row of the support table.
Constraint = Callable[[Op, Graph], str]
Lowering = Callable[[Op, Graph, Variant], "Call | tuple[Call, ...]"]


@dataclasses.dataclass(frozen=True)
class Rule:
    """What is allowed of one kind of operator, and how it becomes a call."""

    kind: str
    constraints: tuple[Constraint, ...]
    lower: Lowering


def one_int8(tensor: Tensor | None) -> bool:
    """Whether a tensor is int8 with one scale."""
    return (
        tensor is not None and tensor.dtype == "int8" and bool(tensor.quantization and tensor.quantization.per_tensor)
    )


def option(op: Op, name: str, default: Any = None) -> Any:
    """An option of an operator."""
    return op.options.get(name, default)
