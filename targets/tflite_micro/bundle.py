"""Everything that a bundle for a microcontroller holds: firmware, library, memory plan, map summary, kit for TFLM."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.errors import EdgewrightError, UnsupportedError
from targets.base import Compiled, ExportedModel, TensorSpec
from targets.files import write_bytes, write_json
from targets.registry import program_version
from targets.tflite_io import native_io
from targets.tflite_micro.build import make_program
from targets.tflite_micro.device import emulated_device, fused_rows, variant_of
from targets.tflite_micro.emit.library import sources_of, write_library
from targets.tflite_micro.firmware.build import Firmware, link
from targets.tflite_micro.firmware.sizes import map_summary, sizes
from targets.tflite_micro.graph.ir import Graph, Tensor
from targets.tflite_micro.graph.load import load_graph
from targets.tflite_micro.kernels import INCLUDE
from targets.tflite_micro.plan.picture import memory_svg
from targets.tflite_micro.plan.tables import memory_dict
from targets.tflite_micro.program import Program
from targets.tflite_micro.support import fits
from targets.tflite_micro.tflm_kit import write_kit

EMULATOR = "emulator.elf"


def write_bundle(model: ExportedModel, device: Device, out: Path) -> Compiled:
    """Write the bundle's files below ``out``.

    Raises:
        UnsupportedError: an operator cannot be built, or the program does not fit the device.
        ToolCrashError: the compiler failed.
    """
    assert model.tflite is not None
    graph = load_graph(model.tflite)
    program = make_program(
        dataclasses.replace(graph, name=model.name), variant_of(device.cpu.features), fused_rows(device)
    )
    _refuse_too_large(program, device)
    facts = {"sha256": hashlib.sha256(model.tflite.read_bytes()).hexdigest(), "mcpu": device.parameters["mcpu"]}
    write_bytes(out / "model.tflite", model.tflite.read_bytes())
    write_library(program, out / "library", facts)
    built = _link(program, device, out, "firmware")
    for path in (built.elf, built.bin, built.hex, built.map):
        write_bytes(out / path.name, path.read_bytes())
    emulated = emulated_device(device)
    if emulated != device:
        write_bytes(out / EMULATOR, _link(program, emulated, out, "emulator").elf.read_bytes())
    _write_plan(program, out)
    found = sizes(built.elf)
    write_json(out / "map.json", map_summary(built.map))
    options = {
        "digest": built.digest, "stack": built.stack, "arena": program.arena, "sizes": found,
        "lower_bound": program.plan.lower_bound, "emulator": "" if emulated == device else emulated.name,
        "compiler": program_version("arm-none-eabi-gcc"), "tflm": _kit(model, out / "tflm"),
        "channel_last": list(model.tflite_channel_last), "variables": len(program.variables),
        "layers": [{"name": layer.name, "op": layer.op, "macs": layer.macs} for layer in program.layers],
    }  # fmt: skip
    inputs, outputs = _specs(model, graph)
    return Compiled(("firmware.bin",), inputs, outputs, options)


def _kit(model: ExportedModel, out: Path) -> dict[str, Any]:
    """The kit for TFLM, or the reason why there is none: the bundle does not depend on it."""
    assert model.tflite is not None
    try:
        return dict(write_kit(model.tflite, out, model.name))
    except EdgewrightError as error:
        return {"unavailable": str(error)}


def _refuse_too_large(program: Program, device: Device) -> None:
    problems = fits(program, device)[1]
    if problems:
        raise UnsupportedError(f"'{program.graph.name}' does not fit {device.name}", seen="; ".join(problems))


def _link(program: Program, device: Device, out: Path, name: str) -> Firmware:
    """Link for one board, with the files that the library has."""
    work, library = out / ".work" / name, out / "library"
    work.mkdir(parents=True)
    sources = [library / "edgewright_model.c", *sources_of(program)]
    return link(sources, [library, INCLUDE], device, work)


def _write_plan(program: Program, out: Path) -> None:
    names = {key: program.graph.tensor(key).name for key in program.problem.by_key}
    asked = (program.problem, program.plan, names, program.groups)
    write_json(out / "memory.json", memory_dict(*asked))
    picture = memory_svg(*asked, title=f"Memory plan of {program.graph.name}")
    write_bytes(out / "memory.svg", picture.encode())


def _specs(model: ExportedModel, graph: Graph) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs as the firmware takes them, in canonical order; a name begins with the firmware's index."""
    assert model.tflite is not None
    files = native_io(model.tflite, model.inputs, model.outputs, model.tflite_channel_last)
    orders = _file_order(model.tflite)
    sides = zip(files, orders, (graph.inputs, graph.outputs), strict=True)
    inputs, outputs = (
        tuple(_spec(spec, graph, keys, order) for spec in specs) for specs, order, keys in sides
    )  # fmt: skip
    return inputs, outputs


def _file_order(path: Path) -> tuple[list[int], list[int]]:
    """Tensor numbers of the file's inputs and outputs, in the order that the firmware counts them."""
    from targets.tflite_tools import read_tflite

    file = read_tflite(path)
    return [io.tensor.index for io in file.inputs], [io.tensor.index for io in file.outputs]


def _spec(spec: TensorSpec, graph: Graph, keys: tuple[int, ...], order: list[int]) -> TensorSpec:
    number = order.index(int(spec.name.partition(":")[0]))
    tensor: Tensor = graph.tensor(keys[number])
    changes: dict[str, Any] = {"name": f"{number}:{spec.name.partition(':')[2]}", "dtype": tensor.dtype}
    if tensor.quantization:
        changes |= {"scale": tensor.scale, "zero_point": tensor.zero_point}
    return dataclasses.replace(spec, **changes)
