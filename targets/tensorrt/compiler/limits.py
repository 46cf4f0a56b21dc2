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


def quantized_bias(node: OnnxNode, plan: BuildPlan) -> bool:
    """int32 values, as quantizers make them of biases, are not dequantized; keep biases in float"""
    return node.op == "DequantizeLinear" and node.input_dtypes[:1] == ("int32",)


LIMITS: tuple[Limit, ...] = (unsigned_quantization, quantized_bias, suppression, product_on_turing)


def check_quantization(graph: Any) -> None:
    """Refuse Q/DQ nodes that TensorRT refuses, or takes for something else, before a device has to.

    Args:
        graph: a ``ModelProto``.

    Raises:
        UnsupportedError: a zero point other than 0, unsigned values, or a quantized bias; names the node.
    """
    constants = dict(weights(graph))
    for node in list_nodes(graph):
        if node.op in ("QuantizeLinear", "DequantizeLinear"):
            why = next((str(limit.__doc__) for limit in (unsigned_quantization, quantized_bias) if limit(node, None)), "")
            shift = constants.get(node.inputs[2]) if len(node.inputs) > 2 else None
            if not why and shift is not None and constant_values(shift).astype(np.float32).any():
                why = "a zero point other than 0"
            if why:
                raise UnsupportedError(
                    "wanted quantization that TensorRT has",
                    seen=f"{node.op} '{node.name}': {why.split(';')[0]}",
                    allowed="int8 (int4, fp8) with zero point 0, and biases in float",
                    next_step="give the float model; the target tensorrt quantizes it",
                )


def beyond(node: OnnxNode, plan: BuildPlan) -> str:
    """Why a node cannot be compiled; empty when nothing is known against it."""
    return next((str(limit.__doc__) for limit in LIMITS if limit(node, plan)), "")
