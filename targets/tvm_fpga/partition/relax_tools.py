"""Small questions about Relax expressions; nothing here imports TVM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from profiles.runner import Array

#: Finds what a variable is bound to; returns other expressions, and variables without a binding, as they are.
Lookup = Callable[[Any], Any]
#: Stands between the operator's kind and its name in the source that a span names.
SEPARATOR = "\t"


def op_name(expression: Any) -> str:
    """``relax.nn.conv2d`` for a call of an operator, else empty."""
    return str(getattr(getattr(expression, "op", None), "name", "") or "")


def constant(expression: Any) -> Array | None:
    """A constant's values, else None."""
    data: Any = getattr(expression, "data", None)
    return np.asarray(data.numpy()) if hasattr(data, "numpy") else None


def number(expression: Any) -> float:
    """A scalar that stands in a call (``relax.clip``'s bounds)."""
    given = getattr(expression, "value", expression)
    return float(getattr(given, "value", given))


def shape_of(expression: Any) -> tuple[int, ...]:
    """Of a tensor all of whose dimensions are known."""
    return tuple(int(size) for size in expression.ty.shape)


def dtype_of(expression: Any) -> str:
    """Such as ``uint8``."""
    dtype = expression.ty.dtype
    return str(getattr(dtype, "dtype", dtype))


def origin(expression: Any) -> tuple[str, str] | None:
    """Kind and name of the operator of the model that an expression comes from, where the loader noted it."""
    span = getattr(expression, "span", None)
    text = "" if span is None else str(span.source_name.name)
    kind, found, name = text.partition(SEPARATOR)
    return (kind, name) if found else None


def bindings(function: Any) -> Iterator[tuple[Any, Any]]:
    """Variables and their values, in order."""
    for block in function.body.blocks:
        for binding in block.bindings:
            yield binding.var, binding.value


def lookup_in(function: Any) -> Lookup:
    """For the variables that a function binds."""
    known = dict(bindings(function))

    def find(expression: Any) -> Any:
        while expression in known:
            expression = known[expression]
        return expression

    return find


def returned(function: Any) -> list[Any]:
    """The variables that a function returns."""
    found = lookup_in(function)(function.body.body)
    fields = getattr(found, "fields", None)
    return list(fields) if fields is not None else [function.body.body]
