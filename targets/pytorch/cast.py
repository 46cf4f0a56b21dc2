"""A program in fp16 or bf16: weights and operators cast, inputs and outputs kept in float32.

What the program itself casts to float32 is cast to 16 bits too: it was float32 because the model was, and operators
take no operands of different kinds.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

from profiles.errors import UnsupportedError
from targets.base import ExportedModel
from targets.pytorch.trust import check_trust

_DTYPES = {"fp16": "float16", "bf16": "bfloat16"}


def to_sixteen_bits(model: ExportedModel, precision: str, out: Path) -> ExportedModel:
    """The model with a second program below ``out``.

    Args:
        model: with a float32 program.
        precision: ``fp16`` or ``bf16``.
        out: an existing folder.

    Raises:
        UnsupportedError: there is no program, or its operators do not take this precision.
    """
    import torch

    from targets.pytorch.program_file import save_program

    if model.pt2 is None:
        raise UnsupportedError(f"PyTorch needs a .pt2 program of '{model.name}'", seen="none")
    wanted = getattr(torch, _DTYPES[precision])
    check_trust(model.pt2)
    module = torch.export.load(model.pt2).module(check_guards=False)
    _cast(module, wanted)
    example = tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in model.inputs)
    try:
        with torch.no_grad():
            program = torch.export.export(module, example)
    except Exception as error:  # torch.export runs the operators, each of which may refuse in its own way
        raise UnsupportedError(
            f"wanted '{model.name}' in {precision}", seen=str(error).partition("\n")[0], next_step="use fp32"
        ) from error
    path = out / f"{precision}.pt2"
    save_program(program, path)
    return dataclasses.replace(model, pt2=path, precision=precision)


def _cast(module: Any, wanted: Any) -> None:
    """Change a program's module in place."""
    import torch

    for node in list(module.graph.nodes):
        if node.op == "call_function":
            _cast_call(node, wanted)
        elif node.op == "placeholder" and _is_float32(node):
            _cast_input(node, wanted)
        elif node.op == "output":
            node.args = torch.fx.node.map_arg(node.args, functools.partial(_cast_output, node))
    module.to(wanted)
    for name, value in vars(module).items():  # constants that are no buffers
        if isinstance(value, torch.Tensor) and value.dtype is torch.float32:
            setattr(module, name, value.to(wanted))
    module.recompile()


def _is_float32(node: Any) -> bool:
    import torch

    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.dtype is torch.float32


def _cast_call(node: Any, wanted: Any) -> None:
    """float32 as an argument becomes ``wanted``; so does what an operator makes from nothing (zeros, arange)."""
    import torch

    def other(value: Any) -> Any:
        return wanted if value is torch.float32 else value

    node.args = torch.fx.node.map_aggregate(node.args, other)
    node.kwargs = torch.fx.node.map_aggregate(node.kwargs, other)
    schema = getattr(node.target, "_schema", None)
    takes = {argument.name for argument in schema.arguments} if schema else set()
    if "dtype" in takes and not node.all_input_nodes and node.kwargs.get("dtype") is None and _is_float32(node):
        node.kwargs = {**node.kwargs, "dtype": wanted}


def _cast_input(node: Any, wanted: Any) -> None:
    import torch

    with node.graph.inserting_after(node):
        cast = node.graph.call_function(torch.ops.aten.to.dtype, (node, wanted))
    node.replace_all_uses_with(cast, delete_user_cb=lambda user: user is not cast)


def _cast_output(output: Any, value: Any) -> Any:
    import torch

    if not _is_float32(value):
        return value
    with output.graph.inserting_before(output):
        return output.graph.call_function(torch.ops.aten.to.dtype, (value, torch.float32))
