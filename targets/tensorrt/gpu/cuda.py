"""The CUDA driver API through ctypes: no package is needed but NVIDIA's driver. Travels to the device."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any

from targets.tensorrt.gpu.cuda_errors import driver_error, no_function, no_library
from targets.tensorrt.gpu.cuda_types import LIBRARY, PROTOTYPES, Device, Handle


class Driver:
    """The functions of a loaded driver, by their symbols.

    Raises:
        MissingToolError: it lacks a function that we need.
    """

    def __init__(self, library: Any) -> None:
        self.functions: dict[str, Callable[..., int]] = {}
        for name, arguments in PROTOTYPES.items():
            try:
                function = getattr(library, name)
            except AttributeError as error:
                raise no_function(name) from error
            function.argtypes, function.restype = list(arguments), ctypes.c_int
            self.functions[name] = function

    def call(self, name: str, *arguments: Any) -> None:
        """Call one function.

        Raises:
            EdgewrightError: it returned another code than CUDA_SUCCESS; see ``cuda_errors.py`` for the classes.
        """
        self.check(name, self.functions[name](*arguments))

    def check(self, name: str, code: int) -> None:
        """Raise what a code means, unless it is 0."""
        if code:
            raise driver_error(name, code, self._word("cuGetErrorName", code), self._word("cuGetErrorString", code))

    def get(self, name: str, kind: Any, *arguments: Any) -> Any:
        """The value that a function writes to its first argument, which points to a ``kind``."""
        value = kind()
        self.call(name, ctypes.byref(value), *arguments)
        return value if isinstance(value, ctypes.Structure) else value.value

    def release(self, name: str, handle: Any) -> None:
        """Give something back. The code is of no use: after a kernel failed, every call returns that failure."""
        self.functions[name](handle)

    def _word(self, name: str, code: int) -> str:
        text = ctypes.c_char_p()
        if self.functions[name](code, ctypes.byref(text)) or text.value is None:
            return ""
        return text.value.decode(errors="replace")


def can_load(name: str = LIBRARY) -> str:
    """Why the driver's library cannot be loaded, or an empty string. Starts nothing, and takes no GPU."""
    try:
        ctypes.CDLL(name)
    except OSError as error:
        found = "cannot open shared object file" not in str(error)
        return str(error) if found else f"{name} was not found"
    return ""


@functools.cache
def load_driver(name: str = LIBRARY) -> Driver:
    """The driver, initialised, once in a process.

    Raises:
        MissingToolError: there is none, it is too old, it does not fit its kernel module, or there is no GPU.
        EdgewrightError: for what else ``cuInit`` returns.
    """
    reason = can_load(name)
    if reason:
        raise no_library(reason)
    driver = Driver(ctypes.CDLL(name))
    driver.call("cuInit", 0)
    return driver


class PrimaryContext:
    """The context that the CUDA runtime inside of TensorRT uses too; current on this thread while inside."""

    def __init__(self, driver: Driver, device: int) -> None:
        self._driver, self._device = driver, Device(device)

    def __enter__(self) -> PrimaryContext:
        handle = self._driver.get("cuDevicePrimaryCtxRetain", Handle, self._device)
        try:
            self._driver.call("cuCtxSetCurrent", handle)
        except BaseException:
            self._driver.release("cuDevicePrimaryCtxRelease_v2", self._device)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._driver.release("cuCtxSetCurrent", None)
        self._driver.release("cuDevicePrimaryCtxRelease_v2", self._device)
