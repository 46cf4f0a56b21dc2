"""Memory on the GPU and beside it, and how much of it is used. Travels to the device."""

from __future__ import annotations

import ctypes
from types import TracebackType
from typing import Any

import numpy as np

from profiles.errors import EdgewrightError
from profiles.runner import Array
from targets.tensorrt.gpu.cuda import Driver
from targets.tensorrt.gpu.cuda_errors import OUT_OF_MEMORY, driver_error
from targets.tensorrt.gpu.cuda_types import DevicePointer, Handle, HostPointer, c_size_t


class Owned:
    """Something of the driver's that is given back once: on leaving, or by :meth:`close`."""

    def __init__(self, driver: Driver, release: str, handle: Any) -> None:
        self._driver, self._release = driver, release
        self.handle: Any = handle

    def close(self) -> None:
        """Give it back; again is harmless."""
        handle, self.handle = self.handle, None
        if handle is not None:
            self._driver.release(self._release, handle)

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class DeviceMemory(Owned):
    """``size`` bytes on the GPU, at least 256-byte aligned; ``handle`` is the address.

    Raises:
        UnsupportedError: the GPU has too little free memory.
    """

    def __init__(self, driver: Driver, size: int) -> None:
        self.size = size
        address = DevicePointer()
        code = driver.functions["cuMemAlloc_v2"](ctypes.byref(address), size)
        if code == OUT_OF_MEMORY:
            raise _too_little(driver, size)
        driver.check("cuMemAlloc_v2", code)
        super().__init__(driver, "cuMemFree_v2", address.value)


def _too_little(driver: Driver, size: int) -> EdgewrightError:
    """What was asked for, and what there was."""
    free, total = free_memory(driver)
    had = f"{size} bytes wanted, {free} of {total} free"
    return driver_error("cuMemAlloc_v2", OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", had)


class PinnedMemory(Owned):
    """An array in host memory that the GPU's copy engine reaches without a detour.

    ``array`` must not be kept beyond :meth:`close`.
    """

    def __init__(self, driver: Driver, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        size = int(np.prod(shape)) * dtype.itemsize
        super().__init__(driver, "cuMemFreeHost", driver.get("cuMemHostAlloc", HostPointer, size, 0))
        raw = memoryview((ctypes.c_ubyte * size).from_address(self.handle))
        self.array: Array = np.frombuffer(raw, dtype).reshape(shape)


class Tensor:
    """One input or output of an engine: its array on the host, and its place on the GPU."""

    def __init__(self, driver: Driver, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.name = name
        self.size = int(np.prod(shape)) * dtype.itemsize
        self._driver = driver
        self._device = DeviceMemory(driver, self.size)
        try:
            self._pinned = PinnedMemory(driver, shape, dtype)
        except BaseException:
            self._device.close()
            raise

    @property
    def array(self) -> Array:
        """On the host; overwritten by the next :meth:`fetch`."""
        return self._pinned.array

    @property
    def address(self) -> int:
        """On the GPU."""
        return int(self._device.handle)

    def send(self, stream: Handle) -> None:
        """Start copying to the GPU."""
        self._driver.call("cuMemcpyHtoDAsync_v2", self.address, self._pinned.handle, self.size, stream)

    def fetch(self, stream: Handle) -> None:
        """Start copying from the GPU; the array is whole once the stream is done."""
        self._driver.call("cuMemcpyDtoHAsync_v2", self._pinned.handle, self.address, self.size, stream)

    def close(self) -> None:
        """Give both back."""
        self._pinned.close()
        self._device.close()


def free_memory(driver: Driver) -> tuple[int, int]:
    """Bytes of the GPU's memory that are free, and in all; needs a context."""
    free, total = c_size_t(), c_size_t()
    driver.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
    return free.value, total.value


class Watermark:
    """How far the GPU's free memory fell since the beginning, where somebody looked."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._start = self._least = self._last = free_memory(driver)[0]

    def look(self) -> int:
        """Bytes that were taken since the last look, 0 where memory came back."""
        before, self._last = self._last, free_memory(self._driver)[0]
        self._least = min(self._least, self._last)
        return max(before - self._last, 0)

    @property
    def peak(self) -> int:
        """Bytes between the beginning and the lowest look."""
        return self._start - self._least
