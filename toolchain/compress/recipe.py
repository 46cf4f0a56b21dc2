"""Run a recipe: an ordered list of compression steps, each with a row of what it changed."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from profiles.errors import ConfigError
from profiles.measurement import Metric
from profiles.runner import Array
from toolchain.compress.context import Context
from toolchain.compress.passes import Outcome, check_all
from toolchain.frontend.data import Splits

if TYPE_CHECKING:
    import torch

    from toolchain.project.recipe import StepOptions


@dataclasses.dataclass(frozen=True)
class Row:
    """A model after a step; ``step`` is ``start`` for the first row.

    Attributes:
        step: its name, and ``method`` the method's.
        params, macs: counted; multiply-accumulates as :func:`toolchain.frontend.macs.count`.
        bytes: stored, zeros packed (:func:`toolchain.compress.costs.model_bytes`).
        zeros: share of the weights that are exactly zero.
        accuracy: on the test part, from 0 to 1; None without labelled data.
        latency: by device entry; empty where nobody measured.
        flags: sentences on what the step did not achieve.
        notes: other sentences for people.
        facts: what the method says of itself.
        kept: False for a step that was rolled back.
    """

    step: str
    method: str
    params: int
    macs: int
    bytes: int
    zeros: float
    accuracy: float | None = None
    latency: Mapping[str, Metric] = dataclasses.field(default_factory=dict)
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    kept: bool = True


@dataclasses.dataclass(frozen=True)
class CompressResult:
    """The compressed model in eval mode, and a row per step."""

    model: torch.nn.Module
    rows: tuple[Row, ...]


def compress(
    model: torch.nn.Module,
    steps: Sequence[StepOptions],
    data: Splits | None = None,
    example_input: torch.Tensor | Mapping[str, Array] | None = None,
    *,
    context: Context | None = None,
) -> CompressResult:
    """Run the steps in order; the given model stays as it is.

    Args:
        model: its mode does not matter.
        steps: such as ``[Prune(method="l1", ratio=0.5)]``.
        data: samples, for the methods that need some and for the accuracy.
        example_input: one inference's input, for counting and tracing; by default the first training sample.
        context: everything at once, instead of the two before.

    Raises:
        ConfigError: neither data nor an example input.
        ModelError: a condition of a step does not hold.
        UnsupportedError: a goal that cannot be reached; the reachable minimum is named.
    """
    around = context or Context(inputs=_inputs(example_input, data), data=data)
    current = copy.deepcopy(model).eval()
    rows = [row("start", "", Outcome(current), around)]
    for options in steps:
        outcome = run_step(current, options, around)
        current = outcome.model
        rows.append(row(options.step, getattr(options, "method", ""), outcome, around))
    return CompressResult(current, tuple(rows))


def run_step(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """One step on a copy of the model, its conditions checked before and after."""
    from toolchain.compress.conditions import after, before
    from toolchain.compress.steps import runner

    check_all(before(options), model, context, f"before '{options.step}'")
    outcome = runner(options)(copy.deepcopy(model), options, context)
    outcome.model.eval()
    check_all(after(options, model), outcome.model, context, f"after '{options.step}'")
    return outcome


def row(step: str, method: str, outcome: Outcome, context: Context) -> Row:
    """What a model costs and achieves after a step."""
    from toolchain.compress.costs import model_bytes, zero_share
    from toolchain.frontend.macs import count

    params, macs = count(outcome.model, context.tensors())
    scored = context.data is not None and context.data.labelled and context.task == "classification"
    return Row(
        step=step,
        method=method,
        params=params,
        macs=macs,
        bytes=model_bytes(outcome.model),
        zeros=zero_share(outcome.model),
        accuracy=context.accuracy(outcome.model) if scored else None,
        notes=outcome.notes,
        facts=outcome.facts,
    )


def _inputs(example: Any, data: Splits | None) -> Mapping[str, Array]:
    if isinstance(example, Mapping):
        return example
    if example is not None:
        return {"input": example.detach().cpu().numpy()}
    if data is None:
        raise ConfigError("compress needs an example input or data", next_step="give example_input=")
    return next(iter(data.train.samples()))
