"""The kernel's and the firmware's files about a machine, read one fact at a time.

Functions take the root of the file system, so that recorded trees can be read, and give None (or
nothing) where the machine does not say.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from profiles.errors import EdgewrightError

if TYPE_CHECKING:
    from profiles.meters.pmic import Vcgencmd

#: Names of one architecture.
_ARCH = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "armv8l": "aarch64"}
#: Arm's own part numbers in MIDR_EL1 (Linux, arch/arm64/include/asm/cputype.h).
_ARM_PARTS = {
    0xD03: "Cortex-A53", 0xD04: "Cortex-A35", 0xD05: "Cortex-A55", 0xD07: "Cortex-A57", 0xD08: "Cortex-A72",
    0xD09: "Cortex-A73", 0xD0A: "Cortex-A75", 0xD0B: "Cortex-A76", 0xD0C: "Neoverse-N1", 0xD0D: "Cortex-A77",
    0xD40: "Neoverse-V1", 0xD41: "Cortex-A78", 0xD42: "Cortex-A78AE", 0xD44: "Cortex-X1", 0xD46: "Cortex-A510",
    0xD47: "Cortex-A710", 0xD48: "Cortex-X2", 0xD49: "Neoverse-N2", 0xD4D: "Cortex-A715", 0xD4E: "Cortex-X3",
    0xD4F: "Neoverse-V2", 0xD80: "Cortex-A520", 0xD81: "Cortex-A720", 0xD82: "Cortex-X4", 0xD83: "Neoverse-V3AE",
}  # fmt: skip
#: Where the guide mounts the host's device tree in a container.
MOUNTED_DEVICE_TREE = "etc/edgewright/device-tree"
#: The program that sets a Jetson's power mode.
NVPMODEL = "usr/sbin/nvpmodel"
#: One processor's block in /proc/cpuinfo, from Arm's implementer number to the part.
_ARM_BLOCK = re.compile(r"^CPU implementer\s*:\s*0x41\n(?:CPU (?!part).*\n)*CPU part\s*:\s*0x([0-9a-f]+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class CpuClock:
    """One processor's clock: ``current``, ``minimum`` and ``maximum`` in Hz as the governor sets them."""

    cpu: int
    governor: str | None = None
    current: float | None = None
    minimum: float | None = None
    maximum: float | None = None


def content(path: Path) -> str | None:
    """A file's text without white space and zero bytes around it; None when it cannot be read or is empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \t\n") or None
    except OSError:
        return None


def whole_number(path: Path) -> int | None:
    """A file that holds one whole number."""
    found = content(path)
    return int(found) if found and re.fullmatch(r"-?\d+", found) else None


def first(pattern: str, text: str | None) -> str | None:
    """The first group of a pattern's first match, line by line."""
    match = re.search(pattern, text or "", re.MULTILINE)
    return match.group(1).strip() if match else None


def normal_arch(arch: str) -> str:
    """One name per architecture: ``amd64`` is ``x86_64``, ``arm64`` is ``aarch64``."""
    return _ARCH.get(arch.lower(), arch.lower())


def arch(root: Path) -> str:
    """The kernel's architecture (the file is there from Linux 6.1 on)."""
    return normal_arch(content(root / "proc/sys/kernel/arch") or platform.machine())


def cpu_model(root: Path) -> str | None:
    """The processor's own name; on Arm, the names of its kinds of cores."""
    cpuinfo = content(root / "proc/cpuinfo") or ""
    parts = [int(part, 16) for part in _ARM_BLOCK.findall(cpuinfo)]
    known = dict.fromkeys(_ARM_PARTS[part] for part in parts if part in _ARM_PARTS)
    named = first(r"^model name\s*:\s*(.+)$", cpuinfo)
    return named or " + ".join(known) or first(r"^Hardware\s*:\s*(.+)$", cpuinfo)


def device_model(root: Path) -> str | None:
    """The board's name in its device tree."""
    return device_tree(root, "model")


def device_tree(root: Path, name: str) -> str | None:
    """One property of the board's device tree. Docker hides it; a container sees it where the host's was mounted."""
    return content(root / "proc/device-tree" / name) or content(root / MOUNTED_DEVICE_TREE / name)


def virtual(root: Path) -> bool | None:
    """Whether a hypervisor is underneath: the processor's flag (x86), or the name of QEMU's Arm board."""
    flags = first(r"^flags\s*:\s*(.+)$", content(root / "proc/cpuinfo"))
    if flags is not None:
        return "hypervisor" in flags.split()
    return True if device_model(root) == "linux,dummy-virt" else None


def cores(root: Path) -> int | None:
    """Processors that are switched on."""
    return len(re.findall(r"^cpu\d+ ", content(root / "proc/stat") or "", re.MULTILINE)) or None


def ram(root: Path) -> float | None:
    """Bytes of memory that the kernel has."""
    kibibytes = first(r"^MemTotal:\s*(\d+) kB$", content(root / "proc/meminfo"))
    return float(kibibytes) * 1024 if kibibytes else None


def load(root: Path) -> tuple[float, float, float] | None:
    """Averages over 1, 5 and 15 minutes."""
    fields = (content(root / "proc/loadavg") or "").split()
    return (float(fields[0]), float(fields[1]), float(fields[2])) if len(fields) >= 3 else None


def steal(root: Path) -> float | None:
    """Seconds that a hypervisor gave to others: eighth column of the ``cpu`` line, in clock ticks (proc(5))."""
    fields = (first(r"^cpu\s+(.+)$", content(root / "proc/stat")) or "").split()
    return int(fields[7]) / os.sysconf("SC_CLK_TCK") if len(fields) > 7 else None


def clocks(root: Path) -> tuple[CpuClock, ...]:
    """Of every processor that has a governor, in order."""
    folders = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq")
    return tuple(sorted((_clock(folder) for folder in folders), key=lambda clock: clock.cpu))


def _clock(folder: Path) -> CpuClock:
    kilohertz = [whole_number(folder / f"scaling_{name}_freq") for name in ("cur", "min", "max")]
    current, minimum, maximum = (None if value is None else value * 1e3 for value in kilohertz)
    return CpuClock(int(folder.parent.name[3:]), content(folder / "scaling_governor"), current, minimum, maximum)


def temperatures(root: Path) -> dict[str, float]:
    """Degrees Celsius by the zone's type; zones that do not answer are left out."""
    found: dict[str, float] = {}
    zones = (root / "sys/class/thermal").glob("thermal_zone*")
    for zone in sorted(zones, key=lambda path: (len(path.name), path.name)):
        millidegrees = whole_number(zone / "temp")
        name = content(zone / "type") or zone.name
        if millidegrees is not None:
            found[f"{name} ({zone.name})" if name in found else name] = millidegrees * 1e-3
    return found


def throttle_count(root: Path) -> int | None:
    """Thermal throttling events of all cores since the start (x86)."""
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
    counts = [count for count in map(whole_number, files) if count is not None]
    return sum(counts) if counts else None


def throttled_bits(root: Path, run: Vcgencmd) -> int | None:
    """What a Raspberry Pi's firmware says of throttling; other machines are not asked."""
    if "Raspberry Pi" not in (device_model(root) or ""):
        return None
    try:
        bits = first(r"^throttled=0x([0-9a-fA-F]+)$", run("get_throttled").strip())
    except EdgewrightError:
        return None
    return int(bits, 16) if bits else None


def power_mode(root: Path, ask: Callable[[], str] | None = None) -> str | None:
    """A Jetson's mode: its number from nvpmodel's state file, its name from nvpmodel's configuration.

    Where the state file cannot be read, the program is asked (``nvpmodel -q``), on a Jetson alone.
    """
    mode = first(r"^pmode:0*(\d+)", content(root / "var/lib/nvpmodel/status"))
    name = first(rf"POWER_MODEL\s+ID={mode}\s+NAME=(\S+)", content(root / "etc/nvpmodel.conf"))
    if mode is None and (root / NVPMODEL).exists():
        answer = ask() if ask else nvpmodel(root / NVPMODEL)
        mode, name = first(r"^(\d+)$", answer), first(r"^NV Power Mode:\s*(\S+)", answer)
    return f"{mode} ({name})" if mode and name else mode or name


def nvpmodel(program: Path) -> str:
    """What ``nvpmodel -q`` prints; nothing where it fails."""
    import subprocess

    try:
        done = subprocess.run([str(program), "-q"], capture_output=True, text=True, timeout=5.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def has_loaded(root: Path, library: str) -> bool | None:
    """Whether this process has mapped a library of that name."""
    maps = content(root / "proc/self/maps")
    return None if maps is None else f"/{library}" in maps
