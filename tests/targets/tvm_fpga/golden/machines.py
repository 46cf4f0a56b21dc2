"""A golden machine with random contents, and one COMPUTE on a tensor at vector 0."""

import numpy as np

from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.golden.machine import Machine
from targets.tvm_fpga.isa import Instruction, Mode, Op

OUT = 1024


def machine(seed, lanes=4, **given):
    """All memories random; shifts and multipliers as they occur."""
    draw = np.random.default_rng(seed)
    made = Machine(Geometry(lanes=lanes, activations=4096, **given), np.zeros(1 << 14, np.int8))
    made.act[:] = draw.integers(-128, 128, made.act.shape)
    made.wgt[:] = draw.integers(-128, 128, made.wgt.shape)
    made.bias[:] = draw.integers(-5000, 5000, made.bias.shape)
    made.mult[:] = draw.integers(1 << 15, 1 << 16, made.mult.shape)
    made.shift[:] = draw.integers(20, 26, made.shift.shape)
    return made


def compute(mode, shape, tiles, out, kernel=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1), **more):
    """Fields for a tensor of ``shape`` (rows, columns) x ``tiles`` vectors at 0, results at OUT."""
    (height, width), (rows, columns) = shape, out
    row = width * tiles
    groups = more.get("nt", 1)
    values = {
        "mode": int(mode),
        "in_base": (-padding[0] * row - padding[1] * tiles) % (1 << 20),
        "step_y": stride[0] * row,
        "step_x": stride[1] * tiles,
        "step_ky": dilation[0] * row,
        "step_kx": dilation[1] * tiles,
        "in_h": height,
        "in_w": width,
        "iy0": -padding[0],
        "ix0": -padding[1],
        "sy": stride[0],
        "sx": stride[1],
        "dy": dilation[0],
        "dx": dilation[1],
        "kh": kernel[0],
        "kw": kernel[1],
        "ct": tiles if mode is Mode.CONV else 1,
        "nt": groups,
        "rows": rows,
        "ow": columns,
        "out_base": OUT,
        "out_row": columns * groups,
        "out_px": groups,
        "lo": -128,
        "hi": 127,
        "wrows": (rows - 1) * stride[0] + 3,
        "wcols": (columns - 1) * stride[1] + 3,
    }
    return Instruction(Op.COMPUTE, values | more)


def run(made, instruction):
    """What it writes: rows x columns x channels."""
    made.step(instruction)
    rows, columns, groups = instruction["rows"], instruction["ow"], instruction["nt"]
    vectors = made.act[OUT : OUT + rows * columns * groups]
    return vectors.reshape(rows, columns, groups * made.geometry.lanes).copy()


def tensor(made, shape, tiles):
    """The one at vector 0."""
    return made.act[: shape[0] * shape[1] * tiles].reshape(*shape, -1).astype(np.int64)


def columns_of(value, kernel, stride, padding, dilation, out, fill):
    """im2col: rows x columns x taps x channels, by padding and slicing."""
    big = np.pad(value, ((padding[0], 99), (padding[1], 99), (0, 0)), constant_values=fill)
    taps = [
        big[ky * dilation[0] :, kx * dilation[1] :][: out[0] * stride[0] : stride[0], : out[1] * stride[1] : stride[1]]
        for ky in range(kernel[0])
        for kx in range(kernel[1])
    ]
    return np.stack(taps, axis=2)


def scaled(made, sums, zero=0, lo=-128, hi=127):
    """Requantized in 64-bit floating point: exact, since all products are below 2^53."""
    groups = sums.shape[-1] // made.geometry.lanes
    bias, mult, shift = (each[:groups].reshape(-1) for each in (made.bias, made.mult, made.shift))
    real = (sums + bias) * mult / np.exp2(shift)
    return np.clip(np.floor(real + 0.5) + zero, lo, hi).astype(np.int8)
