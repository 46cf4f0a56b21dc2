"""What a bundle for a plain CPU holds: library, program, archive with header, plan, and what tuning found."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.errors import ConfigError, UnsupportedError
from targets.base import Compiled, ExportedModel, TensorSpec
from targets.files import write_bytes, write_json
from targets.onnx_tools import load_onnx, real_inputs
from targets.registry import installed_version
from targets.stand_in import state_is_device
from targets.tvm_cpu import link
from targets.tvm_cpu.compile_worker import compile_apart
from targets.tvm_cpu.emit import plan_source
from targets.tvm_cpu.machine import Machine, machine_of
from targets.tvm_cpu.program import Program

#: Seconds for measuring tiles, where the profile's ``parameters.tuning_seconds`` says nothing else.
TUNING_SECONDS = 20.0
_TUNED = "its tiles were chosen by measuring, see tuning.json; tuning_seconds = 0 gives equal bytes every time"


def write_bundle(model: ExportedModel, device: Device, out: Path) -> Compiled:
    """Write the bundle's files below ``out``.

    Raises:
        MissingToolError: no cross compiler, or no TVM.
        UnsupportedError: TVM cannot import or compile the model, or the device runs no such code.
        ToolCrashError: a compiler failed.
    """
    if model.onnx is None:
        raise UnsupportedError(f"TVM needs an ONNX file of '{model.name}'", seen="none")
    machine = machine_of(device)
    compiler = link.tool(machine)
    seconds, why_not = tuning(device)
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        work = Path(folder)
        program, tuned = compile_apart(model.onnx, machine, work, seconds)
        write_bytes(work / "plan.cpp", plan_source(model.name, program).encode())
        link.link(machine, work, out)
    found = {**tuned, "not_measured": why_not} if why_not else tuned
    write_json(out / "plan.json", program.as_dict())
    write_json(out / "tuning.json", found)
    inputs, outputs = _specs(model, program)
    options = _options(machine, program, device) | {"compiler": f"{machine.compiler} {link.version(compiler)}"}
    made = (link.LIBRARY, link.ARCHIVE, link.PROGRAM, "tuning.json")
    free = dict.fromkeys(made, _TUNED) if tuned["measured"] else {}
    return Compiled((link.LIBRARY,), inputs, outputs, options, free)


def tuning(device: Device) -> tuple[float, str]:
    """Seconds to spend, and why none are spent although the profile has some.

    Raises:
        ConfigError: the profile's number is none.
    """
    from profiles.machine import snapshot

    seconds = device.parameters.get("tuning_seconds", TUNING_SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < float("inf"):
        raise ConfigError(
            f"{device.name} parameters.tuning_seconds must be a time in seconds",
            seen=repr(seconds),
            allowed="0 or more",
        )
    if seconds and not state_is_device(device.as_dict(), snapshot()):
        return 0.0, "only the device itself can tell which tiles are fast on it, and this machine is another one"
    return float(seconds), ""


def _options(machine: Machine, program: Program, device: Device) -> dict[str, Any]:
    steps = [{"name": step.name, "computes": step.computes} for step in program.steps]
    return {
        "arch": machine.arch, "isa": device.cpu.isa, "features": list(machine.features), "steps": steps,
        "emulator": machine.family.emulator, "arena": program.arena, "threads": 1,
        "tvm": installed_version("apache-tvm") or "unknown", "target": dict(machine.target),
    }  # fmt: skip


def _specs(model: ExportedModel, program: Program) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs in the order of the graph, which is the library's."""
    graph = load_onnx(model.onnx, external=False).graph if model.onnx else None
    assert graph is not None
    inputs = _ordered(model.inputs, [value.name for value in real_inputs(graph)], program, program.inputs)
    return inputs, _ordered(model.outputs, [value.name for value in graph.output], program, program.outputs)


def _ordered(
    specs: tuple[TensorSpec, ...], names: list[str], program: Program, numbers: tuple[int, ...]
) -> tuple[TensorSpec, ...]:
    known = {spec.name: spec for spec in specs}
    pairs = zip(names, numbers, strict=True)
    return tuple(dataclasses.replace(known[name], dtype=program.values[number].dtype) for name, number in pairs)
