"""Which device a target is judged on: this machine, an emulated board, or a GPU whose outputs are emulated."""

from __future__ import annotations

import dataclasses

from profiles.device import Device, load_device

EMULATED = {"tflite_micro": "cortex-m55-an547", "tensorrt": "rtx-a2000", "tvm_fpga": "fpga-sim-16x16"}
#: An array whose simulator is built once for these and for the target's own tests.
ARRAY = {"lanes": 8}


def board_of(target: str, local: Device) -> Device:
    """The device that a target's cells are built for."""
    if target not in EMULATED:
        return local
    device = load_device(EMULATED[target])
    if target == "tvm_fpga":
        return dataclasses.replace(device, parameters={**device.parameters, **ARRAY})
    return device
