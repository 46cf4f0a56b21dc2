"""What an Orin's deep learning accelerator cannot do: one function per limit, whose docstring is the user's sentence.

From NVIDIA's TensorRT documentation, "DLA Supported Layers and Restrictions" (general restrictions, and the section of
each layer), and the list of ONNX operators in NVIDIA/Deep-Learning-Accelerator-SW, ``operators/README.md``. A function
says whether a node is beyond the limit; where a shape is not known it is taken to be within.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from targets.onnx_tools import constant_values, weights
from targets.tensorrt.placement.graph import Net, Node


class Graph(Net):
    """A graph whose constant numbers can be asked for."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self._scalars = {
            name: float(constant_values(tensor).reshape(-1)[0])
            for name, tensor in weights(model)
            if math.prod(tensor.dims) == 1 and self.shape(name) is not None
        }

    def scalar(self, tensor: str) -> float | None:
        """The value of a constant with one element."""
        return self._scalars.get(tensor)

    def fixed(self, tensor: str) -> bool:
        """Whether it is a constant, as it is or converted."""
        maker = self.maker(tensor)
        return self.constant(tensor) or (maker is not None and maker.op in _CONVERTS and self.fixed(maker.inputs[0]))


_CONVERTS = ("QuantizeLinear", "DequantizeLinear", "Cast", "Reshape", "Transpose", "Unsqueeze", "Identity")
#: Whether a node is beyond a limit; the last argument is the precision of the network.
Limit = Callable[[Graph, Node, str], bool]


def _shape(net: Graph, tensor: str) -> tuple[int, ...]:
    return tuple(net.shape(tensor) or ())


def _outside(values: tuple[int, ...] | list[int], least: int, most: int) -> bool:
    return any(not least <= value <= most for value in values)


def _listed(node: Node, name: str, otherwise: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(value) for value in node.attribute(name, otherwise))


def _window(net: Graph, node: Node) -> tuple[int, ...]:
    """Kernel height and width; empty where there is none."""
    if "kernel_shape" in node.attributes:
        return _listed(node, "kernel_shape", ())
    return _shape(net, node.inputs[1])[2:] if len(node.inputs) > 1 and node.op.startswith("Conv") else ()


def large_batch(net: Graph, node: Node, precision: str) -> bool:
    """The batch may be at most 4096."""
    return any(_shape(net, tensor)[0] > 4096 for tensor in node.outputs if _shape(net, tensor))


def large_dimension(net: Graph, node: Node, precision: str) -> bool:
    """Every dimension but the batch may be at most 8192."""
    return any(_outside(_shape(net, tensor)[1:], 0, 8192) for tensor in (*node.inputs[:1], *node.outputs))


def not_two_spatial(net: Graph, node: Node, precision: str) -> bool:
    """Only tensors with batch, channels and two spatial dimensions are taken."""
    return any(_shape(net, tensor) and len(_shape(net, tensor)) != 4 for tensor in (*node.inputs[:1], *node.outputs))


def computed_weights(net: Graph, node: Node, precision: str) -> bool:
    """Weights must be constants."""
    return len(node.inputs) > 1 and not net.fixed(node.inputs[1])


def kernel_size(net: Graph, node: Node, precision: str) -> bool:
    """A convolution's kernel may be 1 to 32 in each dimension."""
    return _outside(_window(net, node), 1, 32)


def padding(net: Graph, node: Node, precision: str) -> bool:
    """A convolution's padding may be 0 to 31, and less than its kernel."""
    pads, window = _listed(node, "pads", ()), _window(net, node)
    return _outside(pads, 0, 31) or any(pad >= size for pad, size in zip(pads, window * 2, strict=False))


def stride(net: Graph, node: Node, precision: str) -> bool:
    """A convolution's stride may be 1 to 8."""
    return _outside(_listed(node, "strides", (1, 1)), 1, 8)


def dilation(net: Graph, node: Node, precision: str) -> bool:
    """A convolution's dilation may be 1 to 32."""
    return _outside(_listed(node, "dilations", (1, 1)), 1, 32)


def output_maps(net: Graph, node: Node, precision: str) -> bool:
    """A convolution may have 1 to 8192 output channels and groups."""
    sizes = _shape(net, node.inputs[1])[:2]
    return bool(sizes) and _outside([max(sizes), int(node.attribute("group", 1))], 1, 8192)


def convolution_buffer(net: Graph, node: Node, precision: str) -> bool:
    """One kernel's weights and the rows of input that it covers must fit the 16 banks of the convolution buffer."""
    data, window = _shape(net, node.inputs[0]), _window(net, node)
    if len(data) != 4 or len(window) != 2:
        return False
    channel_bytes = data[1] * (1 if precision == "int8" else 2)
    reach = (window[0] - 1) * _listed(node, "dilations", (1, 1))[0] + 1
    kernel_bytes = math.ceil(channel_bytes * math.prod(window) / 128) * 128
    entries = math.ceil(math.ceil(channel_bytes / 32) * data[3] / 4)
    return math.ceil(kernel_bytes / 32768) + math.ceil(entries * reach / 256) > 16


def transposed_kernel(net: Graph, node: Node, precision: str) -> bool:
    """A transposed convolution's kernel and stride may be 1 to 32, or 1 by 64, 96 or 128."""
    odd = [tuple(sorted(pair)) for pair in (_window(net, node), _listed(node, "strides", (1, 1))) if pair]
    return any(_outside(pair, 1, 32) and pair not in ((1, 64), (1, 96), (1, 128)) for pair in odd)


def transposed_plain(net: Graph, node: Node, precision: str) -> bool:
    """A transposed convolution may have neither padding, groups nor dilation."""
    pads = (*_listed(node, "pads", ()), *_listed(node, "output_padding", ()))
    return any(pads) or int(node.attribute("group", 1)) > 1 or max(_listed(node, "dilations", (1,))) > 1


def pooling_window(net: Graph, node: Node, precision: str) -> bool:
    """A pooling window may be 1 to 8 in each dimension."""
    return _outside(_window(net, node), 1, 8)


def pooling_steps(net: Graph, node: Node, precision: str) -> bool:
    """A pooling's stride may be 1 to 16, its padding 0 to 7."""
    return _outside(_listed(node, "strides", (1, 1)), 1, 16) or _outside(_listed(node, "pads", ()), 0, 7)


def clip_range(net: Graph, node: Node, precision: str) -> bool:
    """A clipped ReLU may cut from 0 to something between 1 and 127."""
    low, high = (net.scalar(tensor) for tensor in (*node.inputs[1:3], "", "")[:2])
    low, high = node.attribute("min", low), node.attribute("max", high)  # opset 6
    return low != 0 or high is None or not 1 <= high <= 127


def concat_axis(net: Graph, node: Node, precision: str) -> bool:
    """Two or more tensors of the same height and width are joined along their channels, and along nothing else."""
    return int(node.attribute("axis", 1)) not in (1, -3) or len(node.inputs) < 2


def resize_scale(net: Graph, node: Node, precision: str) -> bool:
    """Height and width may grow by whole numbers: 1 to 32 times (nearest), 1 to 4 times (linear)."""
    before, after = _shape(net, node.inputs[0]), _shape(net, node.outputs[0])
    if len(before) != 4 or len(after) != 4:
        return False
    most = 32 if node.attribute("mode", b"nearest") == b"nearest" else 4
    exact = before[:2] == after[:2] and all(new % old == 0 for old, new in zip(before, after, strict=True))
    return not exact or _outside([new // old for old, new in zip(before[2:], after[2:], strict=True)], 1, most)


def softmax_shape(net: Graph, node: Node, precision: str) -> bool:
    """A softmax takes a batch of 1, and all dimensions but its axis must be 1."""
    shape = _shape(net, node.inputs[0])
    axis = int(node.attribute("axis", -1)) % len(shape) if shape else 0
    return any(size > 1 for index, size in enumerate(shape) if index != axis)


def normalization_window(net: Graph, node: Node, precision: str) -> bool:
    """A local response normalization may have a window of 3, 5, 7 or 9."""
    return int(node.attribute("size", 0)) not in (3, 5, 7, 9)


def slice_in_int8(net: Graph, node: Node, precision: str) -> bool:
    """Slices are taken in fp16 only."""
    return precision == "int8"


_CONVOLUTION = (computed_weights, kernel_size, padding, stride, dilation, output_maps, convolution_buffer)
_POOLING = (not_two_spatial, pooling_window, pooling_steps)
#: The operators that it has, each with its limits besides those for all.
OPERATORS: Mapping[str, tuple[Limit, ...]] = {
    "Conv": (not_two_spatial, *_CONVOLUTION),
    "Gemm": (computed_weights, output_maps),
    "MatMul": (computed_weights,),
    "ConvTranspose": (not_two_spatial, computed_weights, transposed_kernel, transposed_plain, output_maps),
    "MaxPool": _POOLING,
    "AveragePool": _POOLING,
    **dict.fromkeys(("Relu", "Sigmoid", "Tanh", "LeakyRelu", "BatchNormalization", "Abs"), (not_two_spatial,)),
    "Clip": (not_two_spatial, clip_range),
    "PRelu": (not_two_spatial, computed_weights),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Sum"), (not_two_spatial,)),
    "Concat": (not_two_spatial, concat_axis),
    "Resize": (resize_scale,),
    "Upsample": (resize_scale,),
    "Softmax": (softmax_shape,),
    "LRN": (not_two_spatial, normalization_window),
    "Slice": (not_two_spatial, slice_in_int8),
    **dict.fromkeys(("Reshape", "Transpose", "Flatten"), (not_two_spatial,)),
}
#: For every operator.
GENERAL: tuple[Limit, ...] = (large_batch, large_dimension)
#: Sentences that no single limit tells.
NO_LAYER = "The accelerator has no such layer."
NO_FP32 = "The accelerator computes in fp16 and int8 only."


def beyond(net: Graph, node: Node, precision: str) -> str:
    """Why a node cannot run on the accelerator; empty when nothing in the documentation speaks against it."""
    if precision not in ("fp16", "int8"):
        return NO_FP32
    if node.op not in OPERATORS:
        return NO_LAYER
    limits = (*GENERAL, *OPERATORS[node.op])
    return next((str(limit.__doc__) for limit in limits if limit(net, node, precision)), "")
