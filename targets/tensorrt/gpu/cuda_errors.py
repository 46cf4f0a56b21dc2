"""What the CUDA driver's error codes mean for a user, and what to do next. Travels to the device.

Codes and names: CUDA Driver API reference, data types used by the CUDA driver, ``enum CUresult``.
"""

from __future__ import annotations

import dataclasses

from profiles.errors import EdgewrightError, MissingToolError, ToolCrashError, UnreachableError, UnsupportedError

OUT_OF_MEMORY = 2
NO_DEVICE = 100
#: ``CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED`` to ``CUDA_ERROR_CAPTURED_EVENT``: a stream that cannot become a graph.
CAPTURE_ERRORS = range(900, 910)


@dataclasses.dataclass(frozen=True)
class Meaning:
    """Of one code: the class of error, the sentence, and the next step."""

    kind: type[EdgewrightError]
    wanted: str
    next_step: str


_CONTAINER = "start a container with --gpus all (on a Jetson with --runtime nvidia)"
_DRIVER = (
    f"{_CONTAINER}; on the machine itself install NVIDIA's driver (on a Jetson: flash JetPack), restart, and check that"
    " nvidia-smi runs"
)
#: A Jetson's driver says 100, 801 or 999 to users who may not open its devices (NVIDIA/NemoClaw#4231, #5018, #8910).
_GROUPS = (
    "on a Jetson the user must be in the groups of /dev/nvmap and /dev/dri/renderD128"
    " (docker run --group-add with their numbers: stat -c %g FILE)"
)
_REBUILD = "build the bundle again for this GPU; compute-sanitizer shows which kernel it was"
_BROKEN = Meaning(ToolCrashError, "the GPU stopped while it ran the engine", _REBUILD)

_MEANINGS: dict[int, Meaning] = {
    OUT_OF_MEMORY: Meaning(
        UnsupportedError,
        "the GPU has too little free memory",
        "end other programs on the GPU (nvidia-smi lists them), or take a smaller batch or a smaller model",
    ),
    34: Meaning(MissingToolError, "wanted NVIDIA's driver, and found the stub that programs are linked with", _DRIVER),
    36: Meaning(MissingToolError, "NVIDIA's driver is too old", "update NVIDIA's driver"),
    46: Meaning(
        UnreachableError,
        "the GPU is taken: its compute mode lets one process in",
        "wait for the other process, or run: sudo nvidia-smi -c DEFAULT",
    ),
    NO_DEVICE: Meaning(
        MissingToolError,
        "wanted an NVIDIA GPU",
        f"{_CONTAINER}; {_GROUPS}; check CUDA_VISIBLE_DEVICES",
    ),
    101: Meaning(MissingToolError, "wanted an NVIDIA GPU", "check CUDA_VISIBLE_DEVICES"),
    209: Meaning(UnsupportedError, "the engine has no code for this GPU", "build the bundle again for this GPU"),
    214: Meaning(
        ToolCrashError,
        "the GPU's memory had an error that cannot be corrected",
        "run: nvidia-smi -q -d ECC; restart the machine, and replace the GPU if it comes again",
    ),
    700: Meaning(ToolCrashError, "a kernel of the engine read or wrote where it must not", _REBUILD),
    702: Meaning(
        ToolCrashError,
        "a kernel took longer than the display's watchdog allows",
        "use a GPU without a display, or a smaller batch",
    ),
    800: Meaning(
        UnreachableError, "this user may not use the GPU", f"check the permissions of /dev/nvidia*; {_GROUPS}"
    ),
    801: Meaning(UnreachableError, "the driver does not do that here, or not for this user", _GROUPS),
    802: Meaning(
        UnreachableError,
        "the GPU's system is not ready",
        "machines with NVSwitch need its service: sudo systemctl start nvidia-fabricmanager",
    ),
    803: Meaning(
        MissingToolError,
        "NVIDIA's kernel module and libcuda.so.1 are of different versions",
        "restart the machine after the driver's update; in a container, remove libcuda.so.1 from the image",
    ),
    804: Meaning(
        MissingToolError,
        "this GPU cannot use the cuda-compat package",
        "remove cuda-compat from LD_LIBRARY_PATH, and update NVIDIA's driver instead",
    ),
    999: Meaning(
        ToolCrashError,
        "the CUDA driver failed for a reason that it does not name",
        f"run: nvidia-smi; sudo modprobe nvidia_uvm; restart the machine after it slept; {_GROUPS}",
    ),
    **dict.fromkeys((701, 710, *range(714, 722)), _BROKEN),
}


def driver_error(function: str, code: int, name: str, text: str) -> EdgewrightError:
    """The error for a call that returned ``code``.

    Args:
        function: that was called.
        code: what it returned, not 0.
        name, text: the driver's own words, empty where it has none.
    """
    known = _MEANINGS.get(code) or Meaning(ToolCrashError, "the CUDA driver refused a call", "--debug shows more")
    said = f"{function}: {name or 'an unknown error'} ({code})" + (f", {text}" if text else "")
    return known.kind(known.wanted, seen=said, next_step=known.next_step)


def no_library(reason: str) -> MissingToolError:
    """There is no driver to load."""
    return MissingToolError("wanted NVIDIA's driver", seen=reason, next_step=_DRIVER)


def no_function(name: str) -> MissingToolError:
    """The driver is older than the function."""
    return MissingToolError(
        "NVIDIA's driver is too old",
        seen=f"it has no {name}",
        allowed="drivers for CUDA 11.4 or newer",
        next_step="update NVIDIA's driver",
    )
