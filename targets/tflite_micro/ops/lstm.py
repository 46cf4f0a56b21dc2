"""UNIDIRECTIONAL_SEQUENCE_LSTM: constraints, packed weights, and the call of ``ew_lstm``.

Inputs by place, as in the schema: 0 the sequence; 1 to 4 input weights and 5 to 8 state weights of the input,
forget, cell and output gate; 9 to 11 peepholes; 12 to 15 biases; 16 and 17 the projection; 18 the output state and
19 the cell state, both variables; 20 to 23 layer norm. ``intermediates`` are five tensors whose quantization
counts; the last is that of the output before a projection.
"""

from __future__ import annotations

import math

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.calls import Call, Const, In, Out, Role, Rule, Scratch, Value, Variant, one_int8, option
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.ops.common import quantize_multiplier
from targets.tflite_micro.ops.fours import pack_fours

#: Places of inputs.
_WEIGHTS, _STATE_WEIGHTS, _BIASES = range(1, 5), range(5, 9), range(12, 16)
_PEEPHOLES, _PROJECTION, _NORM = range(9, 12), range(16, 18), range(20, 24)
_OUTPUT_STATE, _CELL_STATE = 18, 19
#: Gates are in units of 2^-12 before sigmoid and tanh.
_GATE = np.float32(2.0**-12)


def plain_cell(op: Op, graph: Graph) -> str:
    """No peepholes, projection or layer norm, and an input gate of its own (no coupled gates)."""
    extras = {"peepholes": _PEEPHOLES, "a projection": _PROJECTION, "layer norm": _NORM}
    for name, places in extras.items():
        if any(_input(op, graph, place) is not None for place in places):
            return name
    wanted = [*_WEIGHTS, *_STATE_WEIGHTS, *_BIASES]
    return "coupled gates" if any(_input(op, graph, place) is None for place in wanted) else ""


def tanh_inside(op: Op, graph: Graph) -> str:
    """The activation is tanh, or none is named (the integer kernels of LiteRT and TFLM take tanh then, too)."""
    name = option(op, "fused_activation_function", "tanh")
    return "" if name in ("tanh", "none") else str(name)


def integer_form(op: Op, graph: Graph) -> str:
    """Input, output and output state are int8, weights constant int8 with zero point 0, biases constant int32."""
    for tensor in (graph.ins(op)[0], graph.ins(op)[_OUTPUT_STATE], graph.outs(op)[0]):
        if not one_int8(tensor):
            return f"{tensor.dtype} '{tensor.name}'" if tensor else "no state"
    for tensor in (graph.ins(op)[place] for place in (*_WEIGHTS, *_STATE_WEIGHTS)):
        if not one_int8(tensor) or tensor is None or not tensor.constant or tensor.zero_point:
            return f"weights '{tensor.name}' of another kind" if tensor else "no weights"
    for tensor in (graph.ins(op)[place] for place in _BIASES):
        if tensor is None or not tensor.constant or tensor.dtype != "int32":
            return f"{tensor.dtype} bias '{tensor.name}'" if tensor else "no bias"
    return ""


def sizes(op: Op, graph: Graph) -> str:
    """Time steps, batch, depth and units are at most 32767 each."""
    largest = max(max(tensor.shape) for tensor in (graph.ins(op)[0], graph.outs(op)[0]) if tensor is not None)
    return f"{largest}" if largest > 32767 else ""


def cell_state(op: Op, graph: Graph) -> str:
    """The cell state is an int16 variable with zero point 0 and a scale of 2^-15 to 2^-9."""
    cell = graph.ins(op)[_CELL_STATE]
    if cell is None or cell.dtype != "int16" or not cell.variable or cell.quantization is None or cell.zero_point:
        return f"{cell.dtype} '{cell.name}'" if cell else "none"
    fraction, power = math.frexp(cell.scale)
    return "" if fraction == 0.5 and -15 <= power - 1 <= -9 else f"a scale of {cell.scale:g}"


def output_scale(op: Op, graph: Graph) -> str:
    """Five intermediate tensors say how values inside are quantized, the last with one scale."""
    keys: tuple[int, ...] = option(op, "intermediates") or ()
    if len(keys) != 5:
        return f"{len(keys)}"
    last = graph.tensor(keys[4]).quantization
    return "" if last is not None and last.per_tensor else "a last one without a scale"


def _input(op: Op, graph: Graph, place: int) -> Tensor | None:
    return graph.ins(op)[place] if place < len(op.inputs) else None


def lower(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_lstm``."""
    sequence, output = graph.ins(op)[0], graph.outs(op)[0]
    hidden, cell = graph.ins(op)[_OUTPUT_STATE], graph.ins(op)[_CELL_STATE]
    assert sequence is not None and hidden is not None and cell is not None
    time_major = bool(option(op, "time_major"))
    batch, time = sequence.shape[:2][::-1] if time_major else sequence.shape[:2]
    of_input, of_state = _stack(op, graph, _WEIGHTS), _stack(op, graph, _STATE_WEIGHTS)
    weights = np.concatenate([pack_fours(part.swapaxes(0, 1), variant) for part in (of_input, of_state)], axis=1)
    last = graph.tensor(option(op, "intermediates")[4])
    scales = [_real(op, graph, place, sequence) for place in _WEIGHTS]
    scales += [_real(op, graph, place, hidden) for place in _STATE_WEIGHTS]
    multiplier, shift = zip(*(quantize_multiplier(scale) for scale in scales), strict=True)
    half = np.float32(2.0**-15)
    hidden_multiplier, hidden_shift = quantize_multiplier(float(half / np.float32(last.scale) * half))
    params: dict[str, Value] = {
        "weights": Const(weights.reshape(-1), Role.WEIGHTS, align=4),
        "bias": Const(_biases(op, graph, of_input, of_state), Role.BIAS),
        "multiplier": multiplier, "hidden_multiplier": hidden_multiplier, "shift": shift,
        "time": time, "batch": batch, "in_c": sequence.shape[2], "units": output.shape[2],
        "cell_clip": _cell_clip(op, cell), "hidden_shift": hidden_shift, "hidden_zero": last.zero_point,
        "cell_bits": round(-math.log2(cell.scale)), "time_major": int(time_major),
    }  # fmt: skip
    return Call(
        "ew_lstm", params,
        (In(sequence.index), Out(output.index), Out(hidden.index), Out(cell.index), Scratch()),
        scratch=scratch(sequence.shape[2], output.shape[2], variant),
        overlap={sequence.index: head_start(batch * time, sequence.shape[2], output.shape[2])},
        sources=("ew_lstm.c", "ew_lstm_mve.c", "ew_dot4.c"),
        macs=batch * time * 4 * output.shape[2] * (sequence.shape[2] + output.shape[2]),
    )  # fmt: skip


def scratch(in_c: int, units: int, variant: Variant) -> int:
    """Bytes of scratch, as ``ew_lstm.h`` says."""
    return 8 * _up(units, 8) if variant == "mve" else _up(in_c, 16) + _up(units, 16)


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def head_start(rows: int, in_row: int, out_row: int) -> int:
    """The smallest ``address(input) - address(output)`` at which no output row overwrites an unread input row."""
    more = out_row - in_row
    return max(more, more * (rows - 1)) if rows > 1 else -in_row


def _stack(op: Op, graph: Graph, places: range) -> Array:
    values = [tensor.data for tensor in (graph.ins(op)[place] for place in places) if tensor is not None]
    return np.stack([value for value in values if value is not None])


def _real(op: Op, graph: Graph, place: int, operand: Tensor) -> float:
    """The real multiplier of one gate, in float32 as the reference computes it."""
    weights = graph.ins(op)[place]
    assert weights is not None
    return float(np.float32(weights.scale) * np.float32(operand.scale) / _GATE)


def _biases(op: Op, graph: Graph, of_input: Array, of_state: Array) -> Array:
    """(units, 8) flattened: what to add to the sums over the input of the four gates, then over the state."""
    sequence, hidden = graph.ins(op)[0], graph.ins(op)[_OUTPUT_STATE]
    assert sequence is not None and hidden is not None
    folded = _stack(op, graph, _BIASES).astype(np.int64) - sequence.zero_point * of_input.sum(axis=2, dtype=np.int64)
    states = -hidden.zero_point * of_state.sum(axis=2, dtype=np.int64)
    return np.concatenate([folded, states]).T.reshape(-1).astype(np.int32)


def _cell_clip(op: Op, cell: Tensor) -> int:
    clip = float(np.float32(option(op, "cell_clip", 0.0)) / np.float32(cell.scale))
    return int(min(max(clip, -32768.0), 32767.0))


RULES = (
    Rule(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        (plain_cell, tanh_inside, integer_form, sizes, cell_state, output_scale),
        lower,
    ),
)
