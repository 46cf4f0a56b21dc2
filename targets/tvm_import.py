"""TVM's package, imported without PyTorch, for the targets that compile with it."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from profiles.errors import MissingToolError


def tvm_package(what: str, extra: str) -> Any:
    """``tvm``; in the first call of a process, import it and what reads ONNX.

    TVM's foreign function interface imports PyTorch wherever it is installed, which takes twice as long as all the
    rest and serves only to pass PyTorch's tensors around; it may even compile an extension for that.

    Args:
        what: needs it, for the message.
        extra: of our package, that has it.

    Raises:
        MissingToolError: it is not installed.
    """
    os.environ.setdefault("TVM_FFI_DISABLE_TORCH_C_DLPACK", "1")
    try:
        with _hidden("torch"):
            importlib.import_module("tvm.relax.frontend.onnx")
    except ImportError as error:
        raise MissingToolError(
            f"{what} needs the package apache-tvm",
            seen=str(error),
            next_step=f"run: pip install 'edgewright[{extra}]'",
        ) from error
    return sys.modules["tvm"]


@contextlib.contextmanager
def _hidden(name: str) -> Iterator[None]:
    """As if a package were not installed, unless it was imported before."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
