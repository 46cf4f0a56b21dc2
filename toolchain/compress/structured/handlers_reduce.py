"""Reductions, softmax and everything else that looks at all values of an axis."""

from __future__ import annotations

from typing import Any

import torch

from toolchain.compress.structured.groups_labels import Axis
from toolchain.compress.structured.groups_tracer import Axes, Call
from toolchain.compress.structured.handlers import handles


def _dims(value: Any, ndim: int) -> set[int]:
    if value is None or (isinstance(value, (list, tuple)) and not value):
        return set(range(ndim))
    return {d % ndim for d in (value if isinstance(value, (list, tuple)) else [value])} if ndim else set()


def _drop(call: Call, dims: set[int]) -> Axes:
    """The axes that a reduction leaves."""
    axes = call.axes(call.args[0])
    out = call.out if isinstance(call.out, torch.Tensor) else call.out[0]
    if out.ndim == len(axes):
        return tuple(None if i in dims else axis for i, axis in enumerate(axes))
    return tuple(axis for i, axis in enumerate(axes) if i not in dims)


def _result(call: Call, axes: Axes) -> Axes | list[Axes]:
    return axes if isinstance(call.out, torch.Tensor) else [axes] * len(call.out)


@handles("sum", "linalg_vector_norm", "norm")
def zero_adds_nothing(call: Call) -> Axes:
    """Sums and norms over channels: a zero is as good as an absent channel."""
    x = call.args[0]
    index, name = (1, "dim") if call.name == "sum" else (2, "dim")
    dims = _dims(call.get(index, name), x.ndim)
    for dim in dims:
        call.labels.add_up(call.axes(x)[dim], lambda: call.why("values that are not zero are summed over it"))
    return _drop(call, dims)


@handles("mean", "amax", "amin", "max", "min", "var", "std", "var_mean", "std_mean", "prod", "argmax", "argmin",
         "any", "all", "logsumexp", "median", "mode", "aminmax")  # fmt: skip
def depends_on_all(call: Call) -> Axes | list[Axes]:
    """A mean over channels changes with their number, a maximum with a zero."""
    x = call.args[0]
    given = call.args[1] if len(call.args) > 1 else call.kwargs.get("dim")
    if isinstance(given, torch.Tensor):
        from toolchain.compress.structured.handlers import pointwise

        return pointwise(call)
    dims = _dims(given, x.ndim)
    for dim in dims:
        call.labels.pin(
            call.axes(x)[dim], lambda: call.why(f"the {call.name} over it changes when one of its values goes")
        )
    axes = _drop(call, dims)
    if call.name not in ("mean", "amax", "amin", "max", "min"):
        for axis in axes:
            call.labels.revive(axis)
    return _result(call, axes)


@handles("_softmax", "_log_softmax", "_safe_softmax", "softmax", "log_softmax", "cumsum", "cumprod", "sort", "topk",
         "logcumsumexp", "cummax")  # fmt: skip
def along(call: Call) -> Axes | list[Axes]:
    """Every value depends on all values along one axis."""
    x = call.args[0]
    place = 2 if call.name == "topk" else 1
    dim = call.get(place, "dim", -1) % x.ndim
    axes: list[Axis] = list(call.axes(x))
    call.labels.pin(axes[dim], lambda: call.why(f"the {call.name.strip('_')} runs over it"))
    axes[dim] = None
    for axis in axes:
        call.labels.revive(axis)
    return _result(call, tuple(axes))
