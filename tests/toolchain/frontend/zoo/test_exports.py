"""The zoo exports to ONNX and TFLite without operators that only padding or pooling would cost."""

import warnings

import numpy as np
import pytest
import torch

from toolchain.frontend import ZOO

ENTRIES = pytest.mark.parametrize("entry", ZOO.values(), ids=list(ZOO))


def ready(entry):
    torch.manual_seed(0)
    model, x = entry.build().eval(), torch.randn(entry.input_shape)
    with torch.inference_mode():
        return model, x, model(x).numpy()


@ENTRIES
def test_onnx(entry, tmp_path):
    onnx = pytest.importorskip("onnx", reason="SKIPPED: needs onnx")
    runtime = pytest.importorskip("onnxruntime", reason="SKIPPED: needs onnxruntime")
    model, x, expected = ready(entry)
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), path, dynamo=True, external_data=False, opset_version=19, verbose=False)
    ops = {node.op_type for node in onnx.load(path).graph.node}
    allowed = {"Conv", "Relu", "Add", "AveragePool", "Reshape", "Flatten", "Gemm"}
    assert ops <= allowed, f"{entry.name} exports with operators beyond the reference's: {ops - allowed}"
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (seen,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(seen, expected, atol=1e-3 * np.abs(expected).max())


@ENTRIES
def test_tflite(entry, tmp_path):
    litert_torch = pytest.importorskip("litert_torch", reason="SKIPPED: needs litert-torch")
    tflite = pytest.importorskip("ai_edge_litert.interpreter", reason="SKIPPED: needs ai-edge-litert")
    model, x, expected = ready(entry)
    if entry.layout == "NCHW":
        model, x = litert_torch.to_channel_last_io(model, args=[0]), x.permute(0, 2, 3, 1).contiguous()
    path = tmp_path / "model.tflite"
    litert_torch.convert(model, (x,)).export(str(path))
    plain = tflite.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tflite.Interpreter(str(path), experimental_op_resolver_type=plain)
    ops = {op["op_name"] for op in interpreter._get_ops_details()}
    allowed = {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED"}
    if entry.name == "resnet8":  # the bare converter keeps a padding whose input has a second reader
        allowed |= {"PAD", "TRANSPOSE"}
    assert ops <= allowed, f"{entry.name} converts with operators beyond the reference's: {ops - allowed}"
    seen = interpreter.get_signature_runner("serving_default")(args_0=x.numpy())["output_0"]
    np.testing.assert_allclose(seen, expected, atol=1e-3 * np.abs(expected).max())
