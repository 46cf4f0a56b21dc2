"""What pruning leaves in a model that targets may not be able to use: zeros, sums with a sparse part, gates.

Targets say it in their support reports (:func:`notes`). None of them packs zeros, in memory or in a bundle; sparse
tensor cores skip those of the 2:4 pattern (``targets/tensorrt/formats/sparsity.py``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from profiles.runner import Array
from targets.network import Step

#: N:M patterns that are looked for: of every M neighbours along the input channels, at most N are not zero.
PATTERNS = ((2, 4), (4, 8))
#: A smaller share of zeros is nobody's method: rounding to int8 alone makes some.
LEAST = 0.1
#: What a target does that has no kernels for zeros.
DENSE = "this target computes and stores them like any other number"
_DEEP = 12


@dataclasses.dataclass(frozen=True)
class Sparsity:
    """What was found.

    Attributes:
        layers: how many convolutions and matrix products with constant weights there are.
        weights, zeros: how many weights they have, and how many of these are exactly zero.
        patterns: ``2:4`` and ``4:8`` to the layers whose weights have that pattern; each layer once, the tighter first.
        sums: sums of two linear branches on the same input of which one is sparse: sparse plus low rank.
        gates: products and selections by a decision on the input as a whole: what dynamic pruning leaves.
        branches: conditional parts and loops.
    """

    layers: int = 0
    weights: int = 0
    zeros: int = 0
    patterns: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    sums: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Of the weights that are zero, 0 to 1."""
        return self.zeros / self.weights if self.weights else 0.0


def has_pattern(weights: Array, axis: int, kept: int = 2, group: int = 4) -> bool:
    """Whether at most ``kept`` of every ``group`` neighbours along ``axis`` are not 0; it is a multiple long."""
    last = np.moveaxis(weights, axis, -1)
    groups = (last != 0).reshape(*last.shape[:-1], -1, group)
    return bool((np.count_nonzero(groups, axis=-1) <= kept).all())


def find(steps: Sequence[Step]) -> Sparsity:
    """Look through a network."""
    layers = [step for step in steps if step.weights is not None]
    zeros = [_zeros(step) for step in layers]
    makers = {tensor: step for step in steps for tensor in step.outputs}
    return Sparsity(
        layers=len(layers),
        weights=sum(_weights(step).size for step in layers),
        zeros=sum(zeros),
        patterns=_patterns(layers, zeros),
        sums=tuple(step.name for step in steps if step.kind == "add" and _is_sum(step, makers)),
        gates=tuple(step.name for step in steps if step.kind == "choose" and _is_gate(step, makers)),
        branches=tuple(step.name for step in steps if step.kind == "branch"),
    )


def _weights(step: Step) -> Array:
    assert step.weights is not None
    return step.weights


def _zeros(step: Step) -> int:
    return _weights(step).size - int(np.count_nonzero(_weights(step)))


def _patterns(layers: Sequence[Step], zeros: Sequence[int]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for step, empty in zip(layers, zeros, strict=True):
        values = _weights(step)
        for kept, group in PATTERNS:
            if step.axis is None or values.shape[step.axis] % group or empty < values.size * (group - kept) / group:
                continue
            if has_pattern(values, step.axis, kept, group):
                found[f"{kept}:{group}"] = (*found.get(f"{kept}:{group}", ()), step.name)
                break
    return found


def _is_sum(step: Step, makers: dict[str, Step]) -> bool:
    """Whether all operands are layers in a row on one and the same tensor, and some layer has zeros."""
    origins, sparse = set(), False
    for tensor in step.inputs:
        layers = list(_linear(tensor, makers))
        if not layers:
            return False
        origins.add(layers[-1].inputs[:1])
        sparse = sparse or any(_zeros(layer) >= LEAST * _weights(layer).size for layer in layers)
    return len(step.inputs) > 1 and len(origins) == 1 and sparse


def _linear(tensor: str, makers: dict[str, Step]) -> Iterator[Step]:
    """The layers behind a tensor, back to front, until something that is not linear."""
    while (step := makers.get(tensor)) is not None and len(step.inputs) == 1 and not step.bent:
        if step.kind == "layer" and step.weights is not None:
            yield step
        elif step.kind not in ("move", "add"):  # a sum with one operand adds a constant
            return
        tensor = step.inputs[0]


def _is_gate(step: Step, makers: dict[str, Step]) -> bool:
    """Whether an operand is a comparison, converted or not, of something that was reduced over the input."""
    for tensor in step.inputs:
        maker = makers.get(tensor)
        while maker is not None and maker.kind == "move" and maker.inputs:
            maker = makers.get(maker.inputs[0])
        if maker is not None and maker.kind == "compare" and _comes_from("reduce", maker, makers):
            return True
    return False


def _comes_from(kind: str, step: Step, makers: dict[str, Step]) -> bool:
    """Whether a step of that kind is among the next few before one."""
    near = [step]
    for _ in range(_DEEP):
        near = [makers[tensor] for one in near for tensor in one.inputs if tensor in makers]
        if any(one.kind == kind for one in near):
            return True
    return False


def notes(found: Sparsity, zeros: str = DENSE) -> tuple[str, ...]:
    """Sentences for a support report; none for a dense model.

    Args:
        found: see :func:`find`.
        zeros: what the target does with weights that are zero.
    """
    said = []
    if found.share >= LEAST:
        of = ", ".join(f"{name} in {len(names)} of {found.layers} layers" for name, names in found.patterns.items())
        said.append(f"{found.share:.0%} of the weights are zero{f' ({of})' if of else ''}; {zeros}")
    if found.sums:
        said.append(
            f"{_listed(found.sums)}: a sparse layer beside others on the same input (sparse plus low rank);"
            " computed densely that is more work than the one layer that it replaces"
        )
    if found.gates:
        said.append(
            f"{_listed(found.gates)}: gated by a decision on each input; what is gated off is computed all the same"
        )
    if found.branches:
        said.append(f"{_listed(found.branches)}: decided while it runs; figures are of one path")
    return tuple(said)


def _listed(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"'{name}'" for name in names[:most]) + more
