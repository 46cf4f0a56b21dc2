"""Whether this machine can run a bundle's code. Travels to the device."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from profiles.detect import detect_hardware
from profiles.errors import UnsupportedError
from profiles.machine_files import normal_arch

_LEVELS = ("", "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4")


def is_native(options: Mapping[str, Any]) -> bool:
    """Whether the code is for this machine's architecture.

    Args:
        options: of the bundle: ``arch``, ``isa``, ``features``.

    Raises:
        UnsupportedError: it is, and this processor lacks instructions that it uses.
    """
    if normal_arch(platform.machine()) != options["arch"]:
        return False
    cpu = detect_hardware()["cpu"]
    lacks = missing(options, str(cpu.get("isa", "")), cpu.get("features", ()))
    if lacks:
        raise UnsupportedError(
            f"the code was compiled for {options['isa'] or options['arch']}",
            seen=f"this processor lacks {lacks}",
            next_step="build for a device profile of this machine, such as local-cpu",
        )
    return True


def missing(options: Mapping[str, Any], isa: str, features: Any) -> str:
    """What a processor lacks, in words; empty when it has everything."""
    wanted = str(options["isa"])
    if wanted in _LEVELS and isa in _LEVELS and _LEVELS.index(wanted) > _LEVELS.index(isa):
        return wanted
    return ", ".join(name for name in options["features"] if name not in features)
