"""The GPU of this machine, from the driver alone. Travels to the device."""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import importlib.util
import json
import re
import uuid
from pathlib import Path

from profiles.errors import EdgewrightError, MissingToolError
from targets.tensorrt.gpu.cuda import Driver, load_driver
from targets.tensorrt.gpu.cuda_errors import NO_DEVICE, driver_error
from targets.tensorrt.gpu.cuda_types import (
    ATTRIBUTE_CAPABILITY_MAJOR,
    ATTRIBUTE_CAPABILITY_MINOR,
    ATTRIBUTE_INTEGRATED,
    ATTRIBUTE_MULTIPROCESSORS,
    Device,
    Uuid,
    c_int,
    c_size_t,
)

_VERSION_FILE = "/sys/module/nvidia/version"
_NAME_BYTES = 128


@dataclasses.dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        name: as the driver calls it.
        compute_capability: such as ``8.6``.
        driver: version of NVIDIA's kernel module, such as ``580.65.06``; empty where the system does not tell.
        cuda: the newest CUDA version that the driver serves, such as ``13.0``.
        memory: bytes in all.
        uuid: as ``nvidia-smi -L`` prints it, without ``GPU-``.
        integrated: it shares the processor's memory (Jetson).
        ordinal: of the device among those that CUDA shows.
        multiprocessors: that are switched on; 0 where it is not known. Every Orin is called ``Orin``, and its power
            modes switch some off.
    """

    name: str
    compute_capability: str
    driver: str
    cuda: str
    memory: int
    uuid: str = ""
    integrated: bool = False
    ordinal: int = 0
    multiprocessors: int = 0

    def as_dict(self) -> dict[str, object]:
        """Plain data."""
        return dataclasses.asdict(self)


@functools.cache
def find_gpu(ordinal: int = 0) -> Gpu:
    """The first GPU that CUDA shows (``CUDA_VISIBLE_DEVICES`` chooses).

    Raises:
        MissingToolError: no driver, or no GPU.
        EdgewrightError: the driver cannot be used; the class says why.
    """
    driver = load_driver()
    if driver.get("cuDeviceGetCount", c_int) <= ordinal:
        raise driver_error("cuDeviceGetCount", NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no GPU is visible")
    device = Device(driver.get("cuDeviceGet", Device, ordinal))
    major = _attribute(driver, device, ATTRIBUTE_CAPABILITY_MAJOR)
    minor = _attribute(driver, device, ATTRIBUTE_CAPABILITY_MINOR)
    return Gpu(
        _name(driver, device),
        f"{major}.{minor}",
        driver_version(),
        cuda_version(driver.get("cuDriverGetVersion", c_int)),
        driver.get("cuDeviceTotalMem_v2", c_size_t, device),
        str(uuid.UUID(bytes=bytes(driver.get("cuDeviceGetUuid_v2", Uuid, device).bytes))),
        bool(_attribute(driver, device, ATTRIBUTE_INTEGRATED)),
        ordinal,
        _attribute(driver, device, ATTRIBUTE_MULTIPROCESSORS),
    )


def _attribute(driver: Driver, device: Device, attribute: int) -> int:
    return int(driver.get("cuDeviceGetAttribute", c_int, attribute, device))


def _name(driver: Driver, device: Device) -> str:
    text = ctypes.create_string_buffer(_NAME_BYTES)
    driver.call("cuDeviceGetName", text, _NAME_BYTES, device)
    return text.value.decode(errors="replace")


def cuda_version(number: int) -> str:
    """``cuDriverGetVersion`` counts 1000 * major + 10 * minor: 12060 is 12.6."""
    return f"{number // 1000}.{number % 1000 // 10}"


def driver_version(path: str = _VERSION_FILE) -> str:
    """Of the loaded kernel module; empty where the system does not tell (a Jetson before JetPack 7)."""
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def cuda_of(library: str) -> int | None:
    """The major version of CUDA that a Python package was made for, from the name of its distribution, without import.

    ``tensorrt_rtx_cu13`` is for 13; None where the name does not tell.
    """
    found = importlib.util.find_spec(library)
    if found is None or not found.origin:
        return None
    names = (path.name for path in Path(found.origin).parents[1].glob(f"{library}_cu*.dist-info"))
    majors = (re.match(rf"{library}_cu(\d+)-", name) for name in names)
    return next((int(major[1]) for major in majors if major), None)


def check_driver(gpu: Gpu, library: str) -> None:
    """Whether the driver serves the CUDA version that a library was made for; newer drivers serve all older ones.

    Raises:
        MissingToolError: it is too old.
    """
    wanted = cuda_of(library)
    if wanted is not None and int(gpu.cuda.split(".")[0]) < wanted:
        raise MissingToolError(
            f"NVIDIA's driver is too old for {library}",
            seen=f"driver {gpu.driver or 'of unknown version'}, which serves CUDA {gpu.cuda}",
            allowed=f"a driver for CUDA {wanted} or newer",
            next_step=f"update NVIDIA's driver, or install {library} for an older CUDA",
        )


def main() -> int:
    """Look for the GPU in a process of its own, and answer as ``targets/execute.py`` reads it."""
    try:
        answer = {"event": "result", "gpu": find_gpu().as_dict()}
    except EdgewrightError as error:
        answer = {"event": "error", **error.as_dict()}
    print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    main()
