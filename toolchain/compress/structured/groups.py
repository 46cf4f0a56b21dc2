"""Groups of coupled channels, and a pruner that removes them.

Ours: the tracing of channel positions (groups_trace), the rules of operators (handlers*), the gates (equivalence,
cap, rounding). Torch-Pruning's (Fang et al., *DepGraph: Towards Any Structural Pruning*, CVPR 2023): the notion of
groups, and the functions that cut plain layers (groups_cut). Its own index mapping is not used: it loses groups or
mixes up indices behind channel shuffles, splits and grouped convolutions.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import torch

from profiles.errors import ConfigError, ModelError
from toolchain.compress.structured.equivalence import check
from toolchain.compress.structured.groups_build import Built, Unit, retraced
from toolchain.compress.structured.groups_cut import apply
from toolchain.compress.structured.groups_trial import trial
from toolchain.frontend.zoo.pytorchcv import without_inplace

_SHOWN = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Member:
    """One place where a group's channels live.

    Attributes:
        name: of the submodule inside the model; of the parameter where ``axis`` is ``parameter``.
        module: that submodule, or the holder of the parameter.
        axis: ``out`` (filters), ``in`` (what filters read), ``norm``, or ``parameter``.
        index: shape (channels, repeat), int64: where coupled channel j lives on that axis.
        dim: the axis of the tensor.
        key: the tensor's name in ``module``.
    """

    name: str
    module: torch.nn.Module
    axis: str
    index: torch.Tensor
    dim: int = 0
    key: str = "weight"

    def weights(self) -> torch.Tensor:
        """Values of every coupled channel here, shape (channels, values), differentiable."""
        return self._gather(getattr(self.module, self.key))

    def gradients(self) -> torch.Tensor | None:
        """The same of the gradient; None where there is none."""
        gradient = getattr(self.module, self.key).grad
        return None if gradient is None else self._gather(gradient)

    def _gather(self, value: torch.Tensor) -> torch.Tensor:
        index = self.index.to(value.device)
        return value.movedim(self.dim, 0)[index].reshape(len(index), -1)


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Channels that are removed one by one, each in all its places at once.

    Attributes:
        name: of the first layer whose filters they are; ``name:2`` for further channels of the same layer.
        channels: how many there are.
        members: the places.
    """

    name: str
    channels: int
    members: tuple[Member, ...]


class Pruner:
    """What can be removed from a model, and the removal. Valid for one :meth:`remove`.

    Attributes:
        model: the model, without in-place layers.
        groups: every group that may be pruned.
        left_out: names of layers (or groups) that may not, with the reasons.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        inputs: tuple[torch.Tensor, ...],
        *,
        exclude: Sequence[str] = (),
        cap: float = 0.85,
        round_to: int = 1,
    ) -> None:
        """Trace a model.

        Args:
            model: its in-place layers are switched to copying ones.
            inputs: one inference's inputs.
            exclude: layers whose channels stay, by name; all layers below a name too.
            cap: the largest share of a group's channels that may go.
            round_to: what the number of channels that stay is a multiple of, where the group is large enough.

        Raises:
            ModelError: it does not run, depends on its inputs' values, or nothing can be pruned.
            ConfigError: an excluded layer does not exist.
        """
        _known(model, exclude)
        self._used = False
        self.model, self._inputs, self._cap, self._round = without_inplace(model), inputs, cap, round_to
        self._built: Built = retraced(model, inputs, exclude)
        tried = trial(self.model, inputs, self._built, self._most)
        self._units = {unit.name: unit for unit in tried.units}
        self.left_out: tuple[tuple[str, str], ...] = (*self._built.left_out, *tried.left_out)
        modules = dict(model.named_modules())
        self.groups: tuple[Group, ...] = tuple(_group(unit, modules) for unit in tried.units)
        if not self.groups:
            raise self._nothing()

    def allowed(self, group: Group) -> int:
        """How many of its channels may go at most, so that at least one stays."""
        return self._most(self._units[group.name])

    def _most(self, unit: Unit) -> int:
        count = len(unit.roots)
        multiple = self._round // math.gcd(self._round, unit.repeat)
        stay = max(1, math.ceil((1 - self._cap) * count - 1e-9))
        return max(0, count - math.ceil(stay / multiple) * multiple)

    def remove(self, drop: Mapping[str, Sequence[int]]) -> torch.nn.Module:
        """Remove coupled channels, in place, once the pruned copy has been found equal to the masked one.

        Args:
            drop: channels by the name of their group.

        Raises:
            ConfigError: an unknown group or channel, more channels than allowed, or it has removed some before.
            ModelError: the pruned model is not the masked one.
        """
        if self._used:
            raise ConfigError("a pruner removes channels once", next_step="make a new one for the next round")
        gone = {root for name, channels in drop.items() for root in self._roots(name, channels)}
        plan, zeros = self._built.plan(gone), self._built.zeros(gone)
        for random in (True, False):
            verdict = check(self.model, self._inputs, plan, zeros, random=random)
            if verdict.problem:
                raise ModelError(
                    "wanted the pruned model to compute what the masked one computes",
                    seen=f"{verdict.problem} after pruning {self._culprits(drop)}",
                    allowed="a relative difference of 1e-8 in float64",
                    next_step="exclude that layer from pruning",
                )
        apply(self.model, plan)
        self._used = True
        return self.model

    def _roots(self, name: str, channels: Sequence[int]) -> list[int]:
        if name not in self._units:
            raise ConfigError("pruning needs a group's name", seen=name, allowed=", ".join(self._units))
        unit = self._units[name]
        picked = sorted({int(c) for c in channels})
        if picked and not 0 <= picked[0] <= picked[-1] < len(unit.roots):
            raise ConfigError(
                f"pruning '{name}' needs channels from 0 to {len(unit.roots) - 1}", seen=f"{picked[0]} to {picked[-1]}"
            )
        if len(picked) > self._most(unit):
            raise ConfigError(
                f"pruning '{name}' may take {self._most(unit)} of its {len(unit.roots)} channels", seen=str(len(picked))
            )
        return [unit.roots[c] for c in picked]

    def _culprits(self, drop: Mapping[str, Sequence[int]]) -> str:
        """Groups that fail alone."""
        bad = []
        for name, channels in drop.items():
            gone = set(self._roots(name, channels))
            if gone and check(self.model, self._inputs, self._built.plan(gone), self._built.zeros(gone)).problem:
                bad.append(f"'{name}'")
        return ", ".join(bad[:_SHOWN]) or "several groups together"

    def _nothing(self) -> ModelError:
        reasons = "; ".join(f"'{name}': {why}" for name, why in self.left_out[:_SHOWN])
        return ModelError(
            "wanted channels that can be pruned",
            seen=reasons or "no convolution or linear layer ran",
            allowed="a layer whose channels do not reach the output, and whose number is not fixed in the code",
            next_step="choose another method for this model, or write sizes in forward from x.shape",
        )


def _known(model: torch.nn.Module, exclude: Sequence[str]) -> None:
    names = [name for name, _ in model.named_modules()]
    for name in exclude:
        if name not in names:
            raise ConfigError("an excluded layer must exist", seen=name, allowed=", ".join(names[1:20]))


def _group(unit: Unit, modules: Mapping[str, torch.nn.Module]) -> Group:
    members = tuple(
        Member(
            f"{place.name}.{place.key}".lstrip(".") if place.axis == "parameter" else place.name,
            modules[place.name],
            place.axis,
            torch.from_numpy(place.index),
            place.dim,
            place.key,
        )
        for place in unit.places
        if place.axis
    )
    return Group(unit.name, len(unit.roots), members)


__all__ = ["Group", "Member", "Pruner"]
