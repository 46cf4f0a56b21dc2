"""From a device profile to a build plan: which library, for which GPUs, with which switches."""

from __future__ import annotations

from collections.abc import Mapping

from profiles.device import Device
from profiles.errors import ConfigError, UnsupportedError
from targets.tensorrt.compiler.library import LIBRARIES
from targets.tensorrt.parameters import Parameters
from targets.tensorrt.plan import BuildPlan

#: What TensorRT-RTX 1.7 lists in ``ComputeCapability``; the installed version has the last word when it compiles.
AHEAD_OF_TIME = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")
#: The first compute capability with hardware for a number format (NVIDIA TensorRT documentation, "Support Matrix").
FIRST_WITH: Mapping[str, tuple[int, int]] = {"fp8": (8, 9), "bf16": (8, 0)}


def plan_for(device: Device, precision: str) -> BuildPlan:
    """How engines for a device are built.

    Args:
        device: with ``compute_capability`` among its parameters.
        precision: of the network.

    Raises:
        ConfigError: a parameter is missing or of the wrong kind.
        UnsupportedError: a compute capability that the library does not have, or a number format that the GPU has not.
    """
    said = Parameters(device)
    own = said.capability("compute_capability")
    library = said.one_of("library", tuple(LIBRARIES), "tensorrt_rtx" if own in AHEAD_OF_TIME else "tensorrt")
    capabilities = said.capabilities("engines_for", (own,))
    said.one_of("placement", ("default", "search"), "default")
    _check_library(device, library, capabilities)
    _check_own(said, own, capabilities)
    _check_format(device, precision, capabilities)
    return BuildPlan(
        library=library,
        precision=precision,
        compute_capabilities=capabilities,
        batches=said.batches("batches", (1,)),
        optimization_level=said.number("optimization_level", 3, 0, 5),
        workspace=said.bytes("workspace"),
        sparse_weights=said.flag("sparse_weights", False),
        tf32=False,
        dla_core=_dla_core(said, library),
        least_version=LIBRARIES[library].least_version,
    )


def _check_library(device: Device, library: str, capabilities: tuple[str, ...]) -> None:
    others = [capability for capability in capabilities if capability not in AHEAD_OF_TIME]
    if library == "tensorrt_rtx" and others:
        raise UnsupportedError(
            f"wanted engines for '{device.name}' ahead of time",
            seen=f"compute capability {', '.join(others)}, which TensorRT-RTX does not list",
            allowed=", ".join(AHEAD_OF_TIME),
            next_step='set parameters.library = "tensorrt" in the device section: the device then builds its engine',
        )
    if library == "tensorrt" and len(capabilities) > 1:
        raise ConfigError(
            f"wanted engines for several GPUs of '{device.name}'",
            seen=f"engines_for = {', '.join(capabilities)}, with the library tensorrt",
            allowed="one compute capability: TensorRT builds on the GPU that runs the engine",
            next_step='leave engines_for out, or set parameters.library = "tensorrt_rtx"',
        )


def _check_own(said: Parameters, own: str, capabilities: tuple[str, ...]) -> None:
    if own not in capabilities:
        raise said.wrong(
            "engines_for",
            f"{', '.join(capabilities)}, and the GPU has {own}",
            f"a list with {own} in it: set both keys",
        )


def _check_format(device: Device, precision: str, capabilities: tuple[str, ...]) -> None:
    first = FIRST_WITH.get(precision, (0, 0))
    without = [one for one in capabilities if tuple(int(part) for part in one.split(".")) < first]
    if without:
        raise UnsupportedError(
            f"wanted {precision} on '{device.name}'",
            seen=f"compute capability {', '.join(without)}",
            allowed=f"{first[0]}.{first[1]} and later",
            next_step='choose precision = "int8" or "fp16"',
        )


def _dla_core(said: Parameters, library: str) -> int | None:
    """The accelerator to use, or None for the GPU.

    Raises:
        ConfigError: the chip has no such core, or the library cannot use it.
    """
    core = said.number("dla_core", -1, -1, 64)
    if core < 0:
        return None
    cores = said.number("dla_cores", 0, 0, 64)
    if core >= cores or library != "tensorrt":
        why = "TensorRT-RTX has no DLA" if library != "tensorrt" else f"{cores} DLA cores on this chip"
        allowed = "-1 (the GPU)" + (f", 0 to {cores - 1}" if cores and library == "tensorrt" else "")
        raise said.wrong("dla_core", f"{core}; {why}", allowed)
    return core
