"""Which device a target is judged on: this machine, an emulated board, or a GPU whose outputs are emulated."""

from __future__ import annotations

from profiles.device import Device, load_device

EMULATED = {"tflite_micro": "cortex-m55-an547", "tensorrt": "rtx-a2000"}


def board_of(target: str, local: Device) -> Device:
    """The device that a target's cells are built for."""
    return load_device(EMULATED[target]) if target in EMULATED else local
