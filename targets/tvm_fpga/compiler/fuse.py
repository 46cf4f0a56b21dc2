"""Additions go into the layer before: its result gets the second tensor on its way out of the array."""

from __future__ import annotations

import dataclasses

from targets.tvm_fpga.compiler.ir import Addition, Layer, Region
from targets.tvm_fpga.compiler.layers import changes_nothing


def fused(region: Region) -> Region:
    """The region without additions of their own where one of the terms is needed for nothing else."""
    while (found := _next(region)) is not None:
        region = found
    return region


def _next(region: Region) -> Region | None:
    for number, layer in enumerate(region.layers):
        if layer.addition is None or layer.at or not changes_nothing(layer):
            continue
        for term in (layer, _turned(layer)):
            maker = _maker(region, term)
            if maker is not None:
                return _merged(region, maker, number, term)
    return None


def _turned(layer: Layer) -> Layer:
    """The same sum with its terms the other way round."""
    given = layer.addition
    assert given is not None
    other = Addition(layer.source, given.mul_b, given.mul_a, given.shift, given.lo, given.hi)
    return dataclasses.replace(layer, source=given.other, zero=given.other.zero, addition=other)


def _maker(region: Region, layer: Layer) -> int | None:
    """The layer that makes the first term, if nothing else needs it and it adds nothing itself."""
    name, writers = layer.source.name, region.writers(layer.source.name)
    if len(writers) != 1 or len(region.users(name)) != 1 or name in {out.name for out in region.outs}:
        return None
    maker = region.layers[writers[0]]
    assert layer.addition is not None
    twice = layer.addition.other.name == name
    partial = maker.at or maker.outputs != maker.out.channels
    return None if maker.addition or twice or partial or maker.zero != layer.zero else writers[0]


def _merged(region: Region, maker: int, number: int, layer: Layer) -> Region:
    """Both in the place of the addition: the other term is there by then."""
    merged = dataclasses.replace(region.layers[maker], out=layer.out, addition=layer.addition)
    layers = [merged if at == number else each for at, each in enumerate(region.layers) if at != maker]
    return dataclasses.replace(region, layers=tuple(layers))
