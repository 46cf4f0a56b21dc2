"""The methods: called with (model, options, context), see ``toolchain/compress/passes.py``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import cast

from torch import nn

from profiles.errors import ConfigError, ModelError
from toolchain.compress.context import Context
from toolchain.compress.lowrank.balance import balance
from toolchain.compress.lowrank.correct import Pair, drift, refit, renormalise
from toolchain.compress.lowrank.cp import Cp
from toolchain.compress.lowrank.metric import measure
from toolchain.compress.lowrank.pairs import Separable, Svd
from toolchain.compress.lowrank.plan import Factorised, Task, choose, summary
from toolchain.compress.lowrank.scheme import Metrics, Scheme, no_metric
from toolchain.compress.lowrank.scratch import BnSeparable, fold, forget
from toolchain.compress.lowrank.sites import find
from toolchain.compress.lowrank.sparse import SparseLowRank, Sum
from toolchain.compress.lowrank.tucker import Tucker2
from toolchain.compress.passes import Outcome
from toolchain.frontend.train.environment import bounded_threads, deterministic
from toolchain.project.recipe import LowRank, StepOptions

#: From the metric of the errors to the scheme.
_Make = Callable[[Metrics], Scheme]


def svd(model: nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Truncated SVD of the weights alone: :class:`toolchain.compress.lowrank.pairs.Svd`."""
    return _post(model, options, context, lambda metrics: Svd(round_to=context.round_to))


def svd_data(model: nn.Module, options: StepOptions, context: Context) -> Outcome:
    """SVD in the metric of the samples, mended with them.

    Raises:
        DataError: there are none.
    """
    context.samples(_purpose(options))
    return _post(model, options, context, lambda metrics: Svd(metrics, context.round_to), mend=True)


def separable(model: nn.Module, options: StepOptions, context: Context) -> Outcome:
    """kh x 1 and 1 x kw: :class:`toolchain.compress.lowrank.pairs.Separable`."""
    return _post(model, options, context, lambda metrics: Separable(metrics, context.round_to), mend=True)


def tucker2(model: nn.Module, options: StepOptions, context: Context) -> Outcome:
    """1x1, core, 1x1: :class:`toolchain.compress.lowrank.tucker.Tucker2`."""
    return _post(model, options, context, lambda metrics: Tucker2(metrics, context.round_to), mend=True)


def cp(model: nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Four thin layers: :class:`toolchain.compress.lowrank.cp.Cp`."""
    return _post(model, options, context, lambda metrics: Cp(metrics, seed=context.seed), mend=True)


def sparse_lowrank(model: nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Two layers side by side: :class:`toolchain.compress.lowrank.sparse.SparseLowRank`; zeros outlive training."""
    kept = dataclasses.replace(context, keep_zeros=True)
    return _post(model, options, kept, lambda metrics: SparseLowRank())


def bn_lowrank(model: nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Ranks from the weights that there are, then all weights are drawn anew and trained.

    Raises:
        ConfigError: no epochs.
        DataError: nothing to train with.
    """
    if not options.epochs:
        raise ConfigError(
            f"{_purpose(options)} trains from random weights",
            seen="epochs = 0",
            next_step="give as many epochs as a new model needs",
        )
    task, notes = _task(model, options, context, BnSeparable(round_to=context.round_to))
    made = task.build(choose(task, cast(LowRank, options)))
    facts = summary(task, made)
    forget(made.model, context.seed)
    context.fit(made.model, _purpose(options), epochs=options.epochs, lr=options.lr)
    fold(made.model.eval(), list(made.ranks))
    return Outcome(made.model, facts, notes)


def _post(model: nn.Module, options: StepOptions, context: Context, make: _Make, *, mend: bool = False) -> Outcome:
    """Factorise a trained model, mend it where there are samples, train it on where there are epochs."""
    lowrank = cast(LowRank, options)
    task, notes = _task(model, options, context, make(no_metric))
    if mend and _has_samples(context):
        with bounded_threads(context.training.threads), deterministic(context.device):
            task, made = _mended(task, lowrank, make)
        notes = (*notes, f"ranks, last factors and normalisation are fitted to {lowrank.samples} training samples")
    else:
        made = task.build(choose(task, lowrank))
    facts = summary(task, made)
    for name in made.ranks:
        _balance(made.model.get_submodule(name))
    context.fit(made.model, _purpose(options), epochs=options.epochs, lr=options.lr)
    return Outcome(made.model.eval(), facts, (*notes, *made.notes))


def _mended(task: Task, options: LowRank, make: _Make) -> tuple[Task, Factorised]:
    """Errors of all weights alike, or in the metric of the samples, trusted in full or half: what stays closest."""
    purpose, samples, context = _purpose(options), options.samples, task.context
    metrics = measure(task.model, task.sites, context, purpose, samples)
    layers = {site.name: site.layer for site in task.sites}
    weighed = Task(task.model, task.sites, make(metrics), context)
    tried = []
    for one in (task, dataclasses.replace(weighed, trust=0.5), dataclasses.replace(weighed, trust=1.0)):
        made = one.build(choose(one, options))
        pair = Pair(made.model, task.model)
        refit(pair, [(made.built[name].layer, layers[name]) for name in made.ranks], context, purpose, samples)
        renormalise(made.model, context, purpose, samples)
        tried.append((drift(pair, context, purpose, samples), one, made))
    _, one, made = min(tried, key=lambda attempt: attempt[0])
    return one, made


def _balance(layer: nn.Module) -> None:
    """Factors of equal size, of a chain or of the low-rank part of a sum."""
    balance(cast(nn.Sequential, layer.low if isinstance(layer, Sum) else layer))


def _task(model: nn.Module, options: StepOptions, context: Context, scheme: Scheme) -> tuple[Task, tuple[str, ...]]:
    """The model's layers with the scheme, and notes on others.

    Raises:
        ModelError: there are none.
    """
    sites, notes = find(model.eval(), context.tensors(), cast(LowRank, options).exclude)
    if not sites:
        raise ModelError(
            "no layer of this model can be factorised",
            seen="; ".join(notes) or "no convolution or linear layer that runs, or all of them are excluded",
            allowed="linear layers and convolutions without groups",
        )
    return Task(model, sites, scheme, context), notes


def _has_samples(context: Context) -> bool:
    return context.data is not None and context.data.source != "random" and len(context.data.train) > 0


def _purpose(options: StepOptions) -> str:
    return f"the method '{cast(LowRank, options).method}'"
