"""What the accelerator would run, operator by operator, and what crosses to the host: before anything is compiled."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.errors import DataError, ModelError, ToolCrashError, UnsupportedError
from targets.artifact import sha256
from targets.base import ExportedModel, OpSupport, SupportReport, Verdict
from targets.network import network
from targets.sparsity import find, notes
from targets.tvm_fpga.device import geometry_of
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.imagine import as_if_quantized
from targets.tvm_fpga.partition.compiled import partition_and_check
from targets.tvm_fpga.partition.load import load_module
from targets.tvm_fpga.partition.split import Placement, Split

#: Operators that are named where none can run.
_SHOWN = 3


def report(target: str, model: ExportedModel, device: Device, precision: str) -> SupportReport:
    """The split of an int8 model; a float model is judged as if it were quantized everywhere."""
    if precision != "int8":
        problem = f"the array computes in int8 only, not in {precision}"
        return SupportReport(target, device.name, precision, problems=(problem,))
    if model_file(model) is None:
        return SupportReport(target, device.name, precision, problems=("needs an ONNX or an int8 TFLite file",))
    geometry = geometry_of(device)
    try:
        split = split_of_model(model, geometry)
    except (UnsupportedError, ModelError, DataError, ToolCrashError) as error:
        return SupportReport(target, device.name, precision, problems=(str(error),))
    ops = tuple(_verdict(each) for each in split.operators)
    told = (*_notes(split, geometry), *notes(find(network(model))))
    return SupportReport(target, device.name, precision, ops, _problems(split), notes=told)


def model_file(model: ExportedModel) -> Path | None:
    """The file that is compiled, if there is one."""
    return model.onnx or model.tflite


@dataclasses.dataclass(frozen=True)
class _Asked:
    """A model, the same if its file is."""

    path: Path
    digest: str
    model: ExportedModel = dataclasses.field(compare=False)


def split_of_model(model: ExportedModel, geometry: Geometry) -> Split:
    """Where every operator would run; files that were asked about before are answered from memory.

    Raises:
        UnsupportedError, ModelError, DataError, ToolCrashError: the file cannot be read, quantized or imported.
    """
    path = model_file(model)
    assert path is not None
    digest = sha256(path) if path.is_file() else ""
    return _split(_Asked(path, digest, model), geometry)


@functools.lru_cache(maxsize=8)
def _split(asked: _Asked, geometry: Geometry) -> Split:
    return partition_and_check(_module(asked), geometry).split


@functools.lru_cache(maxsize=1)
def _module(asked: _Asked) -> Any:
    """Devices are asked one after the other."""
    with as_if_quantized(asked.model) as path:
        assert path is not None
        return load_module(path)


def _verdict(placed: Placement) -> OpSupport:
    if placed.accelerated:
        return OpSupport(placed.name, placed.op, Verdict.NATIVE)
    return OpSupport(placed.name, placed.op, Verdict.FALLBACK, f"on the host, compiled by TVM: {placed.reason}")


def _problems(split: Split) -> tuple[str, ...]:
    if any(each.accelerated for each in split.operators):
        return ()
    rows = (f"{each.op} '{each.name}': {each.reason}" for each in split.operators[:_SHOWN])
    left = len(split.operators) - _SHOWN
    more = f"; and {left} more" if left > 0 else ""
    return (f"no operator would run on the accelerator: {'; '.join(rows)}{more}",)


def _notes(split: Split, geometry: Geometry) -> tuple[str, ...]:
    ours, hosts = split.macs
    share = 100 * ours / max(1, ours + hosts)
    size = f"{geometry.lanes} x {geometry.lanes}"
    return (
        f"{share:.1f} % of {(ours + hosts) / 1e6:.2f} M MACs on the {size} array, the rest on the host",
        f"{len(split.crossings)} region(s); {split.bytes} B cross between host and accelerator for one inference",
    )
