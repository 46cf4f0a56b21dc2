"""From a region to a program.

The way, one module each:

1. :mod:`.limits` checks what an instruction can say; :mod:`.slices` and :mod:`.fuse` rewrite concatenations and
   additions.
2. :mod:`.plan` decides which tensors stay on the chip, with :mod:`.place`, and cuts layers into bands where some do
   not.
3. :mod:`.schedule` goes through layers, bands, chunks of weights (:mod:`.chunks`, :mod:`.pack`) and blocks of positions
   (:mod:`.blocks`): loads and stores (:mod:`.transfers`) and computations (:mod:`.lower`), one after the other.
4. :mod:`.timeline` adds waits, so that all that can run side by side does; :mod:`.pipeline` knows the array's delays.
5. :mod:`.stream` writes the three queues into one stream, as a :mod:`.clock` that runs along wants them.
6. :mod:`.image` has addresses and contents of the memory; :mod:`.program` is the result.

:mod:`.cost` counts cycles with the same clock, and what can be done in more than one way is done as it says.
:mod:`.hazards` proves afterwards that nothing can go wrong whatever the queues' speeds; :mod:`.reference` says what a
program has to compute, and :mod:`.run` runs it.
"""

from __future__ import annotations

import dataclasses

from targets.tvm_fpga.compiler.cost import estimate
from targets.tvm_fpga.compiler.fuse import fused
from targets.tvm_fpga.compiler.hazards import check_program
from targets.tvm_fpga.compiler.ir import Region
from targets.tvm_fpga.compiler.limits import check
from targets.tvm_fpga.compiler.plan import plan
from targets.tvm_fpga.compiler.program import Port, Program
from targets.tvm_fpga.compiler.run import Executor, golden, run_program, simulated
from targets.tvm_fpga.compiler.schedule import Choices, check_schedule, schedule
from targets.tvm_fpga.compiler.slices import sliced
from targets.tvm_fpga.geometry import Geometry

__all__ = ["Executor", "Port", "Program", "check_region", "compile_region", "golden", "run_program", "simulated"]

#: Other values of each choice, tried one choice after the other.
_OTHERS: dict[str, tuple[int, ...]] = {"parts": (4, 16), "start": (16, 32, 128), "eager": (1, 2, 3)}
#: Programs of more instructions, or of fewer cycles, are not compiled over and over.
_LARGE, _SHORT = 300, 4000


def compile_region(region: Region, geometry: Geometry, *, proven: bool = True) -> Program:
    """The command stream and image of a region.

    Args:
        region: what to compute.
        geometry: of the accelerator.
        proven: check the result for hazards; takes about as long as compiling.

    Raises:
        UnsupportedError: something that the accelerator cannot do: what was wanted, seen, allowed.
    """
    program = _fastest(prepared(region, geometry), geometry)
    if proven:
        check_program(program)
    return program


def check_region(region: Region, geometry: Geometry) -> None:
    """Whether a region can be compiled; takes a small part of the time.

    Raises:
        UnsupportedError: as :func:`compile_region`.
    """
    ready = prepared(region, geometry)
    check_schedule(ready, geometry, plan(ready, geometry))


def prepared(region: Region, geometry: Geometry) -> Region:
    """The region as it is scheduled: slices of whole vectors, additions fused.

    Raises:
        UnsupportedError: a layer is out of bounds.
    """
    check(region, geometry)
    ready = fused(sliced(region, geometry.lanes))
    check(ready, geometry)
    return ready


def _fastest(region: Region, geometry: Geometry) -> Program:
    """The program with the fewest cycles, as estimated, of some."""
    places, choices = plan(region, geometry), Choices()
    best = schedule(region, geometry, places, choices)
    if len(best.instructions) > _LARGE or (cycles := estimate(best).cycles) < _SHORT:
        return best
    for name, values in _OTHERS.items():
        for value in values:
            other = dataclasses.replace(choices, **{name: value})
            program = schedule(region, geometry, places, other)
            if (taken := estimate(program).cycles) < cycles:
                best, cycles, choices = program, taken, other
    return best
