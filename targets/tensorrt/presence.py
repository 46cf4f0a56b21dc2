"""Whether this machine has the GPU that a device's engines are for. The driver is asked in a process apart."""

from __future__ import annotations

import functools
import importlib.util

from profiles.device import Device
from profiles.errors import EdgewrightError
from targets import execute
from targets.tensorrt.device import plan_for
from targets.tensorrt.gpu.cuda import can_load
from targets.tensorrt.gpu.gpu import Gpu, check_driver
from targets.tensorrt.plan import BuildPlan

_SECONDS = 60.0


def why_absent(device: Device) -> str:
    """Why this machine cannot run bundles for that device; empty when it can.

    A sentence without a full stop. Fast where there is no driver; else a child process asks the driver, once.

    Raises:
        ConfigError: the device profile does not say what its engines are for.
    """
    reason = can_load()
    if reason:
        return f"no NVIDIA driver on this machine ({reason})"
    plan = plan_for(device, "fp32")
    found = _ask()
    if isinstance(found, str):
        return found
    return _misfit(device, plan, found) or _cannot_serve(plan.library, found)


@functools.cache
def _ask() -> Gpu | str:
    """What a child process finds, or why nothing: a driver that crashes does not take us along."""
    try:
        event = execute.converse(execute.python_argv("targets.tensorrt.gpu.gpu"), timeout=_SECONDS)
    except EdgewrightError as error:
        return _in_words(error)
    return Gpu(**event["gpu"])


def _misfit(device: Device, plan: BuildPlan, gpu: Gpu) -> str:
    if gpu.compute_capability in plan.compute_capabilities:
        return ""
    return (
        f"this machine's {gpu.name} has compute capability {gpu.compute_capability},"
        f" and engines for {device.name} are for {' and '.join(plan.compute_capabilities)}"
    )


def _cannot_serve(library: str, gpu: Gpu) -> str:
    """Why the library cannot use the GPU here."""
    if importlib.util.find_spec(library) is None:
        return f"the Python package {library} is not installed on this machine"
    try:
        check_driver(gpu, library)
    except EdgewrightError as error:
        return _in_words(error)
    return ""


def _in_words(error: EdgewrightError) -> str:
    return f"{error.wanted} ({error.seen})" if error.seen else error.wanted
