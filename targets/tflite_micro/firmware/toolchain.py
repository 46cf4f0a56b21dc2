"""The Arm GNU toolchain on this machine."""

from __future__ import annotations

import functools
import shutil

from profiles.errors import MissingToolError
from targets.execute import run_program

PREFIX = "arm-none-eabi-"
PACKAGES = "gcc-arm-none-eabi libnewlib-arm-none-eabi"


def tool(name: str) -> str:
    """Where ``gcc``, ``objcopy``, ... for Arm without an operating system is.

    Raises:
        MissingToolError: it is not installed.
    """
    path = shutil.which(PREFIX + name)
    if path is None:
        raise MissingToolError(
            f"wanted {PREFIX}{name} to build firmware",
            seen="it is not installed",
            next_step=f"run: sudo apt-get install {PACKAGES}",
        )
    return path


def version() -> str:
    """The compiler in words, as ``arm-none-eabi-gcc 12.2.1``.

    Raises:
        MissingToolError: it is not installed.
    """
    return _version(tool("gcc"))


@functools.cache
def _version(path: str) -> str:
    return f"{PREFIX}gcc {run_program([path, '-dumpfullversion'], timeout=60).stdout.strip()}"
