"""One block of the Verilog in simulation, driven cycle by cycle from Python; built once, kept between runs of tests."""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
from pathlib import Path

import numpy as np

from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Instruction
from targets.tvm_fpga.rtl.build import simulator
from targets.tvm_fpga.rtl.simulate import Simulator
from targets.tvm_fpga.rtl.sources import SOURCES, template
from targets.tvm_fpga.rtl.verilate import Plan, library

_PORT = re.compile(r"^\s*(input|output)\s+(?:wire|reg)\s+(?:signed\s+)?(?:\[[^\]]*\]\s*)?(\w+)", re.MULTILINE)


def cache() -> Path:
    """A folder of this user's that outlives a run; names in it are hashes of what was built."""
    folder = Path(tempfile.gettempdir()) / f"edgewright-rtl-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid() or folder.is_symlink():
        raise PermissionError(f"{folder} is not ours")
    return folder


def small(lanes: int = 4, **more: int) -> Geometry:
    """An array for tests: small, and with all memories used up quickly."""
    return Geometry(**{"lanes": lanes, "activations": 2048, "weights": 2048, "parameters": 32, **more})


def simulated(lanes: int = 4, **more: int) -> Simulator:
    """The whole accelerator."""
    return simulator(small(lanes, **more), cache())


class Bench:
    """A module: ``step`` takes inputs by name, tells the outputs before the edge, and gives the edge.

    Inputs that are not named are 0. Numbers are unsigned and of any width.
    """

    def __init__(self, top: str, **parameters: int) -> None:
        source = (SOURCES / f"{top}.v").read_text()
        ports = _PORT.findall(source[source.index(f"module {top} ") : source.index(");\n")])
        self.inputs = [name for kind, name in ports if kind == "input" and name != "clk"]
        self.outputs = [name for kind, name in ports if kind == "output"]
        harness = template("ew_bench.cpp.j2").render(top=top, inputs=self.inputs, outputs=self.outputs)
        self._lib = ctypes.CDLL(str(library(Plan(top, parameters, str(harness)), cache())))
        self._lib.ew_open.restype = ctypes.c_void_p
        self._bench = ctypes.c_void_p(self._lib.ew_open())
        sizes = (ctypes.c_uint32 * (len(self.inputs) + len(self.outputs)))()
        self._lib.ew_sizes(self._bench, sizes)
        self._in_sizes, self._out_sizes = sizes[: len(self.inputs)], sizes[len(self.inputs) :]
        self._out = (ctypes.c_uint8 * sum(self._out_sizes))()
        if "rst" in self.inputs:
            self.reset()

    def reset(self) -> None:
        for _ in range(3):
            self.step(rst=1)

    def step(self, **given: int) -> dict[str, int]:
        """One cycle."""
        return self._eval(given, edge=1)

    def peek(self, **given: int) -> dict[str, int]:
        """The outputs with these inputs; no time passes."""
        return self._eval(given, edge=0)

    def _eval(self, given: dict[str, int], edge: int) -> dict[str, int]:
        if unknown := set(given) - set(self.inputs):
            raise AssertionError(f"there is no input {', '.join(unknown)}; there are {', '.join(self.inputs)}")
        pairs = zip(self.inputs, self._in_sizes, strict=True)
        data = b"".join(int(given.get(name, 0)).to_bytes(size, "little") for name, size in pairs)
        self._lib.ew_step(self._bench, data, self._out, edge)
        found, at, raw = {}, 0, bytes(self._out)
        for name, size in zip(self.outputs, self._out_sizes, strict=True):
            found[name] = int.from_bytes(raw[at : at + size], "little")
            at += size
        return found


def packed(values: np.ndarray) -> int:
    """An array as one number, the first element lowest."""
    return int.from_bytes(np.ascontiguousarray(values).tobytes(), "little")


def unpacked(value: int, dtype: str, count: int) -> np.ndarray:
    """The inverse of :func:`packed`."""
    return np.frombuffer(value.to_bytes(count * np.dtype(dtype).itemsize, "little"), dtype)


def word(instruction: Instruction) -> int:
    """The 512 bits of an instruction."""
    return int.from_bytes(instruction.encode(), "little")
