"""From the bytes of an engine to an engine on the GPU, or to an error that says what to do. Travels to the device."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from profiles.errors import (
    EdgewrightError,
    MissingToolError,
    ToolCrashError,
    UnsupportedError,
    VerificationError,
)
from targets.tensorrt.compiler.library import library
from targets.tensorrt.compiler.messages import ERROR, INFO, message_error, said, uncollected

_AGAIN = "build or copy the bundle again; what this device compiled itself: edgewright-runtime build BUNDLE --rebuild"
_DRIVER = "update NVIDIA's driver, and look at it with: nvidia-smi"
#: ``EngineInvalidityDiagnostics``, a set of bits: the first that is set says most.
_INVALID: tuple[tuple[int, type[EdgewrightError], str, str], ...] = (
    (1, VerificationError, "it was compiled with another version of the library", _AGAIN),
    (2, VerificationError, "it was compiled for another compute capability than this GPU's", _AGAIN),
    (4, MissingToolError, "NVIDIA's driver is older than the one it was compiled for", _DRIVER),
    (8, MissingToolError, "the CUDA runtime is older than the one it was compiled for", "update the library"),
    (16, UnsupportedError, "the GPU has too little memory for it", "take a smaller batch, or a smaller model"),
    (32, VerificationError, "it is damaged, or no engine", _AGAIN),
    (64, ToolCrashError, "CUDA failed while it was looked at", "run: nvidia-smi"),
)
#: Below this no file is an engine: the header alone has 64 bytes (``Runtime.engine_header_size``).
_LEAST_BYTES = 64


def deserialize(module: Any, path: Path, log: Any, *, dla_core: int | None = None) -> tuple[Any, Any]:
    """The runtime and the engine; the runtime must be kept as long as the engine.

    Args:
        module: ``tensorrt`` or ``tensorrt_rtx``.
        path: of the engine.
        log: from :func:`targets.tensorrt.compiler.messages.make_log`.
        dla_core: of the plan.

    Raises:
        VerificationError: the file is missing, damaged, or for another version or GPU.
        MissingToolError: the driver is too old.
        UnsupportedError: the GPU has too little memory.
        ToolCrashError: whatever else made the library refuse.
    """
    wanted = f"wanted to load the engine {path.name} with {library(module.__name__).title} {module.__version__}"
    runtime = _runtime(module, log, wanted)
    if dla_core is not None:
        runtime.DLA_core = dla_core
    with _bytes_of(path, wanted) as content, memoryview(content) as view:
        _check(module, runtime, content, wanted, log)
        engine = runtime.deserialize_cuda_engine(view)
    if engine is None:
        raise refusal(wanted, log)
    return runtime, engine


def refusal(wanted: str, log: Any, since: int = 0) -> EdgewrightError:
    """The error for something that the library refused, from what it logged, of which ``since`` is too old."""
    return message_error(wanted, said(log.messages[since:], ERROR))


def _runtime(module: Any, log: Any, wanted: str) -> Any:
    try:
        with uncollected():
            runtime = module.Runtime(log)
    except TypeError as error:  # pybind11's word for a factory that returned nothing
        raise message_error(wanted, [*said(log.messages, ERROR), str(error)]) from error
    return runtime


def _bytes_of(path: Path, wanted: str) -> mmap.mmap:
    """The file, mapped instead of read: engines have hundreds of megabytes."""
    try:
        with path.open("rb") as stream:
            size = path.stat().st_size
            if size < _LEAST_BYTES:
                raise VerificationError(wanted, seen=f"{size} bytes", allowed="a serialized engine", next_step=_AGAIN)
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise VerificationError(wanted, seen=f"{path}: {error.strerror}", next_step=_AGAIN) from error


def _check(module: Any, runtime: Any, content: mmap.mmap, wanted: str, log: Any) -> None:
    """Ask the library for its opinion before it works with the bytes, where it gives one (TensorRT-RTX).

    Raises:
        EdgewrightError: by the bit that it sets.
    """
    if not hasattr(runtime, "get_engine_validity"):
        return
    before = len(log.messages)
    verdict, bits = runtime.get_engine_validity(content[: runtime.engine_header_size])
    if verdict != module.EngineValidity.INVALID:
        return
    words = said(log.messages[before:], INFO)
    for bit, kind, meaning, next_step in _INVALID:
        if int(bits) & bit:
            raise kind(wanted, seen=_with_words(meaning, words), next_step=next_step)
    raise message_error(wanted, words)


def _with_words(meaning: str, words: Sequence[str]) -> str:
    return f"{meaning} ({words[-1].strip()})" if words else meaning
