"""Read the hardware of a Linux machine from ``/proc`` and ``/sys``: what ``local-cpu`` is made of.

Only what the kernel states is reported. In particular the clock comes from cpufreq's upper limit and
is left out where there is none (``cpu MHz`` in ``/proc/cpuinfo`` is the clock of the moment).

Formats: every CPU that the engines serve multiplies fp32 and 8-bit integers in hardware (SSE2 or NEON), so
both are always listed; a dot product makes int8 faster and shows in the features. bf16 and fp16 are
listed only where there is arithmetic in them: conversion alone (F16C) means computing in fp32.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.machine_files import content, cpu_model, device_model, normal_arch, whole_number

#: The kernel's flag to our name (``profiles.device.FEATURES``), in the order of listing.
#: x86: arch/x86/include/asm/cpufeatures.h; Arm: Documentation/arch/arm64/elf_hwcaps.rst, and ``neon`` on 32-bit Arm.
FLAGS: Mapping[str, str] = {
    "avx2": "avx2",
    "avx512f": "avx512f",
    "avx512_vnni": "avx512_vnni",
    "avx_vnni": "avx_vnni",
    "avx512_bf16": "avx512_bf16",
    "avx512_fp16": "avx512_fp16",
    "amx_int8": "amx_int8",
    "amx_bf16": "amx_bf16",
    "neon": "neon",
    "asimd": "neon",
    "asimdhp": "fp16",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "bf16": "bf16",
    "sve": "sve",
}
#: Flags of each x86-64 level (x86-64 psABI, section 3.1.1, table 3.1), as the kernel spells them; LZCNT is ``abm``.
X86_LEVELS: Mapping[str, frozenset[str]] = {
    "x86-64-v2": frozenset({"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"}),
    "x86-64-v3": frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}),
    "x86-64-v4": frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
}
_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}
_FP16 = {"avx512_fp16", "fp16"}


def detect_hardware(root: Path = Path("/")) -> dict[str, Any]:
    """Describe the machine whose ``/proc`` and ``/sys`` lie below ``root``, in the shape of a parsed profile.

    Returns:
        ``cpu``, ``memory``, ``formats``, ``identity``, ``power`` and ``sources``. What the machine does not tell is
        left out; without ``/proc/cpuinfo`` the architecture is that of ``platform.machine()``.
    """
    processors = _processors(root)
    flags = _common_flags(processors)
    arch, arch_source = _arch(processors, flags)
    features = _features(flags)
    found: dict[str, tuple[Any, str]] = {
        "cpu.arch": (arch, arch_source),
        "cpu.isa": (_isa(arch, flags), "/proc/cpuinfo"),
        "cpu.features": (features, "/proc/cpuinfo"),
        "cpu.cores": (_cores(processors), "/proc/cpuinfo"),
        "cpu.clock": (_clock(root), "/sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq"),
        "memory.ram.size": (_ram(root), "/proc/meminfo, MemTotal"),
        "identity.model_contains": (device_model(root) or cpu_model(root), "/proc/device-tree/model or /proc/cpuinfo"),
        "power.meter": ("rapl" if _has_rapl(root) else "", "/sys/class/powercap/intel-rapl:*/name"),
    }
    return _profile({path: pair for path, pair in found.items() if pair[0]}, arch, features)


def _profile(found: Mapping[str, tuple[Any, str]], arch: str, features: list[str]) -> dict[str, Any]:
    """Put the findings into the shape of a profile."""
    data: dict[str, Any] = {
        "cpu": {path.removeprefix("cpu."): value for path, (value, _) in found.items() if path.startswith("cpu.")},
        "formats": _formats(features),
        "identity": {"arch": arch},
        "sources": {path: f"read from this machine: {source}" for path, (_, source) in found.items()}
        | {"formats": "follow from cpu.features (profiles/detect.py)"},
    }
    if "memory.ram.size" in found:
        data["memory"] = [{"name": "ram", "kind": "ram", "size": found["memory.ram.size"][0]}]
    if "identity.model_contains" in found:
        data["identity"]["model_contains"] = [found["identity.model_contains"][0]]
    if "power.meter" in found:
        data["power"] = {"meter": found["power.meter"][0]}
    return data


def _processors(root: Path) -> list[dict[str, str]]:
    """The blocks of ``/proc/cpuinfo`` that describe a processor (on Arm another one describes the board)."""
    processors = []
    for block in (content(root / "proc/cpuinfo") or "").split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines() if ":" in line)
        entry = {key.strip(): value.strip() for key, _, value in pairs}
        if "processor" in entry:
            processors.append(entry)
    return processors


def _common_flags(processors: list[dict[str, str]]) -> frozenset[str]:
    """Flags that every processor has: a thread may run on any of them."""
    each = [frozenset((p.get("flags") or p.get("Features") or "").split()) for p in processors]
    return frozenset.intersection(*each) if each else frozenset()


def _arch(processors: list[dict[str, str]], flags: frozenset[str]) -> tuple[str, str]:
    """The architecture as ``uname -m`` spells it, and where it stands."""
    if flags and "flags" in processors[0]:
        return "x86_64" if "lm" in flags else "i686", "/proc/cpuinfo"
    if flags and "CPU architecture" in processors[0]:
        return "aarch64" if "asimd" in flags else "armv7l", "/proc/cpuinfo"
    return normal_arch(platform.machine()), "platform.machine()"


def _isa(arch: str, flags: frozenset[str]) -> str:
    """The x86-64 level, or the Arm base version: the kernel does not tell Armv8's minor number."""
    if arch != "x86_64" or not flags:
        return {"aarch64": "armv8-a", "armv7l": "armv7-a"}.get(arch, "") if flags else ""
    level = "x86-64"
    for name, needed in X86_LEVELS.items():
        if not needed <= flags:
            break
        level = name
    return level


def _features(flags: frozenset[str]) -> list[str]:
    return list(dict.fromkeys(name for flag, name in FLAGS.items() if flag in flags))


def _formats(features: list[str]) -> list[str]:
    found = set(features)
    half = ["bf16"] * bool(found & _BF16) + ["fp16"] * bool(found & _FP16)
    return ["fp32", *half, "int8"]


def _cores(processors: list[dict[str, str]]) -> int:
    """Physical cores: pairs of package and core where the kernel gives them, else processors."""
    pairs = {(p.get("physical id", "0"), p["core id"]) for p in processors if "core id" in p}
    return len(pairs) or len(processors)


def _clock(root: Path) -> str:
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/cpuinfo_max_freq")
    kilohertz = max((whole_number(path) or 0 for path in files), default=0)
    return f"{kilohertz} kHz" if kilohertz > 0 else ""


def _ram(root: Path) -> str:
    """MemTotal; the kernel's "kB" are KiB (proc_meminfo(5))."""
    for line in (content(root / "proc/meminfo") or "").splitlines():
        words = line.split()
        if words[:1] == ["MemTotal:"] and len(words) == 3 and words[1].isdecimal():
            return f"{words[1]} KiB"
    return ""


def _has_rapl(root: Path) -> bool:
    names = (root / "sys/class/powercap").glob("intel-rapl:*/name")
    return any((content(path) or "").startswith("package") for path in names)
