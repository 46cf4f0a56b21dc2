"""Model files from elsewhere: checked, then brought into the form that the targets take.

What a file must pass before anything runs it: it exists, it is sound, its weights are finite, all of
its shapes are fixed. Reading one never runs it; :func:`toolchain.export.golden.with_golden` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from profiles.errors import ConfigError
from targets.base import ExportedModel
from toolchain.export.foreign_onnx import open_onnx
from toolchain.export.foreign_tflite import open_tflite

__all__ = ["open_foreign", "open_onnx", "open_tflite"]

_SUFFIXES = (".onnx", ".tflite")


def open_foreign(
    path: Path, fixed: Mapping[str, tuple[int, ...]] | None = None, out: Path | None = None
) -> ExportedModel:
    """Open a ``.onnx`` or ``.tflite`` file by its suffix; see :func:`open_onnx` and :func:`open_tflite`.

    Raises:
        ConfigError: another suffix, or what the two raise.
    """
    if path.suffix == ".onnx":
        return open_onnx(path, fixed, out)
    if path.suffix == ".tflite":
        return open_tflite(path, fixed)
    raise ConfigError(
        f"wanted a model file in {path}", seen=f"the suffix '{path.suffix}'", allowed=", ".join(_SUFFIXES)
    )
