"""What a device's processor is to TVM's code generator, to the cross compiler and to QEMU."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from profiles.device import Device
from profiles.errors import UnsupportedError


@dataclasses.dataclass(frozen=True)
class Family:
    """Processors of one architecture.

    Attributes:
        triple: LLVM's name of the platform.
        prefix: of the compiler's name.
        package: of Debian, which has the compiler.
        emulator: QEMU's program for one process of that architecture.
        base: LLVM features that every device of the family gets, without which Debian's C library does not run.
        lanes: 32-bit numbers in a vector register; 1 without vectors.
        sums: vector registers that may hold sums at a time, about half of all.
        options: further attributes of TVM's target.
    """

    triple: str
    prefix: str
    package: str
    emulator: str
    lanes: int
    sums: int
    base: tuple[str, ...] = ()
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)


#: By ``cpu.arch``, as ``uname -m`` spells it.
FAMILIES: Mapping[str, Family] = {
    "x86_64": Family("x86_64-linux-gnu", "x86_64-linux-gnu-", "g++", "qemu-x86_64", 4, 8),
    "aarch64": Family("aarch64-linux-gnu", "aarch64-linux-gnu-", "g++-aarch64-linux-gnu", "qemu-aarch64", 4, 16),
    "armv7l": Family(
        "armv7l-linux-gnueabihf", "arm-linux-gnueabihf-", "g++-arm-linux-gnueabihf", "qemu-arm",
        4, 8, ("+vfp3d16",), {"mfloat-abi": "hard"},
    ),
    "riscv64": Family(
        "riscv64-linux-gnu", "riscv64-linux-gnu-", "g++-riscv64-linux-gnu", "qemu-riscv64",
        1, 16, ("+m", "+a", "+f", "+d", "+c"), {"mabi": "lp64d"},
    ),
}  # fmt: skip
#: Lanes and sums of the wider levels of x86-64 (psABI, section 3.1.1): AVX2 has 16 registers, AVX-512 has 32.
_WIDE = {"x86-64-v3": (8, 8), "x86-64-v4": (16, 16)}
#: Our feature to LLVM's, for Arm; x86 is described by its level alone.
_ARM = {"neon": "+neon", "fp16": "+fullfp16", "dotprod": "+dotprod", "i8mm": "+i8mm", "bf16": "+bf16"}


@dataclasses.dataclass(frozen=True)
class Machine:
    """One device for the compilers.

    Attributes:
        arch: a key of :data:`FAMILIES`.
        family: of its architecture.
        features: of the profile that the code makes use of; the machine that runs it must have them.
        target: attributes of TVM's target, of kind ``llvm``.
        lanes, sums: as in :class:`Family`, for the instruction set of the device.
    """

    arch: str
    family: Family
    features: tuple[str, ...]
    target: Mapping[str, Any]
    lanes: int
    sums: int

    @property
    def compiler(self) -> str:
        """The C++ compiler's name."""
        return f"{self.family.prefix}g++"


def machine_of(device: Device) -> Machine:
    """The device's processor.

    Raises:
        UnsupportedError: TVM's code would not run on such a processor, or our host program would not.
    """
    family = FAMILIES.get(device.cpu.arch)
    if family is None:
        raise UnsupportedError(
            f"wanted TVM's code for '{device.name}'",
            seen=f"a processor of the architecture '{device.cpu.arch}'",
            allowed=", ".join(FAMILIES),
            next_step="choose a device that runs Linux",
        )
    features = tuple(name for name in device.cpu.features if device.cpu.arch != "x86_64" and name in _ARM)
    target = {"kind": "llvm", "mtriple": family.triple, **family.options, **_instructions(device, family, features)}
    lanes, sums = _WIDE.get(str(target.get("mcpu")), (family.lanes, family.sums))
    if device.cpu.arch == "armv7l" and "neon" not in features:
        lanes = 1
    return Machine(device.cpu.arch, family, features, target, lanes, sums)


def _instructions(device: Device, family: Family, features: tuple[str, ...]) -> dict[str, Any]:
    """The instruction sets that code may use."""
    if device.cpu.arch == "x86_64":
        return {"mcpu": device.cpu.isa if re.fullmatch(r"x86-64-v[234]", device.cpu.isa) else "x86-64"}
    version = re.fullmatch(r"armv(8\.\d|9(?:\.\d)?)-a", device.cpu.isa)
    attributes = [*family.base, *([f"+v{version[1]}a"] if version else [])]
    wanted = [_ARM[name] for name in features if device.cpu.arch == "aarch64" or name == "neon"]
    return {"mattr": [*attributes, *wanted]} if attributes or wanted else {}
