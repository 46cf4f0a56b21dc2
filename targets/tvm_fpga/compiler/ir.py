"""What the accelerator is compiled for: integer layers on tensors of the form rows x columns x channels.

A :class:`Region` is what the partitioner hands over and all that the compiler knows of a network. What its layers
mean is written down once more, as arithmetic, in :mod:`targets.tvm_fpga.compiler.reference`; ready-made layers
(copies, additions, poolings) are in :mod:`targets.tvm_fpga.compiler.layers`.
"""

from __future__ import annotations

import dataclasses
import enum

import numpy as np

from profiles.runner import Array


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An int8 tensor of one image: real = scale * (q - zero).

    Attributes:
        name: unique in its region.
        height, width, channels: in elements.
        scale, zero: of the quantization.
    """

    name: str
    height: int
    width: int
    channels: int
    scale: float = 1.0
    zero: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, channels."""
        return self.height, self.width, self.channels

    def tiles(self, lanes: int) -> int:
        """Vectors of one position."""
        return -(-self.channels // lanes)

    def vectors(self, lanes: int) -> int:
        """Of the whole tensor."""
        return self.height * self.width * self.tiles(lanes)


class Kind(enum.Enum):
    """How channels meet: all with all, or each with itself (a sum of products, or the largest)."""

    CONV = "conv"
    DEPTHWISE = "depthwise"
    LARGEST = "largest"


@dataclasses.dataclass(frozen=True)
class Addition:
    """A second tensor that is added to the requantized result.

    out = clamp(round(((q - zero) * mul_a + (other - other.zero) * mul_b) / 2^shift) + out.zero), q with the zero point
    ``zero`` of the layer's own result.
    """

    other: Tensor
    mul_a: int
    mul_b: int
    shift: int
    lo: int = -128
    hi: int = 127


@dataclasses.dataclass(frozen=True)
class Layer:
    """One pass through the array, with what follows it.

    Attributes:
        name: of the operator that it came from.
        kind: see there.
        source, out: tensors.
        weights: int8; CONV: outputs x kernel rows x kernel columns x inputs; else kernel rows x columns x channels.
        bias: int32 per output, the input's zero point folded in.
        mult, shift: per output: round(sum * mult / 2^shift).
        zero, lo, hi: of the result before an addition.
        stride, padding, dilation: rows and columns; padding is that above and on the left.
        fill: what stands for padding, the input's zero point (or -128 where the largest is taken).
        addition: what is added, if anything.
        at: first channel of ``out`` that it writes: layers that write one tensor, each its own channels, concatenate.
    """

    name: str
    kind: Kind
    source: Tensor
    out: Tensor
    weights: Array
    bias: Array
    mult: Array
    shift: Array
    zero: int = 0
    lo: int = -128
    hi: int = 127
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    fill: int = 0
    addition: Addition | None = None
    at: int = 0

    @property
    def outputs(self) -> int:
        """Channels that it writes."""
        return int(self.weights.shape[0] if self.kind is Kind.CONV else self.weights.shape[2])

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns."""
        shape = self.weights.shape
        return (shape[1], shape[2]) if self.kind is Kind.CONV else (shape[0], shape[1])

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the layer as written, padding included."""
        positions = self.out.height * self.out.width
        return positions * int(np.prod(self.weights.shape))

    @property
    def sources(self) -> tuple[Tensor, ...]:
        """All tensors that it reads."""
        return (self.source, self.addition.other) if self.addition else (self.source,)


@dataclasses.dataclass(frozen=True)
class Region:
    """Layers in an order in which they can run, and the tensors that go in and come out."""

    layers: tuple[Layer, ...]
    sources: tuple[Tensor, ...]
    outs: tuple[Tensor, ...]

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All of them by name, in the order in which they are first needed."""
        found = {tensor.name: tensor for layer in self.layers for tensor in (*layer.sources, layer.out)}
        return found | {tensor.name: tensor for tensor in (*self.sources, *self.outs)}

    def users(self, name: str) -> list[int]:
        """Numbers of the layers that read a tensor."""
        return [number for number, layer in enumerate(self.layers) if name in {each.name for each in layer.sources}]

    def writers(self, name: str) -> list[int]:
        """Numbers of the layers that write a tensor."""
        return [number for number, layer in enumerate(self.layers) if layer.out.name == name]
