"""Whether every instruction of a program stays inside of the memories of its array: what the hardware checks, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from profiles.errors import ModelError
from targets.tvm_fpga.compiler.program import Port, Program
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Instruction, Memory, Mode, Op

_WRAP = 1 << 20
_QUEUES = {Op.LOAD: "wait_load", Op.STORE: "wait_store", Op.COMPUTE: "wait_compute"}


def check_bounds(program: Program) -> None:
    """Every address, count and wait.

    Raises:
        ModelError: the first instruction that is out of bounds, and how.
    """
    issued = dict.fromkeys(_QUEUES.values(), 0)
    for number, instruction in enumerate(program.instructions):
        if instruction.op is Op.FINISH:
            break
        for fault in (*_waits(instruction, issued), *_FAULTS[instruction.op](instruction, program)):
            raise ModelError(
                f"instruction {number} of a command stream ({instruction.op.name})",
                seen=fault,
                next_step="build the bundle again",
            )
        issued[_QUEUES[instruction.op]] += 1
    else:
        raise ModelError("a command stream that ends", seen="no FINISH", next_step="build the bundle again")
    for port in (*program.inputs, *program.outputs):
        _check_port(port, len(program.image))


def _waits(instruction: Instruction, issued: dict[str, int]) -> Iterator[str]:
    """Waits name instructions that stand before."""
    for name, count in issued.items():
        if instruction[name] > count:
            yield f"{name} is {instruction[name]}, but only {count} stand before it"


def _transfer(given: Instruction, program: Program) -> Iterator[str]:
    """Rows in the memory and on the chip."""
    port, lanes = program.geometry.port, program.geometry.lanes
    rows, size = given["rows"], given["len"] * port
    if not rows or not size:
        yield f"{rows} rows of {size} B"
        return
    if given["dram"] % port or given["dram_stride"] % port:
        yield f"memory address {given['dram']} or stride {given['dram_stride']} is no multiple of {port}"
    end = given["dram"] + (rows - 1) * given["dram_stride"] + size
    if end > len(program.image):
        yield f"memory up to {end}, of {len(program.image)} B"
    memory = Memory(given["memory"]) if given["memory"] < len(Memory) else None
    if memory is None:
        yield f"memory {given['memory']}"
        return
    unit = 8 * lanes if memory is Memory.PARAMETERS else lanes
    count = given["outputs"] * given["run"] if given["expand"] else size // unit
    if size % unit or not count:
        yield f"rows of {size} B, in units of {unit} B"
    yield from _raw(given, program.geometry)
    depth = _depth(program.geometry, memory)
    end = given["sram"] + (rows - 1) * given["sram_stride"] + count
    if end > depth:
        yield f"{memory.name.lower()} up to {end}, of {depth}"


def _raw(given: Instruction, geometry: Geometry) -> Iterator[str]:
    if not given["expand"]:
        return
    need = (given["outputs"] - 1) * given["step"] + given["run"] * geometry.lanes
    size = given["len"] * geometry.port
    if given["memory"] != Memory.ACTIVATIONS:
        yield "only activations can be expanded"
    if size > geometry.raw or need > size:
        yield f"raw rows of {size} B for runs up to {need} B, of {geometry.raw} B"


def _depth(geometry: Geometry, memory: Memory) -> int:
    depths = {
        Memory.ACTIVATIONS: geometry.activations,
        Memory.WEIGHTS: geometry.weights,
        Memory.PARAMETERS: geometry.parameters,
    }
    return depths[memory]


def _compute(given: Instruction, program: Program) -> Iterator[str]:
    """Counts, the tensors' corners, weights, parameters, partial sums."""
    geometry = program.geometry
    counts = ["nt", "rows", "ow", "kh", "kw", "ct", "sy", "sx", "in_h", "in_w"]
    if empty := [name for name in counts if not given[name]]:
        yield f"{', '.join(empty)} is 0"
        return
    if given["mode"] >= len(Mode):
        yield f"mode {given['mode']}"
        return
    mode = Mode(given["mode"])
    yield from _written(given, geometry, "out", "out_base")
    if given["residual"]:
        yield from _written(given, geometry, "res", "res_base")
    yield from _read(given, geometry, mode)
    tiles = _tiles(given, geometry, mode)
    rows = tiles if mode is Mode.TAPS else tiles * geometry.lanes
    if given["wgt"] + given["nt"] * rows > geometry.weights:
        yield f"weights up to {given['wgt'] + given['nt'] * rows}, of {geometry.weights}"
    if given["par"] + given["nt"] > geometry.parameters:
        yield f"parameters up to {given['par'] + given['nt']}, of {geometry.parameters}"
    if tiles > 1 and given["rows"] * given["ow"] > geometry.accumulators:
        yield f"{given['rows'] * given['ow']} partial sums, of {geometry.accumulators}"
    if mode is Mode.WINDOW:
        yield from _streamed(given, geometry)


def _tiles(given: Instruction, geometry: Geometry, mode: Mode) -> int:
    """Tiles of one group of outputs."""
    if mode is Mode.WINDOW:
        return geometry.passes
    return given["kh"] * given["kw"] * (given["ct"] if mode is Mode.CONV else 1)


def _written(given: Instruction, geometry: Geometry, name: str, base: str) -> Iterator[str]:
    steps = (given["rows"] - 1) * given[f"{name}_row"] + (given["ow"] - 1) * given[f"{name}_px"]
    end = given[base] + steps + given["nt"]
    if end > geometry.activations:
        yield f"{name} vectors up to {end}, of {geometry.activations}"


def _read(given: Instruction, geometry: Geometry, mode: Mode) -> Iterator[str]:
    """The vectors of every tap that lie inside of the tensor, computed as the sequencer does."""
    rows, columns = np.arange(given["rows"])[:, None], np.arange(given["ow"])[None, :]
    tiles = (given["ct"] if mode is Mode.CONV else given["nt"]) - 1
    for ky in range(given["kh"]):
        for kx in range(given["kw"]):
            y = given["iy0"] + ky * given["dy"] + rows * given["sy"]
            x = given["ix0"] + kx * given["dx"] + columns * given["sx"]
            steps = ky * given["step_ky"] + kx * given["step_kx"] + rows * given["step_y"] + columns * given["step_x"]
            where = (given["in_base"] + steps) % _WRAP
            inside = (y >= 0) & (y < given["in_h"]) & (x >= 0) & (x < given["in_w"])
            last = int(np.max(where, where=inside, initial=-1))
            if last >= 0 and last + tiles >= geometry.activations:
                yield f"input vectors up to {last + tiles + 1}, of {geometry.activations}"
                return


def _streamed(given: Instruction, geometry: Geometry) -> Iterator[str]:
    wanted = ((given["rows"] - 1) * given["sy"] + 3, (given["ow"] - 1) * given["sx"] + 3)
    if (given["wrows"], given["wcols"]) != wanted:
        yield f"a window's stream of {given['wrows']} x {given['wcols']}, not {wanted[0]} x {wanted[1]}"
    if given["wcols"] > geometry.line:
        yield f"rows of {given['wcols']} columns, of {geometry.line}"


def _check_port(port: Port, size: int) -> None:
    if port.at < 0 or port.at + port.size > size:
        raise ModelError(
            f"the place of '{port.tensor.name}' in a command stream",
            seen=f"memory up to {port.at + port.size}, of {size} B",
            next_step="build the bundle again",
        )


_FAULTS: dict[Op, Callable[[Instruction, Program], Iterator[str]]] = {
    Op.LOAD: _transfer,
    Op.STORE: _transfer,
    Op.COMPUTE: _compute,
}
