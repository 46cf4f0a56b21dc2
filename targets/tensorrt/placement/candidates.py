"""Placements worth timing: the default first, then one change each.

TensorRT decides by itself what it fuses, and which placement is fastest is known only on the GPU;
``targets/tensorrt/search/search.py`` times them. The default differs by library. TensorRT fuses int8 convolutions with
follows, up to the next quantization. TensorRT-RTX 1.7 does not: its schedules (SM 8.0 to 12.0) show that an int8
convolution writes floats and that a second kernel quantizes them, that depthwise convolutions are padded to groups of
channels, and that transposed convolutions are turned back to float.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from targets.tensorrt.placement.graph import Net, Node, macs
from targets.tensorrt.placement.placement import Choice, Placement, Weights
from targets.tensorrt.placement.plan import plan_net

#: Rules that TensorRT-RTX gains nothing from, with what its schedules show instead.
NOT_FOR_RTX = {
    "depthwise convolution": "TensorRT-RTX pads every channel of an int8 depthwise convolution to a group.",
    "transposed convolution": "TensorRT-RTX turns its weights and its input back to float in every inference.",
    "squeeze and excitation": "TensorRT-RTX multiplies in fp16, and the next layer quantizes the product.",
}
#: The same, where weights have one scale: the convolution itself then fuses bias, ReLU and a residual addition in fp16.
NOT_FOR_ONE_SCALE = {
    "residual addition": "With one scale for all weights, TensorRT-RTX adds in fp16 inside of the convolution.",
}
#: Rules that a candidate may switch off or on, with its name and why one might.
_SWITCHES = {
    "residual addition": ("residual additions", "A kernel that adds in float needs no second scale."),
    "average pooling": ("average pooling", "A small kernel, whose input would be converted for it alone."),
    "squeeze and excitation": ("squeeze-and-excitation", "Gates are small, and their errors reach every channel."),
    "depthwise convolution": ("depthwise convolutions", "They move more than they compute."),
    "transposed convolution": ("transposed convolutions", "Few int8 kernels exist for them."),
}
_TENSOR = "A convolution with one scale for all weights fuses more of what follows."
#: Shares of all multiplications that the heaviest layers hold together.
_HEAVY = {"heaviest layers": 0.8, "heaviest half": 0.5}


def default_choice(library: str, *, per_channel: bool = True) -> Choice:
    """What is used without a search.

    Args:
        library: of :data:`targets.tensorrt.plan.LIBRARIES`.
        per_channel: whether weights have one scale per output channel.
    """
    if library != "tensorrt_rtx":
        return Choice()
    without = NOT_FOR_RTX if per_channel else {**NOT_FOR_RTX, **NOT_FOR_ONE_SCALE}
    return Choice("default", "Every rule that TensorRT-RTX gains from.", without)


def weights_style(library: str, *, per_channel: bool) -> Weights:
    """How many scales weights have, and where."""
    if not per_channel:
        return Weights.TENSOR
    return Weights.BEHIND if library == "tensorrt_rtx" else Weights.CHANNEL


def candidates(model: Any, library: str = "tensorrt", *, per_channel: bool = True) -> list[Placement]:
    """Placements of a prepared float ``onnx.ModelProto``; one that equals an earlier one is left out."""
    net = Net(model)
    usual = weights_style(library, per_channel=per_channel)
    made: dict[Any, Placement] = {}
    for choice in choices(net, library, per_channel=per_channel):
        placement = plan_net(net, choice)
        if placement.inputs or not made:
            made.setdefault((placement.inputs, choice.weights or usual), placement)
    return list(made.values())


def choices(net: Net, library: str, *, per_channel: bool = True) -> Iterator[Choice]:
    """What is tried, in this order."""
    default = default_choice(library, per_channel=per_channel)
    one_scale = default_choice(library, per_channel=False).without
    layers = list(net.weighted())
    yield default
    yield from _switched(default)
    yield _in_float(default, "first layer in float", "Its input has few channels and must be converted.", layers[:1])
    yield _in_float(default, "last layer in float", "It is small, and its errors are the result's.", layers[-1:])
    yield Choice("one scale per weight tensor", _TENSOR, one_scale, weights=Weights.TENSOR)
    for name, share in _HEAVY.items():
        why = f"Layers with {share:.0%} of all multiplications gain most from int8; the others stay in float."
        light = _light(net, layers, share)
        yield _in_float(default, name, why, light)
        tensor = _in_float(default, f"{name}, one scale per weight tensor", f"{why} {_TENSOR}", light)
        yield dataclasses.replace(tensor, without=one_scale, weights=Weights.TENSOR)


def _switched(default: Choice) -> Iterator[Choice]:
    for rule, (name, why) in _SWITCHES.items():
        if rule in default.without:
            fewer = {other: words for other, words in default.without.items() if other != rule}
            yield Choice(f"{name} in int8", "Not every version of the library is alike.", fewer)
        else:
            yield Choice(f"{name} in float", why, {**default.without, rule: why})


def _in_float(default: Choice, name: str, why: str, nodes: list[Node]) -> Choice:
    return Choice(name, why, default.without, frozenset(node.name for node in nodes))


def _light(net: Net, layers: list[Node], share: float) -> list[Node]:
    """The layers that are not needed to reach a share of all multiplications, taking the heaviest first."""
    sizes = {node.name: macs(net, node) for node in layers}
    wanted, reached = share * sum(sizes.values()), 0
    kept = set()
    for node in sorted(layers, key=lambda node: -sizes[node.name]):
        if reached < wanted:
            kept.add(node.name)
            reached += sizes[node.name]
    return [node for node in layers if node.name not in kept]
