"""Run a compiled program: on the golden model, or in RTL simulation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from profiles.runner import Array
from targets.tvm_fpga.compiler.program import Program
from targets.tvm_fpga.golden.machine import Machine
from targets.tvm_fpga.rtl.simulate import Memory, Run, Simulator


class Executor(Protocol):
    """Runs a program in a memory image, which it changes in place."""

    def __call__(self, program: Program, image: Array) -> Run | None:
        """What was counted, if anything is."""


def golden(program: Program, image: Array) -> Run | None:
    """The golden model: exact, without time."""
    Machine(program.geometry, image).run(program.instructions)
    return None


def simulated(simulator: Simulator, memory: Memory | None = None) -> Executor:
    """RTL simulation, with a model of the memory."""

    def execute(program: Program, image: Array) -> Run | None:
        return simulator.run(image, program.program_at, memory or Memory())

    return execute


def run_program(
    program: Program, inputs: Mapping[str, Array], executor: Executor
) -> tuple[dict[str, Array], Run | None]:
    """The outputs by name (int8, rows x columns x channels), and what the executor counted.

    Raises:
        DataError: an input is missing, unknown, or has another shape or type.
        ToolCrashError: the simulation did not end.
    """
    image = program.memory(inputs)
    run = executor(program, image)
    return program.results(image), run
