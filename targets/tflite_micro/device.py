"""What a device profile says to this backend."""

from __future__ import annotations

from collections.abc import Iterable

from profiles.device import Device, load_device
from targets.tflite_micro.calls import Variant

#: Flash that firmware takes beside the model's constants, for the verdict before anything is compiled, in bytes.
CODE_ESTIMATE = 12_000
#: RAM beside the arena: stack, buffers of the protocol, .data, in bytes.
RAM_ESTIMATE = 3_000


def variant_of(features: Iterable[str]) -> Variant:
    """The kernels for a core: Helium, the DSP extension, or portable C."""
    known = set(features)
    return "mve" if "mve" in known else "dsp" if "dsp" in known else "portable"


def fused_rows(device: Device) -> bool:
    """Whether layers may run together row by row: the parameter ``fuse``, on where a profile has none."""
    return bool(device.parameters.get("fuse", True))


def largest(device: Device, kind: str) -> float:
    """Bytes of the largest single memory of one kind: an arena or a weight table does not straddle two."""
    return max((memory.size for memory in device.memories if memory.kind == kind), default=0.0)


def emulated_device(device: Device) -> Device:
    """The board that an emulator has for this device: itself, or the one that its profile names with the same core."""
    name = device.parameters.get("emulated_by")
    return load_device(name) if isinstance(name, str) else device
