"""torch to TFLite by ``litert_torch``, images with the channel axis last, with equal bytes for equal modules."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.errors import EdgewrightError, MissingToolError, OutputError
from profiles.runner import Arrays
from targets.tflite_tools import parse_tflite, rename_tensors
from toolchain.export.exported import Exported, check_input_names, check_weights_size, specs_of
from toolchain.export.locate import export_failed, locate
from toolchain.export.scopes import layer_names
from toolchain.export.silence import captured
from toolchain.export.tflite_fuse import simplify

if TYPE_CHECKING:
    import torch


def export_tflite(
    module: torch.nn.Module, inputs: Arrays, out: Path, channel_last: Collection[str] | None = None
) -> Exported:
    """Export a module to one TFLite file.

    The file's signature has the names of ``inputs`` and the canonical output names, and its tensors are
    named after their layers where the converter tells which. Integers of 64 bits become 32 bits wide.

    Args:
        module: left as it is, exported in evaluation mode.
        inputs: one sample by input name, in the order of ``forward``'s arguments; fixes all shapes.
        out: the file to write.
        channel_last: names of the inputs and outputs that the file takes in NHWC although the module
            has them in NCHW; None for every one of rank 4, as TFLite's kernels expect.

    Raises:
        ConfigError: an input name that is no identifier.
        ModelError: ``forward`` fails on these inputs, or returns something else than tensors.
        UnsupportedError: the converter cannot take an operator, or a shape depends on the data (both
            name the layer), or weights beyond 2 GiB.
        MissingToolError: ``litert_torch`` or ``ai_edge_litert`` is not installed.
        OutputError: the file cannot be written.
    """
    from toolchain.export.modules import run_module

    check_input_names(inputs)
    check_weights_size(module, "TFLite")
    outputs = run_module(module, inputs)
    moved = _channel_last({**inputs, **outputs}, channel_last)
    try:
        data, log = convert_tflite(module, inputs, moved)
    except EdgewrightError:
        raise
    except Exception as error:  # whatever the converter raises
        raise export_failed("TFLite", locate(module, inputs, error, convert_tflite)) from error
    renamed, layers = layer_names(module, parse_tflite(data, out))
    _write(rename_tensors(data, renamed), out)
    return Exported(out, "tflite", specs_of(inputs), specs_of(outputs), moved, layers, log)


def _channel_last(arrays: Arrays, wanted: Collection[str] | None) -> tuple[str, ...]:
    images = [name for name, values in arrays.items() if values.ndim == 4]
    return tuple(images if wanted is None else (name for name in images if name in wanted))


def convert_tflite(module: torch.nn.Module, inputs: Arrays, channel_last: Collection[str] = ()) -> tuple[bytes, str]:
    """The converter itself, and what :mod:`tflite_fuse` makes of its file: bytes and log.

    Raises whatever the converter raises.
    """
    from toolchain.export.modules import ChannelLast, evaluating, to_tensors

    wrapper = ChannelLast(module, channel_last)
    samples = dict(zip(inputs, to_tensors(inputs), strict=True))
    for name in channel_last:
        if name in samples:
            samples[name] = samples[name].permute(0, 2, 3, 1).contiguous()
    with evaluating(wrapper), captured() as log:
        litert_torch = _litert_torch()
        data = bytes(litert_torch.convert(wrapper, sample_kwargs=samples).model_content())
    return simplify(data), log.text


def _litert_torch() -> Any:
    try:
        import litert_torch
    except ImportError as error:
        raise MissingToolError(
            "converting a torch module to TFLite needs the package litert-torch",
            seen=str(error),
            next_step="run: pip install 'edgewright[litert-export]'",
        ) from error
    return litert_torch


def _write(data: bytes, out: Path) -> None:
    partial = out.with_name(f".{out.name}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(out)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"wanted to write {out}", seen=error.strerror or str(error)) from error
