"""A graph with every decision taken: kernel calls in order, and where each tensor lives."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from targets.tflite_micro.calls import Call, Const, In, Out, Variant
from targets.tflite_micro.graph.ir import Graph, Tensor
from targets.tflite_micro.plan.problem import Problem
from targets.tflite_micro.plan.result import Plan
from targets.tflite_micro.plan.strips import Group


@dataclasses.dataclass(frozen=True)
class Layer:
    """One function of the emitted C: a call, or several that run together row by row.

    Attributes:
        calls: the kernel calls; those of a group in the order of its stages.
        scratch: offset in the arena of the scratch of the call, or of all of the group's.
        group: how the rows go through the calls; None for a single call.
    """

    calls: tuple[Call, ...]
    scratch: int
    group: Group | None = None

    @property
    def name(self) -> str:
        """For tables."""
        return self.group.name if self.group else self.calls[0].name

    @property
    def op(self) -> str:
        """For tables: ``CONV_2D + ADD``."""
        return " + ".join(call.op for call in self.calls)

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return sum(call.macs for call in self.calls)


@dataclasses.dataclass(frozen=True)
class Program:
    """Everything that the templates need.

    Attributes:
        graph: simplified.
        variant: that weights are packed for.
        layers: in order of execution.
        offsets: tensor key to its place in the arena, for every activation and variable.
        arena: bytes.
        problem, plan: what the planner was asked, and its answer.
        groups: by the index of the problem's step.
    """

    graph: Graph
    variant: Variant
    layers: tuple[Layer, ...]
    offsets: Mapping[int, int]
    arena: int
    problem: Problem
    plan: Plan
    groups: Mapping[int, Group] = dataclasses.field(default_factory=dict)

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls in order of execution."""
        return tuple(call for layer in self.layers for call in layer.calls)

    @property
    def constants(self) -> tuple[Const, ...]:
        """Arrays in flash that params structs point to; equal ones appear once, in order of first use."""
        found: dict[tuple[str, bytes], Const] = {}
        for call in self.calls:
            for value in call.params.values():
                if isinstance(value, Const):
                    found.setdefault(constant_key(value), value)
        return tuple(found.values())

    @property
    def constant_tensors(self) -> tuple[Tensor, ...]:
        """Constants of the graph that kernels take as arguments."""
        keys = {arg.tensor for call in self.calls for arg in call.args if isinstance(arg, (In, Out))}
        return tuple(self.graph.tensor(key) for key in sorted(keys) if self.graph.tensor(key).constant)

    @property
    def constant_bytes(self) -> int:
        """Bytes of all constants that go into flash, beside the kernels' small parameter structs."""
        tensors = sum(tensor.bytes for tensor in self.constant_tensors)
        return tensors + sum(constant.values.nbytes for constant in self.constants)

    @property
    def variables(self) -> tuple[Tensor, ...]:
        """Tensors that keep their values between inferences."""
        return tuple(t for t in self.graph.tensors.values() if t.variable and t.index in self.offsets)


def constant_key(constant: Const) -> tuple[str, bytes]:
    """Equal for arrays that may share one place in flash."""
    return (f"{constant.role.value} {constant.values.dtype} {constant.align}", constant.values.tobytes())
