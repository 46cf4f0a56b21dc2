"""From a graph to a program: kernel calls in order, and a place in the arena for every tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from targets.tflite_micro.calls import Call, In, Out, Variant
from targets.tflite_micro.graph.alias import aliases
from targets.tflite_micro.graph.ir import Graph
from targets.tflite_micro.ops.registry import lower
from targets.tflite_micro.plan.planner import plan
from targets.tflite_micro.plan.problem import Buffer, Problem, Step
from targets.tflite_micro.program import Layer, Program


def make_program(graph: Graph, variant: Variant) -> Program:
    """Lower and place.

    Raises:
        UnsupportedError: an operator cannot be built.
    """
    roots = aliases(graph)
    calls = lower(graph, variant)
    problem = memory_problem(graph, calls, roots)
    found = plan(problem)
    layers = tuple(Layer(calls[index], found.scratch_offsets.get(index, 0)) for index in found.order)
    offsets = {
        key: found.offsets[roots.get(key, key)]
        for key, tensor in graph.tensors.items()
        if not tensor.constant and roots.get(key, key) in found.offsets
    }
    return Program(graph, variant, layers, offsets, max(found.arena, 16), problem, found)


def memory_problem(graph: Graph, calls: Sequence[Call], roots: Mapping[int, int]) -> Problem:
    """What the planner is asked; tensors that share memory by definition are one buffer, named by their root."""
    steps = tuple(_step(graph, call, roots) for call in calls)
    inputs, outputs = ({roots.get(key, key) for key in keys} for keys in (graph.inputs, graph.outputs))
    used = {key for step in steps for key in step.touches} | inputs | outputs
    return Problem(tuple(_buffer(graph, key, inputs, outputs) for key in sorted(used)), steps)


def _buffer(graph: Graph, key: int, inputs: set[int], outputs: set[int]) -> Buffer:
    tensor = graph.tensor(key)
    return Buffer(key, tensor.bytes, key in inputs, key in outputs, tensor.variable)


def _step(graph: Graph, call: Call, roots: Mapping[int, int]) -> Step:
    def buffers(kind: type[In] | type[Out]) -> tuple[int, ...]:
        keys = (arg.tensor for arg in call.args if isinstance(arg, kind))
        return tuple(dict.fromkeys(roots.get(key, key) for key in keys if not graph.tensor(key).constant))

    overlap = {roots.get(key, key): distance for key, distance in call.overlap.items()}
    return Step(call.name, buffers(In), buffers(Out), call.scratch, overlap)
