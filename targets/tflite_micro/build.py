"""From a graph to a program: kernel calls in order, fused where that saves memory, and a place for every tensor."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from targets.tflite_micro.calls import Arg, Call, In, Out, Variant
from targets.tflite_micro.graph.alias import aliases
from targets.tflite_micro.graph.ir import Graph
from targets.tflite_micro.ops.registry import lower
from targets.tflite_micro.plan.flow import buffers_of
from targets.tflite_micro.plan.fuse import fuse
from targets.tflite_micro.plan.strips import Group
from targets.tflite_micro.program import Layer, Program


def make_program(graph: Graph, variant: Variant, fused_rows: bool = True) -> Program:
    """Lower and place.

    Args:
        graph: simplified.
        variant: of the kernels.
        fused_rows: whether neighbouring layers may run together row by row, which saves memory and costs calls.

    Raises:
        UnsupportedError: an operator cannot be built.
    """
    roots = aliases(graph)
    calls = tuple(_by_roots(call, roots) for call in lower(graph, variant))
    rooted = dataclasses.replace(graph, inputs=_renamed(graph.inputs, roots), outputs=_renamed(graph.outputs, roots))
    fused = fuse(calls, buffers_of(rooted, calls), groups=fused_rows)
    found = fused.plan
    layers = tuple(_layer(calls, fused.units[index], found.scratch_offsets.get(index, 0)) for index in found.order)
    offsets = {
        key: found.offsets[roots.get(key, key)]
        for key, tensor in graph.tensors.items()
        if not tensor.constant and roots.get(key, key) in found.offsets
    }
    groups = {index: unit for index, unit in enumerate(fused.units) if isinstance(unit, Group)}
    return Program(graph, variant, layers, offsets, max(found.arena, 16), fused.problem, found, groups)


def _layer(calls: Sequence[Call], unit: int | Group, scratch: int) -> Layer:
    if isinstance(unit, Group):
        return Layer(tuple(calls[index] for index in unit.calls), scratch, unit)
    return Layer((calls[unit],), scratch)


def _renamed(keys: Sequence[int], roots: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(roots.get(key, key) for key in keys)


def _by_roots(call: Call, roots: Mapping[int, int]) -> Call:
    """The call with tensors that share memory by definition named by their root."""

    def renamed(arg: Arg) -> Arg:
        return dataclasses.replace(arg, tensor=roots.get(arg.tensor, arg.tensor)) if isinstance(arg, (In, Out)) else arg

    overlap = {roots.get(key, key): distance for key, distance in call.overlap.items()}
    return dataclasses.replace(call, args=tuple(renamed(arg) for arg in call.args), overlap=overlap)
