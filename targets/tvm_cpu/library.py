"""The interface ``kernels/tvm_host/include/ew_tvm.h`` of a loaded library. Travels to the device."""

from __future__ import annotations

import ctypes
from pathlib import Path

from profiles.errors import ToolCrashError

_SIGNATURES = {
    "ew_tvm_input": (ctypes.c_void_p, [ctypes.c_int32]),
    "ew_tvm_output": (ctypes.c_void_p, [ctypes.c_int32]),
    "ew_tvm_input_bytes": (ctypes.c_int64, [ctypes.c_int32]),
    "ew_tvm_output_bytes": (ctypes.c_int64, [ctypes.c_int32]),
    "ew_tvm_run": (ctypes.c_int32, []),
    "ew_tvm_run_timed": (ctypes.c_int32, [ctypes.POINTER(ctypes.c_double)]),
    "ew_tvm_steps": (ctypes.c_int32, []),
    "ew_tvm_error": (ctypes.c_char_p, []),
}


def load(path: Path) -> ctypes.CDLL:
    """The library with its functions' types.

    Raises:
        ToolCrashError: it cannot be loaded.
    """
    try:
        library = ctypes.CDLL(str(path.resolve()))
    except OSError as error:
        raise ToolCrashError(
            f"wanted to load {path.name}",
            seen=str(error),
            next_step="the program 'model' of the same bundle is linked statically, and needs no C library there",
        ) from error
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
