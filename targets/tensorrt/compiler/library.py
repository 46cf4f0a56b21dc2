"""The two Python modules of TensorRT, and which versions of them will do.

TensorRT-RTX compiles without a GPU, for the GPUs that it lists. TensorRT compiles on the GPU that runs the engine. Both
have the same API; networks are strongly typed in both (in TensorRT 10 by a flag, from 11 on always).
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from profiles.errors import ConfigError, MissingToolError


@dataclasses.dataclass(frozen=True)
class Library:
    """One of the two.

    Attributes:
        module: its Python name.
        title: for people.
        least_version: the oldest that has all that is used here.
        install: what to do where it is missing.
    """

    module: str
    title: str
    least_version: str
    install: str


#: TensorRT 10.3 is that of JetPack 6.1; TensorRT-RTX 1.7 is what this was made and tested with.
LIBRARIES: Mapping[str, Library] = MappingProxyType(
    {
        "tensorrt_rtx": Library(
            "tensorrt_rtx",
            "TensorRT-RTX",
            "1.7",
            "run: pip install 'edgewright[tensorrt]' (on a device without Edgewright: pip install tensorrt-rtx-cu13)",
        ),
        "tensorrt": Library(
            "tensorrt",
            "TensorRT",
            "10.3",
            "on a Jetson run: sudo apt install python3-libnvinfer, or use the image of Dockerfile.jetson; elsewhere see"
            " https://docs.nvidia.com/deeplearning/tensorrt/latest/installing-tensorrt/installing.html",
        ),
    }
)


def library(name: str) -> Library:
    """What is known of a library.

    Raises:
        ConfigError: there is no such library.
    """
    if name not in LIBRARIES:
        raise ConfigError("wanted a library", seen=repr(name), allowed=", ".join(LIBRARIES))
    return LIBRARIES[name]


def load_library(name: str) -> Any:
    """The Python module ``name``, of :data:`LIBRARIES`.

    Raises:
        ConfigError: there is no such library.
        MissingToolError: it is not installed, or its shared libraries do not load.
    """
    known = library(name)
    try:
        module = importlib.import_module(known.module)
        vars(module)["ICudaEngine"], vars(module)["__version__"]
    except (ImportError, OSError, RuntimeError, KeyError) as error:
        raise MissingToolError(
            f"wanted {known.title} (the Python module {known.module})",
            seen=_import_failure(known, error),
            next_step=known.install,
        ) from error
    return module


def _import_failure(known: Library, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == known.module:
        return f"not installed for {sys.executable}"
    if isinstance(error, KeyError):
        return f"a module of that name without {error.args[0]}, such as the empty package of the public index"
    return f"{type(error).__name__}: {error}"


def library_version(name: str) -> str:
    """Such as ``1.7.1.116``.

    Raises:
        ConfigError, MissingToolError: as :func:`load_library`.
    """
    return str(load_library(name).__version__)


def version_numbers(text: str) -> tuple[int, ...]:
    """``10.3.0.26`` as ``(10, 3, 0, 26)``; what follows the numbers does not count."""
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(number) for number in found.group().split(".")) if found else ()


def check_version(name: str, version: str, least: str) -> None:
    """Whether an installed version will do.

    Raises:
        MissingToolError: it is older than ``least``.
    """
    known = library(name)
    if version_numbers(version) < version_numbers(least):
        raise MissingToolError(
            f"wanted {known.title} {least} or later",
            seen=version,
            next_step=f"install a newer one; {known.install}",
        )


def networks_are_always_typed(module: Any) -> bool:
    """Whether every network is strongly typed, its flag deprecated or gone: TensorRT 11 and later."""
    return module.__name__ == "tensorrt" and version_numbers(module.__version__) >= (11,)
