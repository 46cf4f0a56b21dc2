"""Which TFLite tensor stands for which canonical one."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from profiles.errors import UnsupportedError
from targets.base import TensorSpec
from targets.tflite_tools import TfliteIo, TfliteTensor, read_tflite

_ARGUMENT = re.compile(r"(?:args|output)_(\d+)")


def native_io(
    path: Path, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], channel_last: tuple[str, ...]
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """The engine's view of canonical inputs and outputs, in canonical order.

    Names become ``INDEX:NAME`` of the tensor, because tensor names need not be unique.
    """
    file = read_tflite(path)
    return (
        tuple(
            _spec(spec, io.tensor, channel_last) for spec, io in zip(inputs, _ordered(file.inputs, inputs), strict=True)
        ),
        tuple(
            _spec(spec, io.tensor, channel_last)
            for spec, io in zip(outputs, _ordered(file.outputs, outputs), strict=True)
        ),
    )


def _ordered(found: tuple[TfliteIo, ...], wanted: tuple[TensorSpec, ...]) -> list[TfliteIo]:
    """By name where the names agree, by number for ``args_0, args_1, …``, else as the graph has them."""
    if len(found) != len(wanted):
        raise UnsupportedError(
            "the TFLite file must have the model's inputs and outputs",
            seen=f"{len(found)}: {', '.join(io.name for io in found)}",
            allowed=f"{len(wanted)}: {', '.join(spec.name for spec in wanted)}",
        )
    by_name = {io.name: io for io in found}
    if all(spec.name in by_name for spec in wanted):
        return [by_name[spec.name] for spec in wanted]
    numbers = [_ARGUMENT.fullmatch(io.name) for io in found]
    if all(numbers):
        pairs = zip(numbers, found, strict=True)
        return [io for _, io in sorted(pairs, key=lambda pair: int(pair[0].group(1)) if pair[0] else 0)]
    return list(found)


def _spec(spec: TensorSpec, tensor: TfliteTensor, channel_last: tuple[str, ...]) -> TensorSpec:
    moved = spec.name in channel_last and len(spec.layout) > 2
    layout = spec.layout[0] + spec.layout[2:] + spec.layout[1] if moved else spec.layout
    return dataclasses.replace(
        spec,
        name=f"{tensor.index}:{tensor.name}",
        shape=tensor.shape,
        dtype=tensor.dtype,
        layout=layout,
        scale=tensor.scale[0] if tensor.scale else None,
        zero_point=tensor.zero_point[0] if tensor.scale else None,
    )


def tensor_index(name: str) -> int:
    """The tensor's number in the main graph, from a native name."""
    return int(name.partition(":")[0])
