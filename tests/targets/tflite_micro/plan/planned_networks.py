"""Kernel calls of two networks of MLPerf Tiny, written down by hand: shapes, rings of the DSP kernels, overlaps."""

from __future__ import annotations

import dataclasses

from targets.tflite_micro.calls import Call, In, Out, Rows, Scratch
from targets.tflite_micro.plan.problem import Buffer

Shape = tuple[int, int, int]


@dataclasses.dataclass
class Network:
    """Calls in the order of the file, and the shape (height, width, channels) of every tensor."""

    shapes: list[Shape] = dataclasses.field(default_factory=list)
    calls: list[Call] = dataclasses.field(default_factory=list)

    def tensor(self, *shape: int) -> int:
        self.shapes.append((shape[0], shape[1], shape[2]))
        return len(self.shapes) - 1

    def size(self, key: int) -> int:
        h, w, c = self.shapes[key]
        return h * w * c

    def buffers(self) -> tuple[Buffer, ...]:
        """Tensors that nothing writes are inputs, those that nothing reads are outputs."""
        read = {arg.tensor for call in self.calls for arg in call.args if isinstance(arg, In)}
        written = {arg.tensor for call in self.calls for arg in call.args if isinstance(arg, Out)}
        return tuple(Buffer(k, self.size(k), k not in written, k not in read) for k in range(len(self.shapes)))

    def windowed(self, name: str, key: int, kernel: tuple[int, int], stride: int, channels: int, *, wide: int) -> int:
        """A convolution with SAME padding whose ring holds ``kernel`` padded rows of ``wide`` bytes per element."""
        h, w, c = self.shapes[key]
        out = (-(-h // stride), -(-w // stride), channels)
        pad = max((out[0] - 1) * stride + kernel[0] - h, 0) // 2
        rows = Rows("load", "row", stride, kernel[0] - pad, h, out[0], w * c, out[1] * channels)
        ring = kernel[0] * (w + kernel[1] - 1) * c * wide
        result = self.tensor(*out)
        args = (In(key), Out(result), Scratch())
        overlap = {key: distance(rows)}
        self.calls.append(Call("ew_conv", {}, args, ring, overlap, False, rows, name=name))
        return result

    def pointwise(self, name: str, key: int, stride: int, channels: int) -> int:
        """A 1x1 convolution, which reads its input where it lies."""
        h, w, c = self.shapes[key]
        out = (-(-h // stride), -(-w // stride), channels)
        rows = Rows("", "row", stride, 1, h, out[0], w * c, out[1] * channels)
        pixels = range(out[1])
        overlap = max((x + 1) * channels - (x + 1) * stride * c for x in pixels if x + 1 < out[1])
        overlap = max(overlap, distance(rows), 0)
        result = self.tensor(*out)
        self.calls.append(Call("ew_pointwise", {}, (In(key), Out(result)), 0, {key: overlap}, False, rows, name=name))
        return result

    def add(self, name: str, a: int, b: int) -> int:
        result = self.tensor(*self.shapes[a])
        args = (In(a), In(b), Out(result))
        self.calls.append(Call("ew_add", {"count": self.size(result)}, args, 0, {a: 0, b: 0}, True, name=name))
        return result

    def plain(self, name: str, key: int, *shape: int) -> int:
        result = self.tensor(*shape)
        self.calls.append(Call("ew_" + name, {}, (In(key), Out(result)), name=name))
        return result


def distance(rows: Rows) -> int:
    """The smallest safe distance of a call that works through rows."""
    ends = [(y + 1, min(rows.in_rows, y * rows.stride + rows.reach)) for y in range(rows.out_rows)]
    unread = [y * rows.out_bytes - n * rows.in_bytes for y, n in ends if n < rows.in_rows]
    return max(unread, default=-rows.in_rows * rows.in_bytes)


def resnet8(wide: int = 2) -> Network:
    """``ic_resnet8_int8.tflite``: image classification."""
    net = Network()
    x = net.windowed("conv1", net.tensor(32, 32, 3), (3, 3), 1, 16, wide=wide)
    y = net.windowed("conv2a", x, (3, 3), 1, 16, wide=wide)
    x = net.add("add2", x, net.windowed("conv2b", y, (3, 3), 1, 16, wide=wide))
    for block, channels in ((3, 32), (4, 64)):
        y = net.windowed(f"conv{block}a", x, (3, 3), 2, channels, wide=wide)
        y = net.windowed(f"conv{block}b", y, (3, 3), 1, channels, wide=wide)
        x = net.add(f"add{block}", net.pointwise(f"skip{block}", x, 2, channels), y)
    x = net.plain("average", x, 1, 1, 64)
    net.plain("softmax", net.plain("dense", x, 1, 1, 10), 1, 1, 10)
    return net


def ds_cnn(wide: int = 2) -> Network:
    """``kws_dscnn_int8.tflite``: keyword spotting."""
    net = Network()
    x = net.windowed("conv1", net.tensor(49, 10, 1), (10, 4), 2, 64, wide=wide)
    for block in range(2, 6):
        x = net.windowed(f"depthwise{block}", x, (3, 3), 1, 64, wide=wide)
        x = net.pointwise(f"pointwise{block}", x, 1, 64)
    x = net.plain("average", x, 1, 1, 64)
    net.plain("softmax", net.plain("dense", x, 1, 1, 12), 1, 1, 12)
    return net


def mobilenet(wide: int = 2) -> Network:
    """``vww_96_int8.tflite``: visual wake words, MobileNet v1 with a width of 0.25."""
    net = Network()
    x = net.windowed("conv1", net.tensor(96, 96, 3), (3, 3), 2, 8, wide=wide)
    channels = (16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256)
    for block, out in enumerate(channels, 2):
        stride = 2 if block in (3, 5, 7, 13) else 1
        x = net.windowed(f"depthwise{block}", x, (3, 3), stride, net.shapes[x][2], wide=wide)
        x = net.pointwise(f"pointwise{block}", x, 1, out)
    x = net.plain("average", x, 1, 1, 256)
    net.plain("softmax", net.plain("dense", x, 1, 1, 2), 1, 1, 2)
    return net
