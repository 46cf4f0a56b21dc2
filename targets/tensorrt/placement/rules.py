"""Where Q/DQ pairs go, one rule per function; the docstring of a rule is the sentence that users read.

The rules follow NVIDIA's advice for explicit quantization (TensorRT documentation, "Q/DQ layer-placement
recommendations": quantize all inputs of operators with weights, not their outputs, and the residual input of an
addition) and the cases of its own tools (TensorFlow Quantization Toolkit: residual additions, both factors of a
squeeze-and-excitation block).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from targets.tensorrt.placement.decided import Decided, moves
from targets.tensorrt.placement.graph import CONVOLUTIONS, Net, Node


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What a rule quantizes of a node.

    Attributes:
        activations: positions of inputs that change from inference to inference.
        weights: positions of constant inputs, each with the axis of the output channels; None for one scale in all.
        shared: all activations and the first output have one scale.
    """

    activations: tuple[int, ...] = ()
    weights: tuple[tuple[int, int | None], ...] = ()
    shared: bool = False


#: What a rule answers for a node; None where it does not apply.
Apply = Callable[[Decided, Node], "Inputs | None"]


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: as candidates and reports call it.
        sentence: for users.
        ops: the operators that it is about.
        int8: whether it quantizes; else it says why a node stays in float.
        apply: the function.
    """

    name: str
    sentence: str
    ops: tuple[str, ...]
    int8: bool
    apply: Apply


#: In the order in which they are asked; the first that applies to a node decides.
RULES: list[Rule] = []


def _rule(*ops: str, int8: bool = True) -> Callable[[Apply], Apply]:
    def register(function: Apply) -> Apply:
        name = str(getattr(function, "__name__", "")).replace("_", " ")
        RULES.append(Rule(name, " ".join((function.__doc__ or "").split()), ops, int8, function))
        return function

    return register


_ANY = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool")


@_rule(*_ANY, int8=False)
def other_number_format(known: Decided, node: Node) -> Inputs | None:
    """What does not compute in float32 is left as it is."""
    return None if all(known.net.real(tensor) for tensor in (*node.inputs, *node.outputs) if tensor) else Inputs()


@_rule("Conv", "ConvTranspose", int8=False)
def computed_weights(known: Decided, node: Node) -> Inputs | None:
    """A convolution whose weights are computed stays in float: int8 weights must be constants."""
    return None if known.net.constant(node.inputs[1]) else Inputs()


@_rule("ConvTranspose", int8=False)
def grouped_transposed_convolution(known: Decided, node: Node) -> Inputs | None:
    """A transposed convolution with groups stays in float: TensorRT refuses it in int8 (NVIDIA/TensorRT#1934)."""
    return Inputs() if node.attribute("group", 1) > 1 else None


@_rule(*_ANY, int8=False)
def behind_two_directions(known: Decided, node: Node) -> Inputs | None:
    """What reads a recurrent layer of two directions stays in float: TensorRT-RTX 1.7 needs exponential time and memory
    to compile a quantization there."""
    return Inputs() if any(_two_directions(known.net, tensor) for tensor in node.inputs) else None


def _two_directions(net: Net, tensor: str) -> bool:
    """Whether a tensor holds the values of such a layer, moved and joined."""
    maker = net.maker(tensor)
    if maker is None:
        return False
    if maker.op in ("LSTM", "GRU", "RNN"):
        return bool(maker.attribute("direction", b"forward") == b"bidirectional")
    through = maker.inputs if maker.op == "Concat" else maker.inputs[:1] if moves(maker) else ()
    return any(_two_directions(net, source) for source in through)


@_rule("Conv")
def convolution(known: Decided, node: Node) -> Inputs | None:
    """The input and the weights of a convolution are int8, its bias is not."""
    return Inputs((0,), ((1, 0),)) if node.attribute("group", 1) == 1 else None


@_rule("Conv")
def depthwise_convolution(known: Decided, node: Node) -> Inputs | None:
    """A depthwise convolution is int8 like its neighbours, so that nothing has to be converted between them."""
    return Inputs((0,), ((1, 0),)) if (known.net.shape(node.inputs[1]) or (0, 0))[1] == 1 else None


@_rule("Conv")
def grouped_convolution(known: Decided, node: Node) -> Inputs | None:
    """A convolution in groups is int8, with one scale per output channel over all groups."""
    return Inputs((0,), ((1, 0),))


@_rule("ConvTranspose")
def transposed_convolution(known: Decided, node: Node) -> Inputs | None:
    """The input and the weights of a transposed convolution are int8; output channels are its weights' second axis."""
    return Inputs((0,), ((1, 1),))


@_rule("Gemm", "MatMul")
def matrix_product(known: Decided, node: Node) -> Inputs | None:
    """Both factors of a matrix product are int8: activations as they are, weights with one scale per output."""
    activations = tuple(index for index in (0, 1) if known.net.activation(node.inputs[index]))
    constants = tuple(index for index in (0, 1) if known.net.constant(node.inputs[index]))
    if not activations:
        return None
    return Inputs(activations, tuple((index, _lasting_axis(known.net, node, index)) for index in constants))


def _lasting_axis(net: Net, node: Node, index: int) -> int | None:
    """The axis of a constant matrix that is not summed over; None for vectors and stacks of matrices."""
    if len(net.shape(node.inputs[index]) or ()) != 2:
        return None
    swapped = bool(node.attribute("transB" if index else "transA", 0))
    return int(bool(index) != swapped)


@_rule("Add")
def residual_addition(known: Decided, node: Node) -> Inputs | None:
    """Of a residual addition the operand that does not come straight from a convolution is int8, so that the addition
    becomes part of that convolution."""
    net = known.net
    if len({net.shape(tensor) for tensor in node.inputs}) > 1 or not all(map(net.activation, node.inputs)):
        return None
    straight = [index for index, tensor in enumerate(node.inputs) if _straight(known, tensor)]
    if not straight or not known.wanted(node.outputs[0]):
        return None
    absorbs = max(straight, key=lambda index: _position(net, node.inputs[index]))
    return Inputs((1 - absorbs,))


def _straight(known: Decided, tensor: str) -> bool:
    """Whether an int8 convolution computes it, and nobody else needs it."""
    maker = known.net.maker(tensor)
    alone = len(known.net.readers(tensor)) == 1
    return alone and maker is not None and maker.op in CONVOLUTIONS and known.int8(maker)


def _position(net: Net, tensor: str) -> tuple[int, int]:
    """How far down the network a tensor is computed: layers with weights above it, then the order of the graph."""
    maker = net.maker(tensor)
    return net.depth(tensor), -1 if maker is None else maker.index


@_rule("Mul")
def squeeze_and_excitation(known: Decided, node: Node) -> Inputs | None:
    """The feature map and the gate of a squeeze-and-excitation block are int8 where they are multiplied; the sigmoid
    before the gate is not."""
    shapes = [known.net.shape(tensor) or () for tensor in node.inputs]
    if not all(map(known.net.activation, node.inputs)) or not known.wanted(node.outputs[0]):
        return None
    gates = [len(shape) > 2 and set(shape[2:]) == {1} for shape in shapes]
    return Inputs((0, 1)) if sorted(gates) == [False, True] and len(shapes[0]) == len(shapes[1]) else None


@_rule("AveragePool", "GlobalAveragePool")
def average_pooling(known: Decided, node: Node) -> Inputs | None:
    """The input of an average pooling is int8 where its output is, so that it averages int8 values."""
    return Inputs((0,)) if known.wanted(node.outputs[0]) else None


@_rule("Concat")
def concatenation(known: Decided, node: Node) -> Inputs | None:
    """What is joined has one scale, and so has the result, so that joining copies int8 values."""
    if not all(map(known.net.activation, node.inputs)) or not known.wanted(node.outputs[0]):
        return None
    return Inputs(tuple(range(len(node.inputs))), shared=True)
