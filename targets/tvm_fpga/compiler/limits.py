"""What one layer may be: the widths of the instruction's fields, said before anything is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from profiles.errors import UnsupportedError
from targets.tvm_fpga.compiler.ir import Kind, Layer, Region
from targets.tvm_fpga.compiler.layout import pitch
from targets.tvm_fpga.geometry import Geometry

#: What is limited, the largest value of a layer, the most that is allowed.
_RULES: tuple[tuple[str, Callable[[Layer, Geometry], int], int], ...] = (
    ("kernel rows or columns", lambda layer, _: max(layer.kernel), 63),
    ("stride", lambda layer, _: max(layer.stride), 7),
    ("dilation", lambda layer, _: max(layer.dilation), 7),
    ("padding on the left", lambda layer, _: layer.padding[1], 64),
    ("padding above", lambda layer, _: layer.padding[0], 2048),
    ("vectors of a position", lambda layer, g: max(t.tiles(g.lanes) for t in (*layer.sources, layer.out)), 1023),
    ("vectors of a row", lambda layer, g: max(pitch(t, g) for t in (*layer.sources, layer.out)), 65535),
    (
        "vectors of a step",
        lambda layer, g: max(layer.stride[1], layer.dilation[1]) * layer.source.tiles(g.lanes),
        16383,
    ),
    ("multiplier", lambda layer, _: int(np.max(layer.mult)), 65535),
    ("shift", lambda layer, _: int(np.max(layer.shift)), 48),
    ("addition's multipliers", lambda layer, _: _added(layer, "mul_a", "mul_b"), 65535),
    ("addition's shift", lambda layer, _: _added(layer, "shift"), 26),
)


def _added(layer: Layer, *names: str) -> int:
    return max(int(getattr(layer.addition, name)) for name in names) if layer.addition else 0


def check(region: Region, geometry: Geometry) -> None:
    """All layers and tensors of a region.

    Raises:
        UnsupportedError: the first thing that is out of bounds.
    """
    _check_order(region)
    for layer in region.layers:
        for what, seen, allowed in (*_shapes(layer), *_limits(layer, geometry)):
            raise UnsupportedError(f"'{layer.name}': {what}", seen=seen, allowed=allowed)


def _limits(layer: Layer, geometry: Geometry) -> Iterator[tuple[str, str, str]]:
    for what, value, most in _RULES:
        seen = value(layer, geometry)
        if not 0 <= seen <= most:
            yield what, str(seen), f"0 to {most}"


def _shapes(layer: Layer) -> Iterator[tuple[str, str, str]]:
    """Shapes that contradict each other: a mistake of the caller's."""
    inputs, outputs = layer.weights.shape[-1], layer.outputs
    if inputs != layer.source.channels:
        yield "channels of its input", str(layer.source.channels), f"{inputs}, as its weights"
    if layer.kind is not Kind.CONV and layer.at + outputs > layer.out.channels:
        yield "channels of its output", str(layer.out.channels), f"at least {layer.at + outputs}"
    for name in ("bias", "mult", "shift"):
        if getattr(layer, name).shape != (outputs,):
            yield f"its {name}", str(getattr(layer, name).shape), f"({outputs},)"
    if layer.addition and layer.addition.other.shape != (layer.out.height, layer.out.width, outputs):
        yield "what it adds", str(layer.addition.other.shape), f"{(layer.out.height, layer.out.width, outputs)}"


def _check_order(region: Region) -> None:
    """Tensors are there when they are read, and what comes out is made."""
    inputs = {tensor.name for tensor in region.sources}
    there, made = set(inputs), {layer.out.name for layer in region.layers}
    for number, layer in enumerate(region.layers):
        if layer.out.name in inputs:
            raise UnsupportedError(f"'{layer.name}' writes '{layer.out.name}'", seen="an input", allowed="others")
        for tensor in layer.sources:
            if tensor.name not in there or max(region.writers(tensor.name), default=-1) >= number:
                wanted = f"'{layer.name}' reads '{tensor.name}'"
                raise UnsupportedError(wanted, seen="it is not written by then", allowed="tensors before it")
        there.add(layer.out.name)
    for tensor in region.outs:
        if tensor.name not in made:
            wanted = f"the output '{tensor.name}'"
            raise UnsupportedError(wanted, seen="no layer writes it", allowed=", ".join(sorted(made)))
