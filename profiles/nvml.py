"""NVML, the management library of NVIDIA's driver: how it is opened and asked, and what its errors mean here."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from profiles.errors import EdgewrightError, MissingToolError, UnreachableError, UnsupportedError

_DRIVER = "install NVIDIA's driver, until nvidia-smi lists the card"
_PERMISSION = "run as a user who may open /dev/nvidiactl and /dev/nvidia0"
_TEGRA = "a Jetson has none (its rails do), nor has a virtual GPU or a MIG slice"
#: NVML return code (nvml.h, nvmlReturn_t) to error class, what it means here, and the next step.
MEANINGS: Mapping[int, tuple[type[EdgewrightError], str, str]] = {
    1: (UnreachableError, "the library was shut down in between", "measure again; was the driver reloaded?"),
    2: (MissingToolError, "no card of that number", "run: nvidia-smi -L"),
    3: (UnsupportedError, "the card does not tell: it has no energy counter or sensor", _TEGRA),
    4: (MissingToolError, "no permission", _PERMISSION),
    6: (MissingToolError, "no card of that number", "run: nvidia-smi -L"),
    9: (MissingToolError, "the driver is not loaded", _DRIVER),
    12: (MissingToolError, "libnvidia-ml.so is not there: no NVIDIA driver", _DRIVER),
    13: (UnsupportedError, "the driver is too old to tell", "update NVIDIA's driver"),
    15: (UnreachableError, "the card fell off the bus", "restart the machine"),
    16: (UnreachableError, "the card must be reset", "restart the machine"),
    18: (MissingToolError, "library and driver have different versions", "restart the machine after a driver update"),
}


class Nvml:
    """The library, opened and closed; a context manager.

    Args:
        library: the module ``pynvml`` (package nvidia-ml-py) or one with the same functions; None to import it.
    """

    def __init__(self, library: Any = None) -> None:
        self.library = library

    def open(self) -> None:
        """Load the library; every ``open`` needs its ``close``.

        Raises:
            MissingToolError: no package, no driver, no card or no permission.
        """
        if self.library is None:
            self.library = _pynvml()
        self.ask("nvmlInit")

    def close(self) -> None:
        """Let the library go; a driver that is gone already has nothing more to say."""
        with contextlib.suppress(EdgewrightError):
            self.ask("nvmlShutdown")

    def __enter__(self) -> Nvml:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def ask(self, function: str, *arguments: Any) -> Any:
        """Call one function of the library.

        Raises:
            EdgewrightError: of the class that :data:`MEANINGS` gives the return code.
        """
        try:
            return getattr(self.library, function)(*arguments)
        except self.library.NVMLError as error:
            raise self.error(function, error) from error

    def ask_or_none(self, function: str, *arguments: Any) -> Any:
        """The same, but None where the card or the driver does not tell, or the package lacks the function."""
        if not hasattr(self.library, function):
            return None
        try:
            return getattr(self.library, function)(*arguments)
        except self.library.NVMLError:
            return None

    def constant(self, name: str) -> int:
        """One of the library's numbers."""
        return int(getattr(self.library, name))

    @staticmethod
    def error(function: str, error: Any) -> EdgewrightError:
        """What NVML raised, in our words."""
        otherwise = (UnreachableError, f"NVML says: {error}", "run: nvidia-smi")
        kind, seen, step = MEANINGS.get(getattr(error, "value", 0), otherwise)
        return kind(f"wanted to ask the driver of the NVIDIA GPU ({function})", seen=seen, next_step=step)


def _pynvml() -> Any:
    try:
        import pynvml
    except ImportError as error:
        raise MissingToolError(
            "wanted NVML for Python", seen="no module pynvml", next_step="run: pip install nvidia-ml-py"
        ) from error
    return pynvml
