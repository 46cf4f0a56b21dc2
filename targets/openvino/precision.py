"""Which arithmetic OpenVINO is asked for, by the device's instruction set."""

from __future__ import annotations

from profiles.device import Device

#: Precision to the hint, and to the instruction set extensions of which one is needed for it.
_SIXTEEN_BITS = {
    "bf16": ("bf16", frozenset({"avx512_bf16", "amx_bf16", "bf16"})),
    "fp16": ("f16", frozenset({"avx512_fp16", "fp16"})),
}


def hint(precision: str, device: Device) -> str:
    """The value of ``INFERENCE_PRECISION_HINT``: ``f32`` where the device lacks the arithmetic asked for.

    Left to itself, OpenVINO answers f16 with bf16 on processors that have only that, which keeps 8
    significant bits of the 11 asked for.
    """
    name, needs = _SIXTEEN_BITS.get(precision, ("f32", frozenset()))
    return name if needs & set(device.cpu.features) else "f32"


def missing(precision: str, device: Device) -> frozenset[str]:
    """The extensions of which the device has none although the precision needs one; empty when nothing is missing."""
    _, needs = _SIXTEEN_BITS.get(precision, ("f32", frozenset()))
    return frozenset() if needs & set(device.cpu.features) else needs
