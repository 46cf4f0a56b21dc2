"""The accelerator without time: memories, and what each instruction does to them. RTL must equal it bit for bit."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from profiles.errors import DataError
from profiles.runner import Array
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.golden.compute import compute
from targets.tvm_fpga.isa import Instruction, Memory, Op


class Machine:
    """Memories as arrays; ``dram`` is the caller's, as bytes.

    Attributes:
        act: int8, vectors x lanes.
        wgt: int8, rows x lanes.
        bias: int32, entries x lanes; ``mult`` and ``shift`` the same shape, unsigned.
        acc: sums that an instruction keeps for the next: positions x lanes.
    """

    def __init__(self, geometry: Geometry, dram: Array) -> None:
        lanes = geometry.lanes
        self.geometry, self.dram = geometry, dram
        self.act = np.zeros((geometry.activations, lanes), np.int8)
        self.wgt = np.zeros((geometry.weights, lanes), np.int8)
        self.bias = np.zeros((geometry.parameters, lanes), np.int32)
        self.mult = np.zeros((geometry.parameters, lanes), np.int64)
        self.shift = np.zeros((geometry.parameters, lanes), np.int64)
        self.acc = np.zeros((geometry.accumulators, lanes), np.int64)

    def run(self, program: Iterable[Instruction]) -> None:
        """All instructions, in program order, up to FINISH.

        Raises:
            DataError: an address outside of a memory.
        """
        for number, instruction in enumerate(program):
            if instruction.op is Op.FINISH:
                return
            try:
                self.step(instruction)
            except IndexError as error:
                raise DataError(f"instruction {number} ({instruction.text()})", seen=str(error)) from error

    def step(self, instruction: Instruction) -> None:
        """One instruction."""
        if instruction.op is Op.COMPUTE:
            compute(self, instruction)
        elif instruction.op is Op.STORE:
            self._store(instruction)
        elif instruction["memory"] == Memory.PARAMETERS:
            self._load_parameters(instruction)
        else:
            self._load(instruction)

    def _load(self, given: Instruction) -> None:
        memory = self.act if given["memory"] == Memory.ACTIVATIONS else self.wgt
        for row in range(given["rows"]):
            raw = self._read(given["dram"] + row * given["dram_stride"], given["len"] * self.geometry.port)
            vectors = self._expanded(raw, given) if given["expand"] else raw.reshape(-1, self.geometry.lanes)
            memory[_span(given["sram"] + row * given["sram_stride"], len(vectors), len(memory))] = vectors

    def _expanded(self, raw: Array, given: Instruction) -> Array:
        """Runs of a raw row, ``step`` bytes apart; lanes past the row's end read what the row memory held: 0 here."""
        lanes, run = self.geometry.lanes, given["run"] * self.geometry.lanes
        starts = given["step"] * np.arange(given["outputs"])
        padded = np.concatenate([raw, np.zeros(run + lanes, np.int8)])
        found: Array = padded[starts[:, None] + np.arange(run)].reshape(-1, lanes)
        return found

    def _load_parameters(self, given: Instruction) -> None:
        for row in range(given["rows"]):
            raw = self._read(given["dram"] + row * given["dram_stride"], given["len"] * self.geometry.port)
            entries = raw.view(np.uint64).reshape(-1, self.geometry.lanes)
            place = _span(given["sram"] + row * given["sram_stride"], len(entries), len(self.bias))
            self.bias[place] = (entries & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
            self.mult[place] = (entries >> np.uint64(32)) & np.uint64(0xFFFF)
            self.shift[place] = (entries >> np.uint64(48)) & np.uint64(0x3F)

    def _store(self, given: Instruction) -> None:
        for row in range(given["rows"]):
            count = given["len"] * self.geometry.port
            vectors = self.act[
                _span(given["sram"] + row * given["sram_stride"], count // self.geometry.lanes, len(self.act))
            ]
            start = given["dram"] + row * given["dram_stride"]
            self._read(start, count)
            self.dram[start : start + count] = vectors.reshape(-1)

    def _read(self, start: int, count: int) -> Array:
        if start % self.geometry.port or start + count > len(self.dram):
            raise IndexError(
                f"memory bytes {start} to {start + count} of {len(self.dram)}, aligned to {self.geometry.port}"
            )
        return self.dram[start : start + count].copy()


def _span(start: int, count: int, depth: int) -> slice:
    if start + count > depth:
        raise IndexError(f"vectors {start} to {start + count} of {depth}")
    return slice(start, start + count)
