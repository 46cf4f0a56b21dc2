"""How operators couple the channels of what goes in and what comes out.

One handler per operator (of those that PyTorch dispatches): it unites or pins nodes and returns the axes of its
results. An operator without a handler pins everything that goes in, so that nothing is pruned on a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from toolchain.compress.structured.groups_labels import Axis
from toolchain.compress.structured.groups_tracer import Axes, Call

Handler = Callable[[Call], Axes | Sequence[Axes]]
HANDLERS: dict[str, Handler] = {}
#: Operators that work position by position and do not say so.
_POINTWISE = {"_prelu_kernel", "prelu", "rrelu_with_noise_functional", "glu_jvp", "masked_fill", "nan_to_num"}


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Register a handler for operators by name (of any overload)."""

    def register(function: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, function))
        return function

    return register


def handle(call: Call, tensors: list[torch.Tensor], results: list[torch.Tensor]) -> list[Axes]:
    """Axes of an operator's results."""
    # The families of operators register themselves.
    from toolchain.compress.structured import (  # noqa: F401
        handlers_layers,
        handlers_mixed,
        handlers_parts,
        handlers_reduce,
        handlers_views,
    )

    name = call.name
    handler = HANDLERS.get(name)
    if handler is None and name.endswith("_") and name[:-1] in HANDLERS:
        handler = HANDLERS[name[:-1]]
    if handler is None and (torch.Tag.pointwise in call.func.tags or name in _POINTWISE):
        handler = pointwise
    labelled = any(axis is not None for t in tensors for axis in call.axes(t))
    if handler is None and not labelled:
        return [(None,) * t.ndim for t in results]
    made: Any = (handler or _unknown)(call)
    return [tuple(made)] if isinstance(call.out, torch.Tensor) else [tuple(axes) for axes in made]


def _unknown(call: Call) -> Axes | Sequence[Axes]:
    from torch.utils import _pytree

    for tensor in _pytree.tree_leaves((call.args, dict(call.kwargs))):
        if isinstance(tensor, torch.Tensor):
            pin_all(call, tensor, f"no rule says what operator {call.name} does to channels")
    results: list[Axes] = [(None,) * t.ndim for t in _pytree.tree_leaves(call.out) if isinstance(t, torch.Tensor)]
    return results[0] if isinstance(call.out, torch.Tensor) else results


def pin_all(call: Call, tensor: torch.Tensor, reason: str) -> None:
    """Nothing may be removed from a tensor."""
    for axis in call.axes(tensor):
        call.labels.pin(axis, lambda: call.why(reason))


def contract(call: Call, one: Axis, other: Axis) -> None:
    """Two axes that are multiplied and summed over: a zero on either side is as good as an absent position."""
    call.labels.unite(one, other, lambda: call.why("it meets an axis that cannot be pruned"))


def pointwise(call: Call) -> Axes:
    """Broadcast: every axis of the result couples the axes that it is made from."""
    out = call.out if isinstance(call.out, torch.Tensor) else call.out[0]
    tensors = [a for a in (*call.args, *call.kwargs.values()) if isinstance(a, torch.Tensor)]
    axes: list[Axis] = []
    for dim in range(-out.ndim, 0):
        # An axis of one value is broadcast and restricts nothing; every other one is part of the coupling.
        met = [call.axes(t)[dim] for t in tensors if t.ndim >= -dim and t.shape[dim] == out.shape[dim] != 1]
        axes.append(_united(call, met))
    if not _keeps_zero(call):
        for axis in axes:
            call.labels.revive(axis)
    return tuple(axes)


def _united(call: Call, met: list[Axis]) -> Axis:
    if not met:
        return None
    first = met[0]
    for axis in met[1:]:
        if first is None and axis is None:
            continue
        first = call.labels.unite(
            first, axis, lambda: call.why("it meets an axis of constant length, or one whose channels are not followed")
        )
    return first


def _keeps_zero(call: Call) -> bool:
    """Whether zeros in everything that has channels give a zero."""

    def tiny(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        followed = any(axis is not None for axis in call.axes(value))
        return torch.full([1] * value.ndim, 0 if followed else 1, dtype=value.dtype)

    if not call.out.dtype.is_floating_point:
        return False
    probe = call.func(*(tiny(a) for a in call.args), **{k: tiny(v) for k, v in call.kwargs.items() if k != "out"})
    return bool((probe == 0).all())
