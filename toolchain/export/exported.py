"""What an export gives: the file, its inputs and outputs, and which layer each part came from."""

from __future__ import annotations

import dataclasses
import keyword
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from profiles.errors import ConfigError, UnsupportedError
from profiles.runner import Arrays
from targets.base import TensorSpec

if TYPE_CHECKING:
    import torch

#: Protobuf messages and FlatBuffers both count their bytes in 31 bits.
FILE_LIMIT = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Exported:
    """One exported file.

    Attributes:
        path: the file.
        format: ``onnx``, ``tflite`` or ``pt2``.
        inputs, outputs: canonical specs (the layout of the torch module), in the module's order.
        channel_last: names of inputs and outputs that the file has in NHWC.
        layers: ONNX node, TFLite tensor or PyTorch operator to the qualified name of the torch module that
            it came from (empty for the model's own ``forward``).
        log: what the exporter printed.
    """

    path: Path
    format: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    channel_last: tuple[str, ...] = ()
    layers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    log: str = ""


def specs_of(arrays: Arrays) -> tuple[TensorSpec, ...]:
    """Specs of arrays in the torch layout."""
    return tuple(
        TensorSpec(name, values.shape, str(values.dtype), layout_of(values.shape)) for name, values in arrays.items()
    )


def layout_of(shape: tuple[int, ...]) -> str:
    """torch's layout by rank: NCHW for images, NC for vectors, empty where axes have no agreed meaning."""
    return {4: "NCHW", 2: "NC"}.get(len(shape), "")


def check_input_names(names: Iterable[str]) -> None:
    """Check that the names can be those of a function's arguments, as both exporters need.

    Raises:
        ConfigError: naming the one that cannot.
    """
    listed = list(names)
    for name in listed:
        if not name.isidentifier() or keyword.iskeyword(name) or name == "self":
            raise ConfigError(
                "wanted input names for the exported model",
                seen=repr(name),
                allowed="letters, digits and underscores, and no word of Python's",
            )
    if not listed:
        raise ConfigError("wanted at least one input to export the model with", seen="none")


def check_weights_size(module: torch.nn.Module, target: str) -> None:
    """Refuse weights that neither one protobuf message nor one FlatBuffer can hold, before any work is done.

    Raises:
        UnsupportedError: parameters and buffers take more than 2^31 - 1 bytes.
    """
    size = sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))
    if size > FILE_LIMIT:
        raise UnsupportedError(
            f"wanted the model in one {target} file",
            seen=f"{size:,} B of weights",
            allowed=f"{FILE_LIMIT:,} B, the limit of the file format",
            next_step="use a smaller model",
        )
