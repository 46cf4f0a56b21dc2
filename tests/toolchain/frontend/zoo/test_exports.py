"""The zoo exports to ONNX and TFLite without operators that only padding or pooling would cost."""

import warnings

import numpy as np
import pytest
import torch

from toolchain.frontend import ZOO

#: The networks of MLPerf Tiny go through both exporters, the others through what tells them apart.
MLPERF = ["resnet8", "dscnn", "mobilenet_v1_025", "fc_autoencoder"]
#: What networks need beyond convolutions, sums, ReLU and pooling: (ONNX, TFLite).
BEYOND = {
    "densenet40": ({"BatchNormalization", "Concat"}, set()),
    "mobilenetv2_cifar": ({"Clip"}, set()),
    "efficientnet_cifar": ({"Mul", "Sigmoid"}, set()),
    "micronet_m0": ({"Clip", "Concat", "Max", "Mul", "Sigmoid", "Slice", "Split", "Sub", "Transpose"}, set()),
    "condconv_mobilenet": ({"BatchNormalization", "Concat", "MatMul", "Sigmoid", "Unsqueeze"}, set()),
    # the bare converter keeps a padding whose input has a second reader
    "resnet8": (set(), {"PAD", "TRANSPOSE"}),
}
NONE: tuple[set[str], set[str]] = (set(), set())
IN_ONNX = [*MLPERF, "densenet40", "mobilenetv2_cifar", "efficientnet_cifar", "micronet_m0", "condconv_mobilenet"]
#: More blocks of resnet20's kind.
DEEPER = ["resnet32", "resnet56"]


def ready(entry):
    torch.manual_seed(0)
    model, x = entry.build().eval(), torch.randn(entry.input_shape)
    with torch.inference_mode():
        return model, x, model(x).numpy()


@pytest.mark.parametrize("name", [name for name in ZOO if name not in {*IN_ONNX, *DEEPER}])
def test_torch_export(name):
    """Those that do not go through it on their way to ONNX."""
    model, x, expected = ready(ZOO[name])
    exported = torch.export.export(model, (x,)).module()
    with torch.inference_mode():
        np.testing.assert_allclose(exported(x).numpy(), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", IN_ONNX)
def test_onnx(name, tmp_path):
    onnx = pytest.importorskip("onnx", reason="SKIPPED: needs onnx")
    runtime = pytest.importorskip("onnxruntime", reason="SKIPPED: needs onnxruntime")
    model, x, expected = ready(ZOO[name])
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), path, dynamo=True, external_data=False, opset_version=19, verbose=False)
    ops = {node.op_type for node in onnx.load(path).graph.node}
    allowed = {"Conv", "Relu", "Add", "AveragePool", "Reshape", "Flatten", "Gemm"} | BEYOND.get(name, NONE)[0]
    assert ops <= allowed, f"{name} exports with operators beyond the reference's: {ops - allowed}"
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (seen,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(seen, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("name", MLPERF)
def test_tflite(name, tmp_path):
    litert_torch = pytest.importorskip("litert_torch", reason="SKIPPED: needs litert-torch")
    tflite = pytest.importorskip("ai_edge_litert.interpreter", reason="SKIPPED: needs ai-edge-litert")
    model, x, expected = ready(ZOO[name])
    if ZOO[name].layout == "NCHW":
        model, x = litert_torch.to_channel_last_io(model, args=[0]), x.permute(0, 2, 3, 1).contiguous()
    path = tmp_path / "model.tflite"
    litert_torch.convert(model, (x,)).export(str(path))
    plain = tflite.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tflite.Interpreter(str(path), experimental_op_resolver_type=plain)
    ops = {op["op_name"] for op in interpreter._get_ops_details()}
    allowed = {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED"}
    allowed |= BEYOND.get(name, NONE)[1]
    assert ops <= allowed, f"{name} converts with operators beyond the reference's: {ops - allowed}"
    seen = interpreter.get_signature_runner("serving_default")(args_0=x.numpy())["output_0"]
    np.testing.assert_allclose(seen, expected, atol=1e-3 * np.abs(expected).max())
