"""Concatenations: layers that write slices of one tensor. Slices that begin and end between vectors are written in
place; for others every part is spread to the whole width, zeros elsewhere, and the parts are added up.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from profiles.errors import UnsupportedError
from targets.tvm_fpga.compiler.ir import Addition, Kind, Layer, Region, Tensor
from targets.tvm_fpga.compiler.layers import ONE


def sliced(region: Region, lanes: int) -> Region:
    """The region with slices of whole vectors only.

    Raises:
        UnsupportedError: slices overlap, or leave channels out.
    """
    for tensor in {layer.out.name: layer.out for layer in region.layers}.values():
        writers = region.writers(tensor.name)
        _check(region, tensor, writers)
        if not all(_whole(region.layers[writer], lanes) for writer in writers):
            region = _spread(region, tensor, writers)
    return region


def _whole(layer: Layer, lanes: int) -> bool:
    end = layer.at + layer.outputs
    return layer.at % lanes == 0 and (end % lanes == 0 or end == layer.out.channels)


def _check(region: Region, tensor: Tensor, writers: list[int]) -> None:
    spans = sorted((region.layers[each].at, region.layers[each].at + region.layers[each].outputs) for each in writers)
    ends = [0, *(end for _, end in spans)]
    if [start for start, _ in spans] != ends[:-1] or ends[-1] != tensor.channels:
        raise UnsupportedError(
            f"the channels of '{tensor.name}' are written once each",
            seen=", ".join(f"{start} to {end - 1}" for start, end in spans),
            allowed=f"0 to {tensor.channels - 1}",
        )


def _spread(region: Region, tensor: Tensor, writers: list[int]) -> Region:
    """Every writer writes a tensor of its own; copies spread it, each adding what came before."""
    layers: list[Layer] = []
    before: Tensor | None = None
    for number, layer in enumerate(region.layers):
        if number not in writers:
            layers.append(layer)
            continue
        part = dataclasses.replace(tensor, name=f"{tensor.name}[{layer.at}]", channels=layer.outputs)
        last = number == writers[-1]
        wide = tensor if last else dataclasses.replace(tensor, name=f"{tensor.name}[..{layer.at}]")
        layers += [dataclasses.replace(layer, out=part, at=0), _embed(part, wide, layer.at, before)]
        before = wide
    return dataclasses.replace(region, layers=tuple(layers))


def _embed(part: Tensor, wide: Tensor, at: int, before: Tensor | None) -> Layer:
    weights = np.zeros((wide.channels, 1, 1, part.channels), np.int8)
    weights[at + np.arange(part.channels), 0, 0, np.arange(part.channels)] = 1
    inside = weights.reshape(wide.channels, -1).any(1)
    return Layer(
        f"{wide.name} (copy)",
        Kind.CONV,
        part,
        wide,
        weights=weights,
        bias=np.where(inside, -part.zero, 0),
        mult=np.full(wide.channels, ONE[0]),
        shift=np.full(wide.channels, ONE[1]),
        zero=wide.zero,
        fill=part.zero,
        addition=Addition(before, ONE[0], ONE[0], ONE[1]) if before else None,
    )
