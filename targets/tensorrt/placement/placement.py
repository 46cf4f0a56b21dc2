"""A placement of Q/DQ pairs as data."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping


class Weights(str, enum.Enum):
    """How many scales weights have, and where.

    With :attr:`BEHIND`, a convolution's weights have one scale, and its result is multiplied with a factor per channel
    before the bias is added: the numbers of :attr:`CHANNEL`, and TensorRT-RTX 1.7 keeps the result in fp16, which with
    scales per channel in front it writes in fp32.
    """

    TENSOR = "one scale per tensor"
    CHANNEL = "one scale per output channel"
    BEHIND = "one scale per output channel, behind the convolution"

    def __str__(self) -> str:
        return self.value


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which rules are used, and where.

    Attributes:
        name: for people; ``default`` uses every rule everywhere.
        sentence: why one might want it.
        without: names of rules that are not used, each with the reason.
        in_float: names of nodes that stay in float.
        weights: how many scales they have; None for what the quantization scheme says.
    """

    name: str = "default"
    sentence: str = "Every rule applies."
    without: Mapping[str, str] = dataclasses.field(default_factory=dict)
    in_float: frozenset[str] = frozenset()
    weights: Weights | None = None


@dataclasses.dataclass(frozen=True)
class QuantizedInput:
    """An input of a node that becomes int8; ``axis`` of the output channels for weights, None otherwise."""

    node: str
    op: str
    index: int
    tensor: str
    rule: str
    weights: bool = False
    axis: int | None = None


@dataclasses.dataclass(frozen=True)
class Decision:
    """What happens to one node: ``rule`` is empty where it stays in float, ``reason`` is a sentence for users."""

    node: str
    op: str
    int8: bool
    rule: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Placement:
    """A plan that needs no ranges.

    Attributes:
        choice: what it was made from.
        inputs: everything that becomes int8, in graph order.
        shared: groups of activations that must have one scale.
        decisions: one per node, in graph order; constants are left out.
    """

    choice: Choice
    inputs: tuple[QuantizedInput, ...]
    shared: tuple[tuple[str, ...], ...]
    decisions: tuple[Decision, ...]

    @property
    def name(self) -> str:
        """Of the choice."""
        return self.choice.name

    def activations(self) -> list[str]:
        """The tensors that get a Q/DQ pair, in the order in which they are first read."""
        return list(dict.fromkeys(item.tensor for item in self.inputs if not item.weights))

    def left_in_float(self) -> list[Decision]:
        """The nodes that do not compute in int8."""
        return [decision for decision in self.decisions if not decision.int8]
