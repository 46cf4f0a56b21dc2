"""From kernel calls to the planner's problem."""

from __future__ import annotations

from collections.abc import Sequence

from targets.tflite_micro.calls import Call, In, Out
from targets.tflite_micro.graph.ir import Graph
from targets.tflite_micro.plan.problem import Buffer, Problem, Step


def buffers_of(graph: Graph, calls: Sequence[Call]) -> tuple[Buffer, ...]:
    """One buffer per tensor that lives in the arena: what calls read and write, inputs and outputs; no constants."""
    keys = {arg.tensor for call in calls for arg in call.args if isinstance(arg, (In, Out))}
    tensors = [graph.tensor(key) for key in sorted(keys | set(graph.inputs) | set(graph.outputs))]
    return tuple(
        Buffer(t.index, t.bytes, t.index in graph.inputs, t.index in graph.outputs, t.variable)
        for t in tensors
        if t.variable or not t.constant
    )


def steps_of(calls: Sequence[Call], keys: frozenset[int]) -> tuple[Step, ...]:
    """One step per call; ``keys`` are the tensors that live in the arena."""
    return tuple(step_of(call, keys) for call in calls)


def step_of(call: Call, keys: frozenset[int]) -> Step:
    """A call as the planner sees it."""
    reads = [arg.tensor for arg in call.args if isinstance(arg, In) and arg.tensor in keys]
    writes = [arg.tensor for arg in call.args if isinstance(arg, Out) and arg.tensor in keys]
    overlap = {key: gap for key, gap in call.overlap.items() if key in reads}
    return Step(call.name, tuple(dict.fromkeys(reads)), tuple(dict.fromkeys(writes)), call.scratch, overlap)


def problem_of(calls: Sequence[Call], buffers: Sequence[Buffer], align: int = 16) -> Problem:
    """The problem without fusion. ``align`` is that of buffers."""
    return Problem(tuple(buffers), steps_of(calls, frozenset(b.key for b in buffers)), align)
