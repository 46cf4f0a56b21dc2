"""Random programs for one array: valid ones, which touch every instruction and field, from a seeded generator.

The image is random bytes; below are the program, entries of parameters, and the place that stores write.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Instruction, Memory, Mode, Op, encode_all

ENTRIES = 32
_PROGRAM, _ENTRIES, _RAW, _WEIGHTS, _DATA = 0, 0x2000, 0x6000, 0x8000, 0x18000
#: Vectors that inputs, results and second tensors use.
VECTORS = 2048
_INPUTS, _RESULTS = (0, 900), (1000, VECTORS)


@dataclasses.dataclass
class Random:
    """A program under construction: instructions, and how many of each queue there are."""

    geometry: Geometry
    rng: np.random.Generator
    instructions: list[Instruction]

    def count(self, op: Op) -> int:
        return sum(each.op is op for each in self.instructions)

    def number(self, least: int, most: int) -> int:
        """Both included."""
        return int(self.rng.integers(least, most + 1))

    def chance(self) -> bool:
        return bool(self.rng.integers(2))

    def add(self, op: Op, **values: int) -> None:
        self.instructions.append(Instruction(op, values))


def random_program(geometry: Geometry, seed: int, computes: int = 4) -> tuple[list[Instruction], np.ndarray]:
    """Instructions and an image with them at address 0."""
    rng = np.random.default_rng(seed)
    made = Random(geometry, rng, [])
    image = rng.integers(-128, 128, _DATA + 4 * VECTORS * geometry.lanes).astype(np.int8)
    image[_ENTRIES : _ENTRIES + 8 * ENTRIES * geometry.lanes] = _entries(made)
    _fill(made)
    for _ in range(made.number(1, computes)):
        if made.chance():
            _change(made)
        _compute(made)
        if made.chance():
            _store(made, VECTORS // 8)
    _store(made, VECTORS)
    made.add(Op.FINISH)
    code = made.instructions + [made.instructions[-1]] * (-len(made.instructions) % 4)
    image[: 64 * len(code)] = np.frombuffer(encode_all(code), np.int8)
    return made.instructions, image


def _entries(made: Random) -> np.ndarray:
    """Biases, multipliers and shifts; the bits above a shift mean nothing and are random."""
    shape = (ENTRIES, made.geometry.lanes)
    bias = made.rng.integers(-100_000, 100_000, shape).astype(np.int32).view(np.uint32).astype(np.uint64)
    words = bias | made.rng.integers(0, 1 << 16, shape).astype(np.uint64) << np.uint64(32)
    words |= made.rng.choice([0, 1, 15, 20, 22, 24, 26, 30, 48], shape).astype(np.uint64) << np.uint64(48)
    words |= made.rng.integers(0, 1 << 10, shape).astype(np.uint64) << np.uint64(54)
    return words.reshape(-1).view(np.int8)


def _fill(made: Random) -> None:
    """All vectors that may be read, all parameters, and weights."""
    lanes, port = made.geometry.lanes, made.geometry.port
    made.add(Op.LOAD, dram=_DATA, sram=0, rows=1, len=VECTORS * lanes // port, memory=Memory.ACTIVATIONS)
    made.add(Op.LOAD, dram=_ENTRIES, sram=0, rows=1, len=8 * ENTRIES * lanes // port, memory=Memory.PARAMETERS)
    half = 1024 * lanes
    made.add(
        Op.LOAD,
        dram=_WEIGHTS,
        dram_stride=half,
        sram=0,
        sram_stride=1024,
        rows=2,
        len=half // port,
        memory=Memory.WEIGHTS,
    )


def _change(made: Random) -> None:
    """Load something else once all before has been used: rows of vectors, or raw rows that are expanded."""
    lanes, port = made.geometry.lanes, made.geometry.port
    waits = {"wait_compute": made.count(Op.COMPUTE), "wait_store": made.count(Op.STORE)}
    rows = made.number(1, 5)
    if made.chance():
        vectors = made.number(1, 9) * max(1, port // lanes)
        made.add(
            Op.LOAD,
            dram=_DATA + 16 * made.number(0, 99),
            dram_stride=16 * made.number(0, 40),
            rows=rows,
            sram=made.number(0, 300),
            sram_stride=made.number(vectors, 80),
            len=vectors * lanes // port,
            **waits,
        )
        return
    run, outputs, step = made.number(1, 4), made.number(1, 12), made.number(1, 20)
    unit = max(lanes, port)
    length = -(-((outputs - 1) * step + run * lanes) // unit) * unit
    made.add(
        Op.LOAD,
        dram=_RAW + 16 * made.number(0, 9),
        dram_stride=16 * made.number(0, 20),
        rows=rows,
        expand=1,
        sram=made.number(0, 300),
        sram_stride=made.number(run * outputs, 80),
        len=length // port,
        outputs=outputs,
        step=step,
        run=run,
        **waits,
    )


def _compute(made: Random) -> None:
    mode = Mode(made.number(0, 2))
    window, conv = mode is Mode.WINDOW, mode is Mode.CONV
    kh, kw = (3, 3) if window else (made.number(1, 4), made.number(1, 4))
    sy, sx = made.number(1, 3), made.number(1, 3)
    dy, dx = (1, 1) if window else (made.number(1, 2), made.number(1, 2))
    rows, ow, nt = made.number(1, 6), made.number(1, 8), made.number(1, 3)
    ct = made.number(1, 3) if conv else 1
    pixel = (ct if conv else nt) + made.number(0, 1)
    in_h, in_w, iy0, ix0 = made.number(2, 18), made.number(2, 12), made.number(-3, 3), made.number(-3, 3)
    row = in_w * pixel
    values = {
        "mode": mode,
        "fence": 1,
        "wait_load": made.count(Op.LOAD),
        "wait_store": made.count(Op.STORE),
        "in_base": (made.number(*_INPUTS) // 3 + iy0 * row + ix0 * pixel) % (1 << 20),
        "step_y": sy * row,
        "step_x": sx * pixel,
        "step_ky": dy * row,
        "step_kx": dx * pixel,
        "in_h": in_h,
        "in_w": in_w,
        "iy0": iy0,
        "ix0": ix0,
        "sy": sy,
        "sx": sx,
        "dy": dy,
        "dx": dx,
        "kh": kh,
        "kw": kw,
        "ct": ct,
        "rows": rows,
        "ow": ow,
        "wgt": made.number(0, 64),
        "fill": made.number(-128, 127),
        "zero": made.number(-128, 127),
        "lo": made.number(-128, 0),
        "hi": made.number(0, 127),
        "par": made.number(0, ENTRIES - 3),
        "max": int(mode is Mode.TAPS and made.chance()),
    }
    if window:
        values |= {"wrows": (rows - 1) * sy + 3, "wcols": (ow - 1) * sx + 3}
    if conv and made.chance():
        _in_parts(made, values)
        nt = 1
    pixel = nt + made.number(0, 1)
    values |= {
        "nt": nt,
        "out_base": made.number(_RESULTS[0], _RESULTS[1] - 400),
        "out_px": pixel,
        "out_row": pixel * ow,
    }
    made.add(Op.COMPUTE, **values, **_second(made, values))


def _in_parts(made: Random, values: dict[str, int]) -> None:
    """An instruction that keeps its sums, for the one after it to go on with."""
    made.add(Op.COMPUTE, **{**values, "nt": 1, "keep": 1, "wgt": made.number(0, 64)})
    values["carry"] = 1
    values["fence"] = made.number(0, 1)


def _second(made: Random, values: dict[str, int]) -> dict[str, int]:
    """A second tensor, away from the results."""
    if made.chance():
        return {}
    return {
        "residual": 1,
        "res_base": made.number(0, 500),
        "res_row": values["out_row"],
        "res_px": values["out_px"],
        "res_zero": made.number(-128, 127),
        "mul_a": made.number(0, 65535),
        "mul_b": made.number(0, 65535),
        "res_shift": made.number(0, 26),
        "sum_zero": made.number(-128, 127),
        "sum_lo": made.number(-128, 0),
        "sum_hi": made.number(0, 127),
    }


def _store(made: Random, vectors: int) -> None:
    """Vectors as rows at some distance, after all computations; what is between the rows must stay."""
    lanes, port = made.geometry.lanes, made.geometry.port
    rows = made.number(1, 4)
    each = vectors // rows // max(1, port // lanes) * max(1, port // lanes)
    if each * lanes * rows > VECTORS * lanes:
        raise AssertionError("a store is larger than its place")
    start = _DATA + 2 * VECTORS * lanes
    made.add(
        Op.STORE,
        dram=start,
        dram_stride=each * lanes + 16 * made.number(0, 3),
        sram=made.number(0, VECTORS - each * rows),
        sram_stride=each,
        rows=rows,
        len=each * lanes // port,
        wait_compute=made.count(Op.COMPUTE),
        wait_load=made.number(0, made.count(Op.LOAD)),
    )
