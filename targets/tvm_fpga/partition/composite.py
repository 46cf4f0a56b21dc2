"""One operator with its quantization, read from the expressions between ``dequantize`` and ``quantize``."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from profiles.runner import Array
from targets.tvm_fpga.partition.patterns import ACTIVATIONS, CORES
from targets.tvm_fpga.partition.relax_tools import Lookup, constant, dtype_of, number, op_name, origin, shape_of

UNSIGNED_OFFSET = 128


@dataclasses.dataclass(frozen=True)
class Quant:
    """real = scale * (q - zero); more than one scale: one per slice of ``axis``."""

    scale: Array
    zero: Array
    dtype: str
    axis: int = 0

    @property
    def per_tensor(self) -> bool:
        """Whether one scale and one zero point hold for all."""
        return self.scale.size == 1 and self.zero.size == 1

    @property
    def step(self) -> float:
        """The scale of a tensor that has one."""
        return float(self.scale.reshape(-1)[0])

    @property
    def zeros(self) -> Array:
        """Zero points of the same integers as int8: uint8 is moved by 128."""
        return self.zero.reshape(-1).astype(np.int64) - offset_of(self.dtype)

    def stored(self, real: float) -> int:
        """The int8 number of a real one, rounded half to even as by ``quantize``, limited to the type's range."""
        if math.isinf(real) or abs(real) > self.step * 1024:
            return 127 if real > 0 else -128
        return int(np.clip(np.rint(real / self.step) + self.zeros[0], -128, 127))


def offset_of(dtype: str) -> int:
    """What is subtracted from a stored number to make it int8."""
    return UNSIGNED_OFFSET if dtype == "uint8" else 0


@dataclasses.dataclass(frozen=True)
class Operand:
    """An input: the integer tensor's expression, its shape before any reshape, how it is quantized; that reshape."""

    source: Any
    shape: tuple[int, ...]
    quant: Quant
    reshape: Any = None


@dataclasses.dataclass(frozen=True)
class Composite:
    """What one match of a pattern computes.

    Attributes:
        kind: of :data:`targets.tvm_fpga.partition.patterns.CORES`.
        name: of the operator in the model, or empty.
        core: the operator's call.
        operands: computed inputs.
        weights: as stored, with their quantization; the real factors of a ``scale``.
        bias: real values, of any shape that fits the result.
        low, high: real bounds of the activation.
        out, out_shape: of the result.
        origins: kinds and names of all operators of the model in it.
    """

    kind: str
    name: str
    core: Any
    operands: tuple[Operand, ...]
    out: Quant
    out_shape: tuple[int, ...]
    weights: Array | None = None
    weights_quant: Quant | None = None
    bias: Array | None = None
    low: float = -math.inf
    high: float = math.inf
    origins: tuple[tuple[str, str], ...] = ()


#: Operators of the model that only say how numbers are stored.
STORAGE = ("QuantizeLinear", "DequantizeLinear")


def describe(root: Any, find: Lookup) -> Composite | None:
    """The composite whose result is ``root``; None if it is not a ``quantize`` of an operator in :data:`CORES`."""
    if op_name(root) != "relax.quantize":
        return None
    out, shape = _quant(root), shape_of(root)
    seen, low, high, bias = [root], -math.inf, math.inf, None
    call = find(root.args[0])
    while op_name(call) in ACTIVATIONS:
        seen.append(call)
        low, high = _bounds(call, low, high)
        before = find(call.args[0])
        if op_name(before) == "relax.dequantize":
            break
        call = before
    if op_name(call) == "relax.add" and (bias := constant(find(call.args[1]))) is not None:
        seen.append(call)
        call = find(call.args[0])
    kind = CORES.get(op_name(call), "")
    operands, weights, weights_quant = _inputs(call, kind, find)
    if not kind or not operands:
        return None
    parts = (call, *reversed(seen), *(each.reshape for each in operands))
    origins = tuple(found for each in parts if (found := origin(each)) and found[0] not in STORAGE)
    name = origins[0][1] if origins else ""
    return Composite(
        kind, name, call, operands, out, shape, weights, weights_quant, bias, low, high, tuple(dict.fromkeys(origins))
    )


def _bounds(call: Any, low: float, high: float) -> tuple[float, float]:
    """Bounds of an activation, and of those that come after it."""
    mine = (0.0, math.inf) if op_name(call) == "relax.nn.relu" else (number(call.args[1]), number(call.args[2]))
    return min(max(mine[0], low), high), max(min(mine[1], high), low)


def _inputs(call: Any, kind: str, find: Lookup) -> tuple[tuple[Operand, ...], Array | None, Quant | None]:
    if kind == "requantize":
        given = [call]
    else:
        args = list(getattr(call, "args", ()))
        fields = getattr(find(args[0]), "fields", None) if args else None
        given = [find(each) for each in (fields if fields is not None else args)]
        given = [each for each in given if op_name(each) == "relax.dequantize"]
    weights = weights_quant = None
    if kind == "scale":
        weights = constant(call.args[1])
    if kind in ("conv2d", "dense") and len(given) == 2:
        weights, weights_quant = constant(given[1].args[0]), _quant(given[1])
        given = given[:1]
    operands = [_operand(each, find) for each in given if constant(each.args[0]) is None]
    return tuple(operands), weights, weights_quant


def _operand(call: Any, find: Lookup) -> Operand:
    source = call.args[0]
    before = find(source)
    if op_name(before) == "relax.reshape":
        return Operand(before.args[0], shape_of(before.args[0]), _quant(call), before)
    return Operand(source, shape_of(source), _quant(call))


def _quant(call: Any) -> Quant:
    scale, zero = constant(call.args[1]), constant(call.args[2])
    if scale is None or zero is None:
        raise ValueError("quantization with a computed scale")
    dtype = dtype_of(call.args[0]) if op_name(call) == "relax.dequantize" else str(call.attrs.out_dtype)
    return Quant(scale.astype(np.float64).reshape(-1), zero.reshape(-1), dtype, int(call.attrs.axis))
