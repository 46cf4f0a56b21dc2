"""ONNX Runtime's own dialect of int8, by processor.

On x86 activations are unsigned: u8s8 kernels are 2.4 times as fast as s8s8 ones. Without VNNI the
u8s8 multiply-add saturates at 16 bits, so weights lose one bit there (``reduce_range``;
ONNX Runtime documentation, "Quantize ONNX models", section "When and why do I need to try U8U8?").
On Arm signed activations are the documented default.
"""

from __future__ import annotations

from profiles.device import Device

_VNNI = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


def activations_signed(device: Device) -> bool:
    """Whether activations are int8 (Arm) instead of uint8 (x86)."""
    return device.cpu.arch not in ("x86_64", "amd64")


def reduce_range(device: Device) -> bool:
    """Whether weights keep only 7 bits, because products would saturate."""
    return not activations_signed(device) and not _VNNI & set(device.cpu.features)


def describe(device: Device) -> str:
    """The dialect in words, for the manifest."""
    sign = "int8" if activations_signed(device) else "uint8"
    bits = "7-bit" if reduce_range(device) else "8-bit"
    return f"QDQ, {sign} activations, {bits} signed weights"
