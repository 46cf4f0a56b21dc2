"""What ONNX Runtime does to a graph before it is quantized or cast; shared by the backends that read ONNX."""

from __future__ import annotations

from pathlib import Path

from targets.onnx_tools import load_onnx, real_inputs, save_onnx
from targets.quiet import in_our_words


def prepare(source: Path, out: Path) -> None:
    """Shape inference, constant folding and batch-norm folding, as ONNX Runtime asks for before quantization.

    Weights that are also named as inputs, as ONNX demanded before IR version 4, become constants.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    model = load_onnx(source)
    inputs = real_inputs(model.graph)
    if len(inputs) < len(model.graph.input):
        del model.graph.input[:]
        model.graph.input.extend(inputs)
        model.ir_version = max(model.ir_version, 4)
        source = out.with_name("inputs.onnx")
        save_onnx(model, source)
    with in_our_words("ONNX Runtime must prepare the graph for quantization"):
        quant_pre_process(str(source), str(out), skip_symbolic_shape=True)
