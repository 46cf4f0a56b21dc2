"""Which quantized tensors must have one scale."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from targets.tensorrt.placement.decided import moves
from targets.tensorrt.placement.graph import Net


class Groups:
    """Disjoint sets of tensors."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def join(self, tensors: Iterable[str]) -> None:
        """These and all that were joined with one of them are one set."""
        first, *others = (self.root(tensor) for tensor in tensors)
        self._above |= dict.fromkeys((other for other in others if other != first), first)

    def root(self, tensor: str) -> str:
        """The tensor that stands for the set."""
        while tensor in self._above:
            tensor = self._above[tensor]
        return tensor


def shared_scales(net: Net, groups: Groups, quantized: Collection[str]) -> tuple[tuple[str, ...], ...]:
    """The sets with at least two quantized tensors, each in the order of ``quantized``.

    What goes through an operator that only moves values keeps its scale, else int8 values would have to be
    converted there.
    """
    for node in net.nodes:
        if moves(node) and net.real(node.inputs[0]):
            groups.join((node.inputs[0], *node.outputs))
    members: dict[str, list[str]] = {}
    for tensor in quantized:
        members.setdefault(groups.root(tensor), []).append(tensor)
    return tuple(tuple(group) for group in members.values() if len(group) > 1)
