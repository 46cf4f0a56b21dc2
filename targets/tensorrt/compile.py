"""From an ONNX file to a bundle's files: graphs, build plan, and engines where they can be made without the GPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.errors import UnsupportedError
from targets.base import Compiled, ExportedModel, TensorSpec
from targets.files import write_json
from targets.onnx_tools import all_graphs, load_onnx, real_inputs, save_onnx, tensor_specs
from targets.tensorrt.compiler.library import library
from targets.tensorrt.compiler.limits import check_quantization
from targets.tensorrt.compiler.schedule import Schedule, read_schedule
from targets.tensorrt.compiler.schedule_file import save_schedules
from targets.tensorrt.device import plan_for
from targets.tensorrt.formats.sparsity import sparse_notes
from targets.tensorrt.plan import ONNX, PLAN, SCHEDULE, BuildPlan
from targets.tensorrt.store.engine_shipped import onnx_name

#: What an engine reads and writes (``tensorrt.DataType``); float64 would be read as float32 without a word.
IO_DTYPES = ("float32", "float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool")


def compile_bundle(model: ExportedModel, device: Device, out: Path) -> Compiled:
    """Write what the device needs below ``out``.

    For every batch size of the device's plan: the graph (``model.onnx`` for the model's own, else ``batchN.onnx``)
    and, with TensorRT-RTX, the engine ``batchN.engine``; ``plan.json``; with TensorRT-RTX also ``schedule.json``.
    Equal models give equal bytes.

    Raises:
        ConfigError: the device's parameters cannot be used.
        UnsupportedError: no ONNX file, more than 2 GiB, a batch size, operator, number format or GPU that there is not.
        ModelError: an ONNX file that is not sound, or sparse weights asked for where no layer has the 2:4 pattern.
        MissingToolError: TensorRT-RTX is not installed.
        OutputError: the files cannot be written.
    """
    if model.onnx is None:
        raise UnsupportedError(f"TensorRT needs an ONNX file of '{model.name}'", seen="none")
    plan = plan_for_model(model, device)
    graph = load_onnx(model.onnx)
    check_io(graph)
    check_quantization(graph)
    said = sparse_notes(graph) if plan.sparse_weights else {}
    files = [PLAN, *_write_graphs(model, graph, plan, out)]
    write_json(out / PLAN, plan.as_dict())
    if plan.ahead_of_time:
        files += _compile(graph, plan, out)
    inputs = _native(model.inputs, real_inputs(graph.graph))
    outputs = _native(model.outputs, graph.graph.output)
    return Compiled(tuple(files), inputs, outputs, {"library": plan.library, "threads": 1, **said})


def plan_for_model(model: ExportedModel, device: Device) -> BuildPlan:
    """The device's plan, with the model's own batch size first.

    Raises:
        ConfigError, UnsupportedError: as :func:`plan_for`.
    """
    plan = plan_for(device, model.precision)
    own = max(1, model.inputs[0].shape[0]) if model.inputs and model.inputs[0].shape else 1
    asked = () if plan.batches == (1,) else plan.batches
    return dataclasses.replace(plan, batches=tuple(dict.fromkeys((own, *asked))))


def check_io(graph: Any) -> None:
    """Whether an engine can read the model's inputs and write its outputs as they are.

    Raises:
        UnsupportedError: naming the first that it cannot.
    """
    for spec in tensor_specs([*real_inputs(graph.graph), *graph.graph.output]):
        if spec.dtype not in IO_DTYPES:
            raise UnsupportedError(
                "wanted a model that TensorRT can be given numbers for",
                seen=f"'{spec.name}' is of type {spec.dtype or 'unknown'}",
                allowed=", ".join(IO_DTYPES),
                next_step="export the model with inputs and outputs of one of these types",
            )


def _write_graphs(model: ExportedModel, graph: Any, plan: BuildPlan, out: Path) -> list[str]:
    names = [onnx_name(plan, batch) for batch in plan.batches]
    save_onnx(graph, out / ONNX)
    for name, batch in zip(names[1:], plan.batches[1:], strict=True):
        from targets.tensorrt.formats.batch import with_batch
        from targets.tensorrt.formats.half_range import golden_samples

        save_onnx(with_batch(graph, batch, golden_samples(model, graph, batch)), out / name)
    return names


def _compile(graph: Any, plan: BuildPlan, out: Path) -> list[str]:
    """Engines and their schedules; returns the files."""
    from targets.tensorrt.compiler.compile_worker import compile_apart

    made = compile_apart(out, plan)
    by = f"{library(plan.library).title} {made.version}"
    ops = operators(graph)
    schedules = {batch: _schedule(out / plan.engine_name(batch), ops, by) for batch in plan.batches}
    save_schedules(out, schedules, made.notes)
    return [*(plan.engine_name(batch) for batch in plan.batches), SCHEDULE]


def _schedule(engine: Path, ops: Mapping[str, str], by: str) -> Schedule:
    return read_schedule(engine.read_bytes()).with_ops(ops, by)


def operators(graph: Any) -> dict[str, str]:
    """Node name to operator, in all graphs of a model; nodes without a name as TensorRT's parser calls them."""
    return {
        node.name or f"node_of_{node.output[0]}": node.op_type
        for inner in all_graphs(graph.graph)
        for node in inner.node
        if node.name or node.output
    }


def _native(specs: tuple[TensorSpec, ...], values: Any) -> tuple[TensorSpec, ...]:
    """The engine's view: names, shapes and layouts of the model, number formats of the graph."""
    dtypes = {spec.name: spec.dtype for spec in tensor_specs(values)}
    typed = (dataclasses.replace(spec, dtype=dtypes.get(spec.name, spec.dtype)) for spec in specs)
    return tuple(
        dataclasses.replace(spec, scale=None, zero_point=None) if "float" in spec.dtype else spec for spec in typed
    )
