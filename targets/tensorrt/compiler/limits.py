"""What TensorRT's parser takes and its compiler does not: one function per limit, its docstring the user's sentence.

Each was found with TensorRT-RTX 1.7, and is tested against it.
"""

from __future__ import annotations

from collections.abc import Callable

from targets.onnx_tools import OnnxNode
from targets.tensorrt.plan import BuildPlan

#: Whether a node cannot be compiled.
Limit = Callable[[OnnxNode, BuildPlan], bool]


def unsigned_quantization(node: OnnxNode, plan: BuildPlan) -> bool:
    """uint8 quantization would be read as int8 without a word; allowed: int8 with zero point 0"""
    return node.op in ("QuantizeLinear", "DequantizeLinear") and "uint8" in node.input_dtypes


def suppression(node: OnnxNode, plan: BuildPlan) -> bool:
    """TensorRT-RTX has no kernel for it; move it out of the model into post-processing"""
    return plan.library == "tensorrt_rtx" and node.op == "NonMaxSuppression"


def product_on_turing(node: OnnxNode, plan: BuildPlan) -> bool:
    """TensorRT-RTX has no fp32 matrix product for compute capability 7.5; allowed: 8.0 and later"""
    turing = plan.library == "tensorrt_rtx" and "7.5" in plan.compute_capabilities
    return turing and plan.precision == "fp32" and node.op in ("Gemm", "MatMul")


LIMITS: tuple[Limit, ...] = (unsigned_quantization, suppression, product_on_turing)


def beyond(node: OnnxNode, plan: BuildPlan) -> str:
    """Why a node cannot be compiled; empty when nothing is known against it."""
    return next((str(limit.__doc__) for limit in LIMITS if limit(node, plan)), "")
