"""How many cycles a program takes, layer by layer: estimated from the instructions, without running them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from targets.tvm_fpga.compiler.clock import FETCH, Clock
from targets.tvm_fpga.compiler.pipeline import cycles
from targets.tvm_fpga.compiler.program import Program
from targets.tvm_fpga.isa import Instruction, Op

#: Cycles from the end of the last instruction until the accelerator says so.
END = 2


@dataclasses.dataclass(frozen=True)
class LayerCycles:
    """What a layer takes.

    Attributes:
        name: of the layer.
        cycles: from the end of the layers before to the end of its own last COMPUTE.
        compute: of these, what the array would need if nothing had to be waited for.
    """

    name: str
    cycles: int
    compute: int


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of a whole program: ``cycles`` from its start until everything is written."""

    cycles: int
    layers: tuple[LayerCycles, ...]


def predict(program: Program, latency: int = 100) -> list[LayerCycles]:
    """Every layer in order, estimated: within 5 % of RTL simulation in the tests.

    ``latency`` is the memory's, in cycles from a request to its first beat.
    """
    return list(estimate(program, latency).layers)


def estimate(program: Program, latency: int = 100) -> Cost:
    """The same, with the total."""
    clock = Clock(program.geometry, in_fours(program.instructions), latency)
    end = clock.run()
    ends = [each.over for each in clock.queues[Op.COMPUTE]]
    alone = [cycles(each.instruction, clock.geometry)[1] + 1 for each in clock.queues[Op.COMPUTE]]
    return Cost(round(end) + END, tuple(layer_cycles(program.layers, ends, alone)))


def layer_cycles(names: Iterable[str], ends: Iterable[float], alone: Iterable[int]) -> list[LayerCycles]:
    """Instructions in order, by layer; ``ends`` in cycles, of every COMPUTE."""
    found: dict[str, list[int]] = {}
    before = 0.0
    for name, end, own in zip(names, ends, alone, strict=True):
        entry = found.setdefault(name, [0, 0])
        entry[0] += round(end - before)
        entry[1] += own
        before = end
    return [LayerCycles(name, *entry) for name, entry in found.items()]


def in_fours(instructions: tuple[Instruction, ...]) -> Callable[[Clock], list[Instruction]]:
    """Instructions as they are fetched."""
    groups = iter([list(instructions[at : at + FETCH]) for at in range(0, len(instructions), FETCH)])
    return lambda _: next(groups, [])
