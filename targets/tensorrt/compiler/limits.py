"""What TensorRT's parser takes and its compiler does not: one function per limit, its docstring the user's sentence.

Each was found with TensorRT-RTX 1.7, and is tested against it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from profiles.errors import UnsupportedError
from targets.onnx_tools import OnnxNode, constant_values, list_nodes, weights
from targets.tensorrt.plan import BuildPlan

#: Whether a node cannot be compiled.
Limit = Callable[[OnnxNode, BuildPlan], bool]
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


def unsigned_quantization(node: OnnxNode, plan: BuildPlan) -> bool:
    """uint8 quantization would be read as int8 without a word; allowed: int8 with zero point 0"""
    return _unsigned(node)


def quantized_bias(node: OnnxNode, plan: BuildPlan) -> bool:
    """int32 values, as quantizers make them of biases, cannot be dequantized; allowed: biases in float"""
    return _quantized_bias(node)


def suppression(node: OnnxNode, plan: BuildPlan) -> bool:
    """TensorRT-RTX has no kernel for it; move it out of the model into post-processing"""
    return plan.library == "tensorrt_rtx" and node.op == "NonMaxSuppression"


def product_on_turing(node: OnnxNode, plan: BuildPlan) -> bool:
    """TensorRT-RTX has no fp32 matrix product for compute capability 7.5; allowed: 8.0 and later"""
    turing = plan.library == "tensorrt_rtx" and "7.5" in plan.compute_capabilities
    return turing and plan.precision == "fp32" and node.op in ("Gemm", "MatMul")


LIMITS: tuple[Limit, ...] = (unsigned_quantization, quantized_bias, suppression, product_on_turing)


def beyond(node: OnnxNode, plan: BuildPlan) -> str:
    """Why a node cannot be compiled; empty when nothing is known against it."""
    return next((str(limit.__doc__) for limit in LIMITS if limit(node, plan)), "")


def check_quantization(graph: Any) -> None:
    """Refuse quantization that TensorRT refuses or takes for something else; a device would find out too late.

    Args:
        graph: a ``ModelProto``.

    Raises:
        UnsupportedError: unsigned values, a quantized bias, or a zero point other than 0; names the node.
    """
    constants = dict(weights(graph))
    for node in list_nodes(graph):
        why = _misread(node, constants) if node.op in _QUANTIZERS else ""
        if why:
            raise UnsupportedError(
                "wanted quantization that TensorRT has",
                seen=f"node '{node.name}' ({node.op}): {why}",
                allowed="signed values, zero point 0, biases in float",
                next_step="quantize the float model with the target tensorrt, whose scheme is symmetric",
            )


def _misread(node: OnnxNode, constants: Any) -> str:
    if _quantized_bias(node):
        return "a DequantizeLinear of int32 values, as quantizers make them of biases"
    shift = constants.get(node.inputs[2]) if len(node.inputs) > 2 else None
    if shift is not None and constant_values(shift).astype("float32").any():
        return "a zero point other than 0"
    return "uint8 quantization, which TensorRT would silently read as int8" if _unsigned(node) else ""


def _unsigned(node: OnnxNode) -> bool:
    return node.op in _QUANTIZERS and "uint8" in node.input_dtypes


def _quantized_bias(node: OnnxNode) -> bool:
    return node.op == "DequantizeLinear" and node.input_dtypes[:1] == ("int32",)
