"""Dynamic execution: gates that decide per sample whether a residual block runs (SkipNet), and what is left of them.

Wang, Yu, Dou, Darrell & Gonzalez 2018, "SkipNet: Learning Dynamic Routing in Convolutional Networks",
arXiv:1711.09485.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from profiles.errors import ConfigError, UnsupportedError
from toolchain.compress.context import Context
from toolchain.compress.excluded import excluded
from toolchain.compress.goals import reach
from toolchain.compress.passes import Outcome
from toolchain.frontend.train.hooks import Hook, TrainingState
from toolchain.project.recipe import Prune, StepOptions

NO_GAIN = "no gain on static engines: they run every block for every sample; only blocks that are removed save anything"


class Gated(torch.nn.Module):  # type: ignore[misc]
    """A block F behind a gate G: y = G(x) F(x) + (1 - G(x)) x, with G(x) 0 or 1 for each sample.

    G is a linear layer on the mean of every channel, x of shape (N, C, ...) to (N, 1), and a step at 0; backwards,
    it is the sigmoid (straight through). It starts open. ``open_share`` is differentiable: the mean of the sigmoid.
    """

    def __init__(self, block: torch.nn.Module, channels: int) -> None:
        super().__init__()
        self.block = block
        self.gate = torch.nn.Linear(channels, 1)
        torch.nn.init.zeros_(self.gate.weight)
        torch.nn.init.ones_(self.gate.bias)
        self.open_share: torch.Tensor | None = None
        self.runs = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output where the gate is open, x where it is closed."""
        soft = torch.sigmoid(self.gate(x.flatten(2).mean(2) if x.ndim > 2 else x))
        hard = (soft > 0.5).to(soft.dtype)
        self.open_share = soft.float().mean()
        if not self.training:
            self.runs = float(hard.mean())
        gate = (hard + soft - soft.detach()).reshape(-1, *[1] * (x.ndim - 1))
        return gate * self.block(x) + (1 - gate) * x


class GatePenalty(Hook):
    """Adds strength x the mean share of open gates to the loss."""

    captured = True

    def __init__(self, gated: Sequence[Gated], strength: float) -> None:
        self.gated, self.strength = gated, strength

    def __repr__(self) -> str:
        return f"GatePenalty(blocks={len(self.gated)}, strength={self.strength})"

    def penalty(self, state: TrainingState) -> Any:
        """See the class."""
        shares = [gated.open_share for gated in self.gated if gated.open_share is not None]
        return self.strength * torch.stack(shares).mean() if shares else 0.0


def gates(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Train a gate per residual block, then remove the blocks that run least, as far as the goal says.

    A goal of ``ratio`` removes at most this share of the blocks, and only blocks that run for less than half of
    the samples; other goals remove blocks in this order until they are reached. Blocks that stay run always. Gates
    are trained for ``sparse_epochs`` (or, where that is 0, ``epochs``) with ``strength`` x open gates in the loss.

    Raises:
        ConfigError: no epochs to train gates in.
        UnsupportedError: no residual block whose output has its input's shape, or a goal beyond removing all.
    """
    assert isinstance(options, Prune)
    epochs = options.sparse_epochs or options.epochs
    if not epochs:
        raise ConfigError("the method 'gates' trains gates", seen="sparse_epochs = 0", next_step="give sparse_epochs")
    stay = excluded(model, options.exclude)
    blocks = [name for name in residual_blocks(model, context.tensors()) if name not in stay]
    if not blocks:
        raise UnsupportedError(
            "the method 'gates' wants residual blocks whose output has the shape of their input",
            seen="none in this model" + (" outside of exclude" if stay else ""),
            next_step="choose another method; see: edgewright methods --step prune",
        )
    runs = trained_runs(model, blocks, epochs, options, context)
    removed = _removed(model, runs, options, context)
    thin = without(model, removed)
    context.fit(thin, "the method 'gates'", epochs=options.epochs if options.sparse_epochs else 0, lr=options.lr)
    facts = {"blocks": len(blocks), "removed": removed, "runs": [[name, round(runs[name], 4)] for name in blocks]}
    used = [f"'{name}' ({100 * runs[name]:.0f} %)" for name in removed if runs[name] >= 0.5]
    missed = (f"removed for the goal, though their gates let most samples in: {', '.join(used)}",) if used else ()
    return Outcome(thin, facts, (NO_GAIN, *missed))


def residual_blocks(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> list[str]:
    """Names of the innermost modules with weights that add to their input and keep its shape.

    A module counts if it gives x back for any x >= 0 once all its parameters are 0: the branch is then silent,
    and what is left is the shortcut, with a ReLU behind it perhaps.
    """
    shapes = _same_shapes(model, inputs)
    found = [name for name, shape in shapes.items() if _is_residual(model.get_submodule(name), shape)]
    return [name for name in found if not any(other.startswith(f"{name}.") for other in found)]


def trained_runs(
    model: torch.nn.Module, blocks: Sequence[str], epochs: int, options: Prune, context: Context
) -> dict[str, float]:
    """Train model and gates together; the share of training samples for which each block runs, 0 to 1.

    The model keeps its trained weights; its gates are taken out again.
    """
    purpose = "the method 'gates'"
    with _gated(model, blocks, context) as gated:
        hook = GatePenalty(list(gated.values()), options.strength)
        context.fit(model, purpose, epochs=epochs, lr=options.lr, hooks=[hook])
        model.to(context.device).eval()
        count = math.ceil(options.samples / 128)
        seen: dict[str, list[float]] = {name: [] for name in blocks}
        with torch.no_grad():
            for batch in context.batches(purpose, count, min(128, options.samples)):
                model(batch.x)
                for name, block in gated.items():
                    seen[name].append(block.runs)
        model.cpu()
    return {name: sum(values) / len(values) for name, values in seen.items()}


def without(model: torch.nn.Module, names: Sequence[str]) -> torch.nn.Module:
    """A copy with an identity in place of these blocks."""
    thin = copy.deepcopy(model)
    for name in names:
        _put(thin, name, torch.nn.Identity())
    return thin


def _removed(model: torch.nn.Module, runs: dict[str, float], options: Prune, context: Context) -> list[str]:
    order = sorted(runs, key=lambda name: runs[name])
    goal = options.goal()
    if goal.kind == "ratio":
        return [name for name in order[: math.floor(goal.amount * len(order))] if runs[name] < 0.5]
    counts: dict[int, int] = {}

    def make(share: float) -> torch.nn.Module:
        count = math.ceil(share * len(order))
        thin = without(model, order[:count])
        counts[id(thin)] = count
        return thin

    best = reach(make, model, goal, context)
    return order[: counts[id(best)]]


@contextmanager
def _gated(model: torch.nn.Module, blocks: Sequence[str], context: Context) -> Iterator[dict[str, Gated]]:
    """The model with a gate around every block, for a while."""
    shapes = _same_shapes(model, context.tensors())
    originals = {name: model.get_submodule(name) for name in blocks}
    gated = {name: Gated(block, shapes[name][1]) for name, block in originals.items()}
    for name, module in gated.items():
        _put(model, name, module)
    try:
        yield gated
    finally:
        for name, block in originals.items():
            _put(model, name, block)


def _same_shapes(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> dict[str, tuple[int, ...]]:
    """Input shapes of modules with parameters that map one tensor to one of the same shape, in order of names."""
    shapes: dict[str, tuple[int, ...]] = {}
    names = {module: name for name, module in model.named_modules() if name and any(True for _ in module.parameters())}

    def note(module: torch.nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if len(args) == 1 and getattr(output, "shape", None) == getattr(args[0], "shape", ()):
            shapes[names[module]] = tuple(args[0].shape)

    hooks = [module.register_forward_hook(note) for module in names]
    try:
        with torch.no_grad():
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: shapes[name] for name in names.values() if name in shapes}


def _is_residual(module: torch.nn.Module, shape: tuple[int, ...]) -> bool:
    silent = copy.deepcopy(module).eval()
    x = torch.linspace(0, 1, math.prod(shape)).reshape(shape)
    with torch.no_grad():
        for parameter in silent.parameters():
            parameter.zero_()
        return bool(torch.equal(silent(x), x))


def _put(model: torch.nn.Module, name: str, module: torch.nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, module)
