"""Compiler and linker flags that follow from a device profile."""

from __future__ import annotations

from typing import Any

from profiles.device import Device
from profiles.errors import ConfigError
from profiles.suggest import did_you_mean

#: For everything. Sections per function let the linker drop what a model does not use.
COMMON = (
    *("-std=c99", "-Wall", "-Wextra", "-Werror"),
    *("-ffunction-sections", "-fdata-sections", "-fno-common", "-fno-math-errno"),
    *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fno-ident", "-frandom-seed=edgewright"),
)
#: Kernels and generated code: -O3 slows some kernels down and doubles them in size.
FAST = ("-O2",)
#: What runs once per row or layer, and kernels whose inner loops are written by hand: -O2 makes these larger by a tenth
#: and the networks of MLPerf Tiny faster by 0.4 % at most.
COMPACT = ("-Os",)
#: Start-up code and protocol. A loop that fills memory must not become a call of the memset that it is.
SMALL = ("-Os", "-fno-tree-loop-distribute-patterns", "-fno-jump-tables")

_COMPACT = frozenset(
    {
        *("edgewright_model", "ew_conv", "ew_dense", "ew_dense_dsp", "ew_depthwise", "ew_pointwise", "ew_ring"),
        *("ew_block_dsp", "ew_dot_dsp", "ew_finish_dsp", "ew_softmax"),
    }
)
_CORES = (
    *("cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m35p", "cortex-m55", "cortex-m85"),
    *("cortex-m0", "cortex-m0plus", "cortex-m23"),
)


def is_compact(stem: str) -> bool:
    """Whether a source of the model, named without its suffix, is compiled for size."""
    return stem in _COMPACT or "_mve" in stem


def core_flags(device: Device) -> tuple[str, ...]:
    """Instruction set and calling convention.

    Raises:
        ConfigError: the profile names no core, or none that is known.
    """
    core = device.parameters.get("mcpu")
    if core not in _CORES:
        raise ConfigError(
            f"the profile of {device.name} needs the parameter 'mcpu'",
            seen=repr(core),
            allowed=", ".join(_CORES),
            next_step=did_you_mean(core, _CORES) if isinstance(core, str) else "",
        )
    has_fpu = any(feature.startswith(("fpv", "mve")) for feature in device.cpu.features)
    float_abi = ("-mfloat-abi=hard", "-mfpu=auto") if has_fpu else ("-mfloat-abi=soft",)
    return (f"-mcpu={core}", "-mthumb", *float_abi)


def port_flags(device: Device) -> tuple[str, ...]:
    """The numbers of ``[parameters.port]`` as macros: ``uart_irq = 3`` is ``-DEW_PORT_UART_IRQ=3u``."""
    numbers = {key: value for key, value in port(device).items() if type(value) is int}
    clock = {"tick_hz": int(device.cpu.clock)} if device.cpu.clock else {}
    return tuple(f"-DEW_PORT_{key.upper()}={value}u" for key, value in sorted({**clock, **numbers}.items()))


def port_sources(device: Device) -> tuple[str, ...]:
    """The C files of the device's port, below ``kernels/cortex_m/firmware``."""
    return tuple(port(device)["sources"])


def port(device: Device) -> dict[str, Any]:
    """The table ``[parameters.port]``.

    Raises:
        ConfigError: the profile has none.
    """
    table = device.parameters.get("port")
    if not isinstance(table, dict) or not isinstance(table.get("sources"), list):
        raise ConfigError(
            f"the profile of {device.name} needs the table [parameters.port] with 'sources'",
            seen=repr(table),
            allowed="C files below kernels/cortex_m/firmware, and numbers for them",
        )
    return table


LINK = ("-nostdlib", "-Wl,--gc-sections,--build-id=none,--fatal-warnings,--no-warn-rwx-segments")
