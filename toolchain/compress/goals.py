"""Goals of a step (a ratio, or what may be left of a cost), and the search for the strength that reaches one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from profiles.errors import ConfigError, UnsupportedError

if TYPE_CHECKING:
    import torch

    from toolchain.compress.context import Context

#: Options that state a goal.
GOALS = ("ratio", "params", "macs", "bytes", "latency")
#: Units of what may be left.
UNITS = {"params": "parameters", "macs": "MACs", "bytes": "B", "latency": "s"}
_TRIES = 14


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a step should reach.

    Attributes:
        kind: of :data:`GOALS`.
        amount: the ratio to remove; else what may be left, in the unit of the kind.
        relative: the amount is a share of what the step starts from.
        device: of a latency goal: the name of the device entry; None means the project's first one.
    """

    kind: str
    amount: float
    relative: bool = True
    device: str | None = None


def cost(model: torch.nn.Module, goal: Goal, context: Context) -> float:
    """What a model costs in the goal's unit.

    Raises:
        ConfigError: a latency goal where no device can be measured.
    """
    from toolchain.compress.costs import model_bytes
    from toolchain.frontend.macs import count

    if goal.kind == "latency":
        if context.latency is None:
            raise ConfigError("a latency goal needs a device to measure on", next_step="add a [[device]] entry")
        return context.latency(model, goal.device or "")
    if goal.kind == "bytes":
        return float(model_bytes(model))
    params, macs = count(model, context.tensors())
    return float(params if goal.kind == "params" else macs)


def limit(goal: Goal, start: float) -> float:
    """What may be left, in the goal's unit, of a model that costs ``start``."""
    return start * goal.amount if goal.relative else goal.amount


def reach(
    make: Callable[[float], torch.nn.Module],
    model: torch.nn.Module,
    goal: Goal,
    context: Context,
    *,
    strongest: float = 1.0,
) -> torch.nn.Module:
    """The least compressed model that reaches the goal, by bisection over a method's strength.

    Args:
        make: from a strength (0: nothing, ``strongest``: all that the method can) to a new model; its cost falls
            with the strength, possibly in steps.
        model: what the step starts from.
        goal: not a ratio.
        context: for counting and measuring.
        strongest: upper end of the search.

    Raises:
        UnsupportedError: even the strongest setting costs more; the reachable minimum is named.
    """
    wanted = limit(goal, cost(model, goal, context))
    best = make(strongest)
    least = cost(best, goal, context)
    if least > wanted:
        unit = UNITS[goal.kind]
        raise UnsupportedError(
            f"wanted a model with at most {wanted:.6g} {unit}",
            seen=f"{least:.6g} {unit} with the strongest setting that the structure allows",
            allowed=f"{goal.kind} of {least:.6g} or more",
            next_step="ask for less, raise cap, lower round_to, or leave fewer layers out",
        )
    low, high = 0.0, strongest
    for _ in range(_TRIES if goal.kind != "latency" else _TRIES // 2):
        middle = (low + high) / 2
        tried = make(middle)
        if cost(tried, goal, context) <= wanted:
            best, high = tried, middle
        else:
            low = middle
    return best
