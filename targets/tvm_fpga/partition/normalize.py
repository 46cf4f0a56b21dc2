"""Rewrites that bring quantized networks of different origin into one form.

Afterwards: every use of a dequantized tensor has a ``dequantize`` of its own (one with two users would be fused into
the first, and leave the region as a float tensor); reshapes and transposes work on integers; biases are float
constants, weights are ``dequantize`` of a constant; a constant summand or factor is the second one.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from profiles.runner import Array
from targets.tvm_fpga.partition.relax_tools import constant, dtype_of, op_name

RESHAPES = ("relax.reshape", "relax.squeeze", "relax.flatten", "relax.expand_dims")
TRANSPOSE = "relax.permute_dims"


def normalize(module: Any) -> Any:
    """The same function in that form."""
    from tvm import ir
    from tvm.relax.transform import CanonicalizeBindings, DeadCodeElimination

    rewriter = _rewriter()(module)
    for where, function in module.functions_items():
        if where.name_hint == "main":
            module = _replaced(module, where, rewriter.visit_expr(function))
    return ir.transform.Sequential([CanonicalizeBindings(), DeadCodeElimination()])(module)


def _replaced(module: Any, where: Any, function: Any) -> Any:
    copy = module.clone()
    copy.update_func(where, function)
    return copy


@functools.cache
def _rewriter() -> Any:
    from tvm import relax

    @relax.expr_functor.mutator
    class Rewriter(relax.PyExprMutator):  # type: ignore[misc]
        """Visits calls in order; what they are given has been rewritten before."""

        def visit_call_(self, call: Any) -> Any:
            shape = getattr(call.ty, "shape", None)
            new = self.visit_expr_post_order(call)
            args = [self._own(each) for each in new.args]
            new = relax.Call(new.op, args, new.attrs, new.ty_args, call.span)
            rule = _RULES.get(op_name(new))
            changed = rule(self, new, shape) if rule else None
            return new if changed is None else changed

        def _own(self, argument: Any) -> Any:
            """A copy of what a variable is bound to, where copies are wanted."""
            if isinstance(argument, relax.Tuple):
                return relax.Tuple([self._own(each) for each in argument.fields])
            value = self.value(argument)
            return argument if value is argument or not _copied(value) else self._copy(value)

        def _copy(self, call: Any) -> Any:
            args = [self._own(each) for each in call.args]
            return self.emit(relax.Call(call.op, args, call.attrs, call.ty_args, call.span))

        def emit(self, call: Any) -> Any:
            """A variable for it: TVM forgets the spans of calls whose arguments are calls."""
            return self.builder_.emit(call)

        def value(self, expression: Any) -> Any:
            """What a variable is bound to."""
            found = self.lookup_binding(expression) if isinstance(expression, relax.Var) else None
            return expression if found is None else found

    return Rewriter


def _copied(value: Any) -> bool:
    if op_name(value) == "relax.dequantize":
        return True
    return op_name(value) in RESHAPES and dtype_of(value) in ("int8", "uint8")


def _moved(rewriter: Any, call: Any, shape: Any) -> Any:
    """A reshape or transpose of a constant, or of a dequantized tensor, which it then does before."""
    from tvm import relax

    given = rewriter.value(call.args[0])
    values = constant(given)
    if values is not None:
        return _const(_moved_values(call, values, shape))
    if op_name(given) != "relax.dequantize":
        return None
    source, scale, zero = given.args
    stored, axis = constant(source), int(given.attrs.axis)
    if _size(scale) * _size(zero) > 1:
        if stored is None or op_name(call) != TRANSPOSE:
            return None
        axis = _axes(call, stored.ndim).index(axis % stored.ndim)
    if stored is not None:
        return _dequantized(_const(_moved_values(call, stored, shape)), given, axis, given.span)
    turned = op_name(call) == TRANSPOSE
    inner = relax.op.permute_dims(source, call.attrs.axes) if turned else relax.op.reshape(source, shape)
    integers = rewriter.emit(relax.Call(inner.op, inner.args, inner.attrs, inner.ty_args, call.span))
    return _dequantized(integers, given, axis, given.span)


def _dequantized(source: Any, like: Any, axis: int, span: Any) -> Any:
    from tvm import relax

    made = relax.op.dequantize(source, like.args[1], like.args[2], axis=axis, out_dtype=like.attrs.out_dtype)
    return relax.Call(made.op, made.args, made.attrs, made.ty_args, span)


def _axes(call: Any, rank: int) -> list[int]:
    given = call.attrs.axes
    return [int(each) % rank for each in given] if given is not None else list(reversed(range(rank)))


def _moved_values(call: Any, values: Array, shape: Any) -> Array:
    if op_name(call) == TRANSPOSE:
        return np.ascontiguousarray(values.transpose(_axes(call, values.ndim)))
    return values.reshape([int(size) for size in shape])


def _const(values: Array) -> Any:
    """A constant of the same type: left alone, TVM makes int32 of int64."""
    from tvm import relax

    return relax.const(values, str(values.dtype))


def _size(expression: Any) -> int:
    values = constant(expression)
    return 1 if values is None else values.size


def _dequantize(rewriter: Any, call: Any, shape: Any) -> Any:
    """A bias: known in float."""
    values = constant(call.args[0])
    if values is None or str(values.dtype) != "int32":
        return None
    return _const(_real(call, values))


def _real(call: Any, values: Array) -> Array:
    scale, zero = (constant(each) for each in call.args[1:3])
    if scale is None or zero is None:
        raise ValueError("a constant with a computed scale")
    form = [1] * values.ndim
    if scale.size > 1:
        form[int(call.attrs.axis)] = scale.size
    centred = values.astype(np.float64) - np.broadcast_to(zero.reshape(-1), scale.size).reshape(form)
    return np.asarray(centred * scale.reshape(form), np.float32)


def _quantize(rewriter: Any, call: Any, shape: Any) -> Any:
    """Nothing at all where the tensor was just dequantized with the same numbers; a constant's integers."""
    given = rewriter.value(call.args[0])
    if op_name(given) == "relax.dequantize" and dtype_of(given.args[0]) == str(call.attrs.out_dtype):
        pairs = [(constant(mine), constant(its)) for mine, its in zip(call.args[1:], given.args[1:], strict=True)]
        if all(a is not None and b is not None and np.array_equal(a, b) for a, b in pairs):
            return given.args[0]
    values = constant(given)
    return None if values is None else _const(_stored(call, values))


def _stored(call: Any, values: Array) -> Array:
    scale, zero = (constant(each) for each in call.args[1:3])
    if scale is None or zero is None:
        raise ValueError("a constant with a computed scale")
    form = [1] * values.ndim
    if scale.size > 1:
        form[int(call.attrs.axis)] = scale.size
    zeros = np.broadcast_to(zero.reshape(-1), scale.size).reshape(form).astype(np.int64)
    limits = np.iinfo(zero.dtype)
    return np.clip(np.rint(values / scale.reshape(form)) + zeros, limits.min, limits.max).astype(zero.dtype)


def _constants_last(rewriter: Any, call: Any, shape: Any) -> Any:
    """Constants last, and in float."""
    from tvm import relax

    known = [_known(rewriter, each) for each in call.args]
    args = [each if found is None else _const(found) for each, found in zip(call.args, known, strict=True)]
    if known[0] is not None and known[1] is None:
        args.reverse()
    return relax.Call(call.op, args, call.attrs, call.ty_args, call.span)


def _known(rewriter: Any, expression: Any) -> Array | None:
    value = rewriter.value(expression)
    if op_name(value) == "relax.dequantize" and (stored := constant(value.args[0])) is not None:
        return _real(value, stored)
    return constant(value)


_RULES = {
    **dict.fromkeys((*RESHAPES, TRANSPOSE), _moved),
    "relax.dequantize": _dequantize,
    "relax.quantize": _quantize,
    **dict.fromkeys(("relax.add", "relax.multiply"), _constants_last),
}
