"""What ONNX Runtime does to a graph before it is quantized or cast; shared by the backends that read ONNX."""

from __future__ import annotations

from pathlib import Path

from targets.quiet import in_our_words


def prepare(source: Path, out: Path) -> None:
    """Shape inference, constant folding and batch-norm folding, as ONNX Runtime asks for before quantization."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with in_our_words("ONNX Runtime must prepare the graph for quantization"):
        quant_pre_process(str(source), str(out), skip_symbolic_shape=True)
