"""fp16 by casting: weights and arithmetic in half precision, inputs and outputs of the model in float32.

TensorRT's networks are strongly typed, so the types in the ONNX file are those that the GPU computes in. The cast
itself is ONNX Runtime's; what it would do silently is checked or done before: constants beyond fp16's range, scales
of Q/DQ pairs below its normal numbers, and constants that it does not see.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from profiles.errors import ModelError
from profiles.runner import Array
from targets.base import ExportedModel
from targets.onnx_layers import node_name
from targets.onnx_tools import all_graphs, constant_values, load_onnx, onnx_package, save_onnx, weights
from targets.quiet import in_our_words
from targets.tensorrt.formats.half_range import BOUNDING, check_activations
from targets.tensorrt.formats.half_scales import QUANTIZERS, fit_scales
from targets.tensorrt.formats.node_order import in_order
from targets.tensorrt.formats.number_formats import (
    FP16_MAX,
    FP16_NORMAL,
    FP16_SCALES,
    FP16_TINY,
    at_least_opset,
    require_fp16_range,
)

#: Operators that ONNX or TensorRT-RTX 1.7 has in float32 only; they get casts on both sides.
_FLOAT32_ONLY = ("NonMaxSuppression", "RoiAlign", "Range", "Upsample", "MeanVarianceNormalization")


def to_fp16(model: ExportedModel, out: Path) -> ExportedModel:
    """Weights and arithmetic in fp16, inputs and outputs in float32, written to ``out/model.onnx``.

    Raises:
        UnsupportedError: a constant beyond fp16's range that is no mere bound, or an activation of a golden sample.
        ModelError: a constant is NaN.
    """
    from targets.onnx_prepare import prepare

    assert model.onnx is not None
    prepared, cast = out / "float.onnx", out / "model.onnx"
    prepare(model.onnx, prepared)
    half, notes = to_half(load_onnx(prepared))
    check_activations(prepared, model)
    save_onnx(half, cast)
    return dataclasses.replace(
        model, onnx=cast, tflite=None, precision="fp16", float_onnx=prepared, notes={**model.notes, **notes}
    )


def rest_to_fp16(model: Any) -> Any:
    """The ``ModelProto`` with all that is float32 in fp16, scales and biases too; inputs and outputs stay as they are.

    Raises:
        UnsupportedError: a constant beyond fp16's range, or an operator set that does not convert.
        ModelError: a constant is NaN.
    """
    return to_half(model)[0]


def to_half(model: Any) -> tuple[Any, dict[str, str]]:
    """What :func:`rest_to_fp16` does, with notes on the constants that fp16 cannot hold as they are."""
    onnx = onnx_package()
    half = onnx.ModelProto()
    half.CopyFrom(model)
    if any(node.op_type in QUANTIZERS for node in half.graph.node):
        half = at_least_opset(half, FP16_SCALES)
        fit_scales(half)
    _spell_out_constants(half)
    notes = _check_range(half)
    with in_our_words("ONNX Runtime must cast the model to fp16"):
        from onnxruntime.transformers.float16 import convert_float_to_float16

        half = convert_float_to_float16(half, keep_io_types=True, op_block_list=list(_FLOAT32_ONLY))
    in_order(half.graph)
    del half.graph.value_info[:]  # some still name the types from before
    return onnx.shape_inference.infer_shapes(half), notes


def _spell_out_constants(model: Any) -> None:
    """Constant nodes hold tensors; ONNX Runtime's cast overlooks their short forms."""
    onnx = onnx_package()
    for graph in all_graphs(model.graph):
        for node in graph.node:
            for given in node.attribute if node.op_type == "Constant" else ():
                if given.name in ("value_float", "value_floats"):
                    values = given.f if given.name == "value_float" else list(given.floats)
                    tensor = onnx.numpy_helper.from_array(np.asarray(values, np.float32))
                    given.CopyFrom(onnx.helper.make_attribute("value", tensor))


def _check_range(model: Any) -> dict[str, str]:
    """Refuse what fp16 cannot hold, and count what it holds badly."""
    uses = _uses(model)
    total = small = lost = 0
    clamped = []
    for name, tensor in weights(model):
        if tensor.data_type != tensor.FLOAT:
            continue
        sizes = np.abs(constant_values(tensor))
        if np.isnan(sizes).any():
            raise ModelError("wanted constants that are numbers", seen=f"NaN in '{name}'", next_step="train anew")
        if (np.isfinite(sizes) & (sizes > FP16_MAX)).any():
            _require_bound(name, sizes, uses.get(name, []))
            clamped.append(name)
        total += sizes.size
        small += int(np.sum((sizes > 0) & (sizes < FP16_NORMAL)))
        lost += int(np.sum((sizes > 0) & (sizes < FP16_TINY)))
    return {**_note_small(total, small, lost), **({"fp16 bounds": _clamped_words(clamped)} if clamped else {})}


def _note_small(total: int, small: int, lost: int) -> dict[str, str]:
    if not small:
        return {}
    words = f"{small:,} of {total:,} constants are below {FP16_NORMAL:.1e} and lose digits"
    return {"fp16 small": words + (f", {lost:,} of them are below the smallest fp16 number" if lost else "")}


def _clamped_words(names: list[str]) -> str:
    return f"clamped to {FP16_MAX:,.0f}: {', '.join(names)}"


def _uses(model: Any) -> dict[str, list[Any]]:
    """The nodes that read each name."""
    uses: dict[str, list[Any]] = {}
    for graph in all_graphs(model.graph):
        for node in graph.node:
            for name in node.input:
                uses.setdefault(name, []).append(node)
    return uses


def _require_bound(name: str, sizes: Array, users: list[Any]) -> None:
    wrong = [node for node in users if node.op_type not in BOUNDING]
    if wrong or not users:
        where = f"of {wrong[0].op_type} '{node_name(wrong[0])}'" if wrong else "that the model gives out"
        require_fp16_range(float(sizes[np.isfinite(sizes)].max()), f"the constant '{name}' {where}")
