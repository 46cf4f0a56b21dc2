"""What a faulting core reports, in words."""

from __future__ import annotations

import struct

from profiles.errors import ToolCrashError

_EXCEPTIONS = {2: "NMI", 3: "HardFault", 4: "MemManage", 5: "BusFault", 6: "UsageFault", 7: "SecureFault"}
_STACK_OVERFLOW = 20
#: Bits of CFSR (Armv7-M Architecture Reference Manual, B3.2.15; Armv8-M, D1.2.14).
_CAUSES = {
    0: "no instruction may be fetched there", 1: "no access allowed there", 4: "stacking refused",
    8: "instruction bus error", 9: "data bus error", 10: "data bus error, some time later", 12: "bus error on stacking",
    16: "undefined instruction", 17: "not Thumb code", 18: "bad return from an exception", 19: "no coprocessor",
    _STACK_OVERFLOW: "stack overflow", 24: "unaligned access", 25: "division by zero",
}  # fmt: skip
_MMFAR_VALID, _BFAR_VALID = 1 << 7, 1 << 15


def fault(payload: bytes, name: str) -> ToolCrashError:
    """The error for a fault that firmware reported."""
    words = struct.unpack_from(f"<{len(payload) // 4}I", payload) + (0,) * 15
    exception, sp, cfsr, hfsr, _, mmfar, bfar = words[:7]
    lr, pc = words[12:14]
    causes = [said for bit, said in _CAUSES.items() if cfsr >> bit & 1] or ["cause unknown"]
    if len(payload) < 60 and not cfsr >> _STACK_OVERFLOW & 1:
        causes.insert(0, "sp is outside of the stack")
    where = f" at 0x{mmfar:08x}" if cfsr & _MMFAR_VALID else f" at 0x{bfar:08x}" if cfsr & _BFAR_VALID else ""
    kind = _EXCEPTIONS.get(exception, f"exception {exception}")
    return ToolCrashError(
        f"the firmware on {name} faulted: {', '.join(causes)}{where}",
        seen=f"{kind}, pc 0x{pc:08x}, lr 0x{lr:08x}, sp 0x{sp:08x}, CFSR 0x{cfsr:08x}, HFSR 0x{hfsr:08x}",
        next_step="arm-none-eabi-addr2line -f -e firmware.elf PC names the function; a larger stack may help",
    )
