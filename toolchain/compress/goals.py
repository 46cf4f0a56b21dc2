"""Goals of a step (a ratio, or what may be left of a cost), and the search for the strength that reaches one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from profiles.errors import ConfigError, UnsupportedError
from profiles.units import format_quantity

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


def told(kind: str, amount: float, *, up: bool = False) -> str:
    """An amount with its unit, for people: a whole number of what is counted, so that it can be asked for.

    Args:
        kind: of a goal; not a ratio.
        amount: in the kind's unit.
        up: round up, as the least that can be reached must be; else down, as the most that is allowed must be.
    """
    if kind == "latency":
        return format_quantity(amount, UNITS[kind])
    whole = (math.ceil if up else math.floor)(round(amount, 6))
    return f"{whole} {UNITS[kind]}"


def allowed(goal: Goal, least: float, start: float) -> str:
    """The least that can be asked for, as it is written: ``macs = 12 or more, which is a share of 0.1``."""
    text = told(goal.kind, least, up=True)
    value = text.split()[0] if goal.kind in ("params", "macs") else f'"{text}"'
    share = f", which is a share of {math.ceil(1e4 * least / start) / 1e4:g}" if goal.relative and start else ""
    return f"{goal.kind} = {value} or more{share}"


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
    start = cost(model, goal, context)
    wanted = limit(goal, start)
    best = make(strongest)
    least = cost(best, goal, context)
    if least > wanted:
        raise UnsupportedError(
            f"wanted a model with at most {told(goal.kind, wanted)}",
            seen=f"{told(goal.kind, least, up=True)} with the strongest setting that the structure allows",
            allowed=allowed(goal, least, start),
            next_step="allow more, raise cap, lower round_to, or leave fewer layers out",
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
