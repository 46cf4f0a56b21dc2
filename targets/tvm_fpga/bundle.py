"""A bundle: command streams with listings, host modules, the Verilog with its parameters, scripts, the driver."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.errors import UnsupportedError
from targets.base import Compiled, ExportedModel
from targets.files import write_bytes
from targets.tvm_fpga import container
from targets.tvm_fpga.board import board_files
from targets.tvm_fpga.compiler.program import Program
from targets.tvm_fpga.device import geometry_of
from targets.tvm_fpga.host.build import build_host
from targets.tvm_fpga.host.target import HOSTS
from targets.tvm_fpga.native import native
from targets.tvm_fpga.partition.compiled import partition_and_compile
from targets.tvm_fpga.partition.load import load_module
from targets.tvm_fpga.partition.partition import Partitioned
from targets.tvm_fpga.support import model_file
from targets.tvm_fpga.synth.files import circuit_files

#: The host of the simulation.
HERE = "x86_64"
#: Below it: what synthesis reads.
RTL = "rtl"


def write_bundle(model: ExportedModel, device: Device, out: Path) -> Compiled:
    """Compile for a device's array.

    Raises:
        UnsupportedError: nothing that the array could run, or a layer beyond its limits.
    """
    path, geometry = model_file(model), geometry_of(device)
    if path is None:
        raise UnsupportedError(f"the accelerator needs an ONNX or TFLite file of '{model.name}'", seen="none")
    ends = native(model)
    parted, programs = partition_and_compile(load_module(path), geometry)
    if not parted.regions:
        reasons = "; ".join(dict.fromkeys(each.reason for each in parted.split.operators if each.reason))
        raise UnsupportedError(f"nothing in '{model.name}' can run on the accelerator", seen=reasons)
    for symbol, program in programs.items():
        container.save(program, out / f"{symbol}.ewfs")
        write_bytes(out / f"{symbol}.txt", program.listing().encode())
    build_host(parted, HOSTS[HERE], out / f"host-{HERE}.so")
    for name, content in circuit_files(geometry, device.parameters).items():
        write_bytes(out / RTL / name, content)
    files = [f"host-{HERE}.so", *(f"{symbol}.ewfs" for symbol in programs)]
    options = {**_options(parted, programs), "board": board_files(parted, programs, device, out)}
    return Compiled(tuple(files), *ends, options)


def _options(parted: Partitioned, programs: Mapping[str, Program]) -> dict[str, Any]:
    """What the runner needs to know."""
    ours, hosts = parted.split.macs
    return {
        "regions": [each.host.as_dict() for each in parted.regions],
        "layers": {symbol: _layers(placed.region.layers) for symbol, placed in _by_symbol(parted).items()},
        "macs": {"accelerator": ours, "host": hosts},
        "host_operators": [each.name for each in parted.split.operators if not each.accelerated],
        "host_layers": parted.split.host_layers,
        "weights": sum(layer.weights.nbytes for placed in parted.regions for layer in placed.region.layers),
        "image": sum(len(program.image) for program in programs.values()),
    }


def _by_symbol(parted: Partitioned) -> dict[str, Any]:
    return {placed.symbol: placed for placed in parted.regions}


def _layers(layers: Any) -> list[dict[str, Any]]:
    return [{"name": layer.name, "op": layer.kind.value, "macs": layer.macs} for layer in layers]
