"""From a trace to groups: which units can go, where they live, and what a removal changes."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from toolchain.compress.structured.groups_cut import Cut, Plan
from toolchain.compress.structured.groups_trace import trace
from toolchain.compress.structured.groups_tracer import Trace, Weight

_NORMS = (torch.nn.modules.batchnorm._NormBase, torch.nn.LayerNorm, torch.nn.GroupNorm)
_CONV = torch.nn.modules.conv._ConvNd
_TRANSPOSED = torch.nn.modules.conv._ConvTransposeNd


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a unit's channels live: an axis of a weight; ``axis`` is empty for biases and running statistics."""

    name: str
    key: str
    dim: int
    axis: str
    index: npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Unit:
    """Coupled channels with the same places: what becomes a group.

    Attributes:
        name: of its first layer.
        roots: one node per coupled channel.
        places: see :class:`Place`; ``index`` has shape (channels, repeat).
        repeat: positions of one coupled channel in the first layer.
    """

    name: str
    roots: tuple[int, ...]
    places: tuple[Place, ...]
    repeat: int


@dataclasses.dataclass
class Built:
    """A trace with its groups.

    Attributes:
        trace: what it was made from.
        rooted: the unit of every position, by weight and axis.
        units: groups with at least two channels.
        left_out: layers and why their channels stay.
    """

    trace: Trace
    rooted: dict[tuple[int, int], npt.NDArray[np.int64]]
    kinds: dict[tuple[int, int], str]
    units: tuple[Unit, ...]
    left_out: tuple[tuple[str, str], ...]

    def plan(self, gone: Collection[int]) -> Plan:
        """What changes when units go."""
        roots = np.array(sorted(gone), np.int64)
        labels = self.trace.labels
        cuts = tuple(self._cuts(roots, lambda kind, tensor: True))
        attributes = {
            attribute: int((~np.isin(labels.roots(axis), roots)).sum())
            for attribute, axis in self.trace.attributes.items()
            if axis is not None and np.isin(labels.roots(axis), roots).any()
        }
        indices = tuple(
            (name, key, tuple(np.flatnonzero(~np.isin(labels.roots(axis), roots)).tolist()))
            for name, key, axis in self.trace.indices
            if axis is not None and np.isin(labels.roots(axis), roots).any()
        )
        return Plan(cuts, tuple(attributes.items()), indices)

    def zeros(self, gone: Collection[int]) -> list[Cut]:
        """Where units are made: filters, biases, shifts; and where they are read if a zero becomes another value."""
        revived = self.trace.labels.revived()
        made = list(
            self._cuts(
                np.array(sorted(gone), np.int64), lambda kind, tensor: kind != "in" and tensor.is_floating_point()
            )
        )
        read = np.array(sorted(set(gone) & revived), np.int64)
        return made + list(self._cuts(read, lambda kind, tensor: kind == "in"))

    def _cuts(self, roots: npt.NDArray[np.int64], wanted: Any) -> Iterator[Cut]:
        for (w, dim), axis in self.rooted.items():
            weight = self.trace.weights[w]
            gone = np.isin(axis, roots)
            if gone.any() and wanted(self.kinds[w, dim], weight.tensor):
                yield Cut(tuple(weight.names), dim, len(axis), tuple(np.flatnonzero(gone).tolist()))


def retraced(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], exclude: Sequence[str]) -> Built:
    """Trace and build; where a grouped convolution leaves nothing to prune, try its other mode."""
    was = {name: m.training for name, m in model.named_modules()}
    model.eval()
    try:
        built = build(trace(model, inputs), model, exclude)
        stuck = _stuck(built)
        if not stuck:
            return built
        other = {name: "local" if built.trace.grouped[name] == "whole" else "whole" for name in stuck}
        changed = build(trace(model, inputs, other), model, exclude)
        still = _stuck(changed)
        helped = {name: mode for name, mode in other.items() if name not in still}
        if not helped:
            return built
        return changed if len(helped) == len(other) else build(trace(model, inputs, helped), model, exclude)
    finally:
        for name, module in model.named_modules():
            module.training = was[name]


def _stuck(built: Built) -> set[str]:
    """Grouped convolutions of which nothing is in a group."""
    touched = {place.name for unit in built.units for place in unit.places}
    return set(built.trace.grouped) - touched


def build(found: Trace, model: torch.nn.Module, exclude: Sequence[str]) -> Built:
    """Groups of a trace."""
    modules = dict(model.named_modules())
    kinds, rooted = {}, {}
    for w, weight in enumerate(found.weights):
        for dim, axis in enumerate(weight.axes):
            if axis is not None:
                kinds[w, dim] = _kind(modules[weight.names[0][0]], weight, dim)
                if kinds[w, dim] in ("out", "parameter") and _excluded(weight, exclude):
                    found.labels.pin(axis, lambda: "it is excluded")
    for w, dim in kinds:
        rooted[w, dim] = found.labels.roots(found.weights[w].axes[dim])  # type: ignore[arg-type]
    pinned = found.labels.pinned()
    units, small = _units(found, rooted, kinds, pinned)
    return Built(found, rooted, kinds, units, (*_left_out(found, rooted, kinds, pinned), *small))


def _excluded(weight: Weight, exclude: Sequence[str]) -> bool:
    return any(name == e or name.startswith(f"{e}.") for name, _ in weight.names for e in exclude)


def _kind(module: torch.nn.Module, weight: Weight, dim: int) -> str:
    """``out``, ``in``, ``norm``, ``parameter``; empty for biases and buffers."""
    key = weight.names[0][1]
    if not isinstance(weight.tensor, torch.nn.Parameter):
        return ""
    if isinstance(module, (_CONV, torch.nn.Linear)):
        if key != "weight":
            return ""
        return "out" if dim == (1 if isinstance(module, _TRANSPOSED) else 0) else "in"
    if isinstance(module, _NORMS):
        return "norm" if key == "weight" else ""
    return "parameter"


def _units(
    found: Trace,
    rooted: Mapping[tuple[int, int], npt.NDArray[np.int64]],
    kinds: Mapping[tuple[int, int], str],
    pinned: Mapping[int, str],
) -> tuple[tuple[Unit, ...], list[tuple[str, str]]]:
    """Units with the same places become one group; those of one unit only are left out."""
    places: dict[int, dict[tuple[int, int], list[int]]] = {}
    for where, axis in rooted.items():
        for position, root in enumerate(axis.tolist()):
            if root not in pinned:
                places.setdefault(root, {}).setdefault(where, []).append(position)
    families: dict[tuple[tuple[tuple[int, int], int], ...], list[int]] = {}
    for root, held in places.items():
        families.setdefault(tuple((where, len(index)) for where, index in held.items()), []).append(root)
    units, small, names = [], [], collections.Counter[str]()
    for family, roots in families.items():
        order = [where for where, _ in family]
        first = next((w for w in order if kinds[w] == "out"), None) or next((w for w in order if kinds[w]), order[0])
        if not any(kinds[w] in ("out", "parameter") for w in order):
            continue
        name = _named(found.weights[first[0]], kinds[first])
        names[name] += 1
        name = name if names[name] == 1 else f"{name}:{names[name]}"
        if len(roots) < 2:
            small.append((name, "all its channels are coupled, and one must stay"))
            continue
        ordered = sorted(roots, key=lambda root: places[root][first])
        made = [_place(found.weights[w], dim, kinds[w, dim], [places[r][w, dim] for r in ordered]) for w, dim in order]
        units.append(Unit(name, tuple(ordered), tuple(made), len(places[ordered[0]][first])))
    return tuple(units), small


def _place(weight: Weight, dim: int, kind: str, index: list[list[int]]) -> Place:
    return Place(*weight.names[0], dim, kind, np.array(index, np.int64))


def _named(weight: Weight, kind: str) -> str:
    name, key = weight.names[0]
    return f"{name}.{key}".lstrip(".") if kind == "parameter" else name


def _left_out(
    found: Trace,
    rooted: Mapping[tuple[int, int], npt.NDArray[np.int64]],
    kinds: Mapping[tuple[int, int], str],
    pinned: Mapping[int, str],
) -> list[tuple[str, str]]:
    """Layers all or some of whose filters stay, with the first reason."""
    left = []
    for where, axis in rooted.items():
        stay = [root for root in axis.tolist() if root in pinned]
        if kinds[where] in ("out", "parameter") and stay:
            share = "" if len(stay) == len(axis) else f"{len(stay)} of its {len(axis)} channels: "
            left.append((_named(found.weights[where[0]], kinds[where]), share + pinned[stay[0]]))
    return left
