"""torch to ONNX by ``torch.onnx.export(dynamo=True)``, with equal bytes for equal modules."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.errors import EdgewrightError
from profiles.runner import Arrays
from targets.onnx_tools import save_onnx
from toolchain.export.exported import Exported, check_input_names, check_weights_size, specs_of
from toolchain.export.locate import export_failed, locate
from toolchain.export.silence import captured

if TYPE_CHECKING:
    import torch

OPSET = 19
#: The one metadata key that exported nodes keep: the qualified name of the layer they came from.
SCOPE_KEY = "scope"
_SCOPES = "pkg.torch.onnx.name_scopes"
_STACK = "pkg.torch.onnx.stack_trace"


def export_onnx(module: torch.nn.Module, inputs: Arrays, out: Path) -> Exported:
    """Export a module to one ONNX file (opset 19, weights inside).

    Nodes are named after their layers (``blocks.0.conv/Conv``) and carry the layer's qualified name in
    their metadata; nothing in the file tells of this machine's paths.

    Args:
        module: left as it is, exported in evaluation mode.
        inputs: one sample by input name, in the order of ``forward``'s arguments; fixes all shapes.
        out: the file to write.

    Raises:
        ConfigError: an input name that is no identifier.
        ModelError: ``forward`` fails on these inputs, or returns something else than tensors.
        UnsupportedError: an operator that the exporter does not know, a shape that depends on the
            data (both name the layer), or weights beyond 2 GiB.
        OutputError: the file cannot be written.
    """
    from toolchain.export.modules import run_module

    check_input_names(inputs)
    check_weights_size(module, "ONNX")
    outputs = run_module(module, inputs)
    try:
        model, log = convert_onnx(module, inputs)
    except EdgewrightError:
        raise
    except Exception as error:  # whatever the exporter raises
        raise export_failed("ONNX", locate(module, inputs, error, convert_onnx)) from error
    layers = tidy(model)
    save_onnx(model, out)
    return Exported(out, "onnx", specs_of(inputs), specs_of(outputs), (), layers, log)


def convert_onnx(module: torch.nn.Module, inputs: Arrays) -> tuple[Any, str]:
    """The exporter itself: model and log. Raises whatever the exporter raises.

    Raises:
        DynamicOutputError: the shape of an output depends on the data.
    """
    import torch

    from toolchain.export.modules import evaluating, named_outputs, to_tensors

    with evaluating(module), captured() as log:
        names = list(named_outputs(module(*to_tensors(inputs)), taken=tuple(inputs)))
        program = torch.onnx.export(
            module,
            to_tensors(inputs),
            None,
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=names,
            verbose=False,
        )
        model = program.model_proto
    _check_static_outputs(model)
    return model, log.text


class DynamicOutputError(Exception):
    """The exporter let a shape through that depends on the data."""


def _check_static_outputs(model: Any) -> None:
    for value in model.graph.output:
        if any(not dim.HasField("dim_value") for dim in value.type.tensor_type.shape.dim):
            stack = [
                p.value
                for n in model.graph.node
                for p in n.metadata_props
                if value.name in n.output and p.key == _STACK
            ]
            raise DynamicOutputError("\n".join([f"the shape of '{value.name}' depends on the data", *stack]))


def tidy(model: Any) -> dict[str, str]:
    """Name nodes after their layers, and strip what tells of this machine: paths, traces, doc strings.

    Returns:
        node name to the qualified name of its layer.
    """
    layers: dict[str, str] = {}
    for graph in (model.graph, *model.functions):
        for node in graph.node:
            scope = _scope({pair.key: pair.value for pair in node.metadata_props})
            node.name = _unique(f"{scope}/{node.op_type}".lstrip("/"), layers)
            layers[node.name] = scope
            _strip(node)
            node.metadata_props.add(key=SCOPE_KEY, value=scope)
    _strip(model)
    _strip(model.graph)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer):
        _strip(value)
    return layers


def _scope(metadata: Mapping[str, str]) -> str:
    """The innermost layer among the exporter's name scopes, whose last entry is the operator."""
    scopes = ast.literal_eval(metadata.get(_SCOPES, "[]"))
    return str(scopes[-2]) if len(scopes) > 1 else ""


def _unique(name: str, taken: Mapping[str, str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _strip(part: Any) -> None:
    part.doc_string = ""
    del part.metadata_props[:]
