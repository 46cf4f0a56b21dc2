"""Networks of MLPerf Tiny as regions, with random weights: for tests and for counting cycles."""

from __future__ import annotations

import numpy as np

from targets.tvm_fpga.compiler.ir import Addition, Kind, Layer, Region, Tensor


class Builder:
    """Layers one after the other, with weights, biases, and scales drawn at random."""

    def __init__(self, height, width, channels, seed=0):
        self.random = np.random.default_rng(seed)
        self.source = self.last = Tensor("in", height, width, channels, zero=-5)
        self.layers: list[Layer] = []

    def layer(self, name, outputs, kernel, stride=1, *, source=None, add=None, kind=Kind.CONV, same=True):
        """Padded so that out = in / stride, or (not ``same``) not at all."""
        source, draw = source or self.last, self.random
        rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
        if same:
            height, width = -(-source.height // stride), -(-source.width // stride)
        else:
            height, width = (source.height - rows) // stride + 1, (source.width - columns) // stride + 1
        padding = (
            max((height - 1) * stride + rows - source.height, 0) // 2,
            max((width - 1) * stride + columns - source.width, 0) // 2,
        )
        out = Tensor(name, height, width, outputs, zero=int(draw.integers(-20, 20)))
        shape = (outputs, rows, columns, source.channels) if kind is Kind.CONV else (rows, columns, outputs)
        sums = rows * columns * (source.channels if kind is Kind.CONV else 1)
        made = Layer(
            name,
            kind,
            source,
            out,
            weights=draw.integers(-128, 128, shape).astype(np.int8),
            bias=draw.integers(-1000, 1000, outputs),
            mult=draw.integers(1 << 15, 1 << 16, outputs),
            shift=np.full(outputs, 23 + int(np.log2(sums) / 2)),
            zero=3 if add else out.zero,
            stride=(stride, stride),
            padding=padding,
            fill=source.zero,
            addition=Addition(add, 20000, 30000, 16) if add else None,
        )
        self.layers.append(made)
        self.last = out
        return out

    def region(self):
        return Region(tuple(self.layers), (self.source,), (self.last,))


def resnet8():
    """CIFAR-10: 32x32x3, three stages of one block."""
    b = Builder(32, 32, 3)
    t = b.layer("c0", 16, 3)
    b.layer("c1", 16, 3)
    t = b.layer("c2", 16, 3, add=t)
    y = b.layer("c3", 32, 3, 2)
    z = b.layer("s1", 32, 1, 2, source=t)
    t = b.layer("c4", 32, 3, source=y, add=z)
    y = b.layer("c5", 64, 3, 2)
    z = b.layer("s2", 64, 1, 2, source=t)
    b.layer("c6", 64, 3, source=y, add=z)
    b.layer("pool", 64, 8, kind=Kind.DEPTHWISE, same=False)
    b.layer("fc", 10, 1)
    return b.region()


def vww():
    """Visual wake words: MobileNetV1 0.25, 96x96x3."""
    b = Builder(96, 96, 3)
    b.layer("c0", 8, 3, 2)
    wide = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]
    for number, (outputs, stride) in enumerate(wide):
        b.layer(f"d{number}", b.last.channels, 3, stride, kind=Kind.DEPTHWISE)
        b.layer(f"p{number}", outputs, 1)
    b.layer("pool", 256, 3, kind=Kind.DEPTHWISE, same=False)
    b.layer("fc", 2, 1)
    return b.region()


def dscnn():
    """Keyword spotting: 49x10x1."""
    b = Builder(49, 10, 1)
    b.layer("c0", 64, (10, 4), 2)
    for number in range(4):
        b.layer(f"d{number}", 64, 3, kind=Kind.DEPTHWISE)
        b.layer(f"p{number}", 64, 1)
    b.layer("pool", 64, (25, 5), kind=Kind.DEPTHWISE, same=False)
    b.layer("fc", 12, 1)
    return b.region()


NETWORKS = {"ResNet-8": resnet8, "VWW": vww, "DS-CNN": dscnn}


def random_inputs(region, seed=0):
    """An int8 value for every input."""
    draw = np.random.default_rng(seed)
    return {tensor.name: draw.integers(-128, 128, tensor.shape).astype(np.int8) for tensor in region.sources}
