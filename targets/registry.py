"""The one list of backends."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
from shutil import which

from profiles.device import Device
from profiles.errors import ConfigError, MissingToolError, UnsupportedError
from profiles.suggest import did_you_mean
from targets.base import Target

#: Name to ``module:class``; the module is imported only when the target is used.
TARGETS = {
    "onnxruntime": "targets.onnxruntime.target:OnnxRuntimeTarget",
    "openvino": "targets.openvino.target:OpenVinoTarget",
    "litert": "targets.litert.target:LiteRtTarget",
    "tensorrt": "targets.tensorrt.target:TensorRtTarget",
    "tflite_micro": "targets.tflite_micro.target:TfliteMicroTarget",
    "tvm_cpu": "targets.tvm_cpu.target:TvmCpuTarget",
    "pytorch": "targets.pytorch.target:PyTorchTarget",
    "tvm_fpga": "targets.tvm_fpga.target:TvmFpgaTarget",
    "null": "targets.null.target:NullTarget",
}

#: The plain framework: it is built beside other bundles to compare them with, and never chosen by itself.
BASELINE = "pytorch"


def target_names() -> list[str]:
    """All backends of this release, in the order of the documentation."""
    return list(TARGETS)


def load_target(name: str) -> Target:
    """The backend of that name.

    Raises:
        ConfigError: there is none in this release.
    """
    if name not in TARGETS:
        raise ConfigError(
            f"wanted the target '{name}'",
            seen="not in this release",
            allowed=", ".join(TARGETS),
            next_step=did_you_mean(name, TARGETS) or "run: edgewright targets",
        )
    module, _, attribute = TARGETS[name].partition(":")
    target: Target = getattr(importlib.import_module(module), attribute)()
    return target


def missing_packages(target: Target) -> list[str]:
    """Distribution names that the target needs and that are not installed."""
    return [name for name in target.packages if installed_version(name) is None]


def installed_version(distribution: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def require_packages(target: Target) -> None:
    """Refuse to go on without the target's packages.

    Raises:
        MissingToolError: with the command that installs them.
    """
    absent = [
        f"{program} (apt-get install {package})" for program, package in target.programs.items() if not which(program)
    ]
    if absent:
        raise MissingToolError(
            f"the target '{target.name}' needs {', '.join(target.programs)}",
            seen=f"not installed: {', '.join(absent)}",
            next_step=f"on Debian or Ubuntu run: sudo apt-get install {' '.join(target.programs.values())}",
        )
    missing = missing_packages(target)
    if missing:
        raise MissingToolError(
            f"the target '{target.name}' needs {', '.join(target.packages)}",
            seen=f"not installed: {', '.join(missing)}",
            next_step=f"run: pip install 'edgewright[{target.name.replace('_', '-')}]'",
        )


def _require_programs(target: Target) -> None:
    absent = [program for program in target.programs if not which(program)]
    if absent:
        raise MissingToolError(
            f"the target '{target.name}' needs {', '.join(target.programs)}",
            seen=f"not installed: {', '.join(absent)}",
            next_step=f"on Debian or Ubuntu run: sudo apt-get install {' '.join(target.programs[p] for p in absent)}",
        )


def tool_versions(target: Target) -> dict[str, str]:
    """Versions of the target's packages and programs, for the manifest and the cache key."""
    packages = {name: installed_version(name) or "not installed" for name in target.packages}
    return {**packages, **{name: program_version(name) for name in (*target.programs, *target.helpers)}}


@functools.cache
def program_version(name: str) -> str:
    """The first line that a program says of its version."""
    from targets.execute import run_program

    if not which(name):
        return "not installed"
    lines = run_program([name, "--version"], timeout=20).stdout.splitlines()
    return lines[0].strip() if lines else "unknown"


def default_target(device: Device, formats: tuple[str, ...]) -> str:
    """The best of the device's targets that is in this release and reads one of ``formats``.

    A target whose first choice the format is comes before one that merely accepts it; the device's
    order decides between equals.

    Raises:
        ConfigError: none does.
    """
    present = [name for name in device.targets if name in TARGETS and name != BASELINE]
    ranks = {name: _rank(load_target(name).formats, formats) for name in present}
    able = [name for name in present if ranks[name] is not None]
    if able:
        return min(able, key=lambda name: ranks[name] or 0)
    raise ConfigError(
        f"wanted a target for '{device.name}' that reads {' or '.join(formats)}",
        seen=f"the device's targets: {', '.join(device.targets)}",
        allowed=", ".join(TARGETS),
        next_step='name one with target = "..." under [[device]]'
        if present
        else "this device's backend is not in this release; see: edgewright targets",
    )


def hardware_target(device: Device) -> Target:
    """The first of the device's targets that makes its circuit.

    Raises:
        UnsupportedError: none does.
    """
    found = (load_target(name) for name in device.targets if name in TARGETS)
    if target := next((each for each in found if each.hardware), None):
        return target
    raise UnsupportedError(
        f"wanted to synthesize for {device.name}",
        seen=f"a finished chip, served by {', '.join(device.targets)}",
        allowed=f"a device of {', '.join(name for name in TARGETS if load_target(name).hardware)}",
        next_step="choose an fpga device; see: edgewright devices",
    )


def _rank(reads: tuple[str, ...], given: tuple[str, ...]) -> int | None:
    """Place of the first format of a target that is given; None when it reads none of them."""
    return next((place for place, name in enumerate(reads) if name in given), None)
