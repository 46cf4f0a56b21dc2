"""What PyTorch will do with a program, operator by operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.errors import ModelError
from targets.base import ExportedModel, OpSupport, SupportReport, Verdict
from targets.fit import weights_fit
from targets.pytorch.place import CUDA, place_of
from targets.sparsity import find, notes

#: Precision to the instruction set extensions of which a processor needs one to compute in it.
_SIXTEEN_BITS = {
    "bf16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
    "fp16": frozenset({"avx512_fp16", "fp16"}),
}


def report(name: str, model: ExportedModel, device: Device, precision: str) -> SupportReport:
    """PyTorch runs every operator that it has exported; what may be missing is arithmetic in 16 bits."""
    if model.pt2 is None:
        return SupportReport(name, device.name, precision, problems=("no .pt2 program: start from a torch model",))
    try:
        rows, weights, found = _read(model.pt2, _precision_note(precision, device))
    except ModelError as error:
        return SupportReport(name, device.name, precision, problems=(f"{error.wanted}: {error.seen}",))
    said, problems = weights_fit(device, weights)
    return SupportReport(name, device.name, precision, rows, problems, weights, said, found)


def _read(path: Path, note: str) -> tuple[tuple[OpSupport, ...], int, tuple[str, ...]]:
    """A row per operator with ``note`` on those that compute, the bytes of all weights, and notes on zeros."""
    from targets.pytorch.program import layer_names, load_program, operator
    from targets.pytorch.program_steps import steps

    module = load_program(path)
    names = layer_names(module)
    rows = tuple(_row(names[node.name], operator(node), note) for node in module.graph.nodes if node.name in names)
    weights = sum(value.numel() * value.element_size() for value in _unique(module.state_dict().values()))
    return rows, weights, notes(find(steps(module)))


def _unique(values: Any) -> list[Any]:
    """Tensors without those that share the memory of an earlier one."""
    return list({value.data_ptr(): value for value in values}.values())


def _row(name: str, op: str, note: str) -> OpSupport:
    from targets.pytorch.program import COMPUTE

    slow = note if op in COMPUTE else ""
    return OpSupport(name, op, Verdict.FALLBACK if slow else Verdict.NATIVE, slow)


def _precision_note(precision: str, device: Device) -> str:
    """Why compute operators will be slow in the precision asked for; empty when they will not."""
    needs = _SIXTEEN_BITS.get(precision, frozenset())
    if not needs or place_of(device.as_dict()) == CUDA or needs & set(device.cpu.features):
        return ""
    return f"the processor has none of {', '.join(sorted(needs))}: PyTorch converts in every operator, which is slow"
