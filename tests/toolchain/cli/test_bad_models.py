"""Models that cannot be built: one clear error each, and nothing is left behind."""

import numpy as np
import pytest

DEVICE = ("--device", "local-cpu", "--target", "onnxruntime", "--runs", "3")
LITERT = ("--device", "local-cpu", "--target", "litert", "--runs", "3")


@pytest.fixture
def refused(cli, here):
    """``refused(status, *words)``: a build that must fail, and leave nothing."""

    def build(status, *words):
        refusal = cli("build", *words, "--out", "out").refused(status)
        assert not (here / "out").exists(), f"left behind: {list((here / 'out').rglob('*'))}"
        return refusal

    return build


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("no.onnx", ()),
        ("no.tflite", ()),
        ("no.pt2", ("--input", "x=1x1x8x8")),
        ("no.toml", ()),
    ],
)
def test_something_that_does_not_exist(refused, name, more):
    refusal = refused(2, name, *DEVICE, *more)
    assert name in refusal.wanted and refusal.seen == "no such file" and refusal.next


def test_a_folder_in_place_of_a_model(refused, here):
    (here / "folder.onnx").mkdir()
    refusal = refused(2, "folder.onnx", *DEVICE)
    assert "folder" in refusal.wanted


def damaged(path, how):
    whole = path.read_bytes()
    content = {
        "empty": b"",
        "noise": np.random.default_rng(3).bytes(3000),
        "cut off": whole[: len(whole) // 2],
        "another format": b"PK\x03\x04 this is a zip file",
    }[how]
    path.write_bytes(content)


DAMAGES = pytest.mark.parametrize("how", ["empty", "noise", "cut off", "another format"])


@DAMAGES
def test_a_damaged_onnx_file(refused, tiny, how):
    damaged(tiny, how)
    refusal = refused(3, tiny.name, *DEVICE)
    assert "tiny.onnx" in refusal.wanted and refusal.next == "export or download the model again"


@DAMAGES
def test_a_damaged_tflite_file(refused, here, tflite, how):
    (here / "net.tflite").write_bytes(tflite["float_model"]())
    damaged(here / "net.tflite", how)
    refusal = refused(3, "net.tflite", *LITERT)
    assert "net.tflite" in refusal.wanted and refusal.next == "export or download the model again"


def test_a_damaged_exported_program(program, here):
    """In a process of its own, because torch logs to the standard error that it saw first."""
    torch = pytest.importorskip("torch", reason="needs torch to write a .pt2 file")
    linear = torch.nn.Linear(4, 2).eval()
    torch.export.save(torch.export.export(linear, (torch.zeros(1, 4),)), here / "net.pt2")
    damaged(here / "net.pt2", "cut off")
    refusal = program("build", "net.pt2", *DEVICE, "--input", "x=1x4", "--out", "out").refused(3)
    assert "net.pt2" in refusal.seen and refusal.next == "export or copy the model again"
    assert not (here / "out").exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
@pytest.mark.parametrize("how", ["empty", "noise"])
def test_damaged_weights(refused, here, name, how):
    (here / name).write_bytes(b"12")
    damaged(here / name, how)
    (here / "edge.toml").write_text(
        f'[model]\nsource = "zoo:resnet8"\nweights = "{name}"\n[[device]]\nprofile = "local-cpu"\n'
    )
    refusal = refused(3, "edge.toml")
    assert name in refusal.wanted + refusal.seen and refusal.next


def test_weights_that_do_not_exist(refused, here):
    (here / "edge.toml").write_text(
        '[model]\nsource = "zoo:resnet8"\nweights = "no.pt"\n[[device]]\nprofile = "local-cpu"\n'
    )
    assert "no.pt" in refused(2, "edge.toml").wanted


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("x=1x1x9x9", ("axis 2", "9 in 1x1x9x9", "declares 1x1x8x8")),
        ("x=1x8x8", ("4 axes", "1x8x8", "1x1x8x8")),
        ("X=1x1x8x8", ("input 'X'", "no input of that name", "x", "did you mean 'x'?")),
        ("x", ("name and a shape", "x", "NAME=1x3x320x320")),
        ("x=1xtwo", ("name and a shape", "x=1xtwo", "NAME=1x3x320x320")),
        ("x=0x1x8x8", ("name and a shape", "x=0x1x8x8", "NAME=1x3x320x320")),
        ("x=1x1x²x8", ("name and a shape", "x=1x1x²x8", "NAME=1x3x320x320")),
    ],
)
def test_a_shape_that_the_model_does_not_take(refused, tiny, given, words):
    refusal = refused(2, tiny.name, *DEVICE, "--input", given)
    parts = (refusal.wanted, refusal.seen, refusal.allowed, refusal.next)
    for part, word in zip(parts, words, strict=False):
        assert word in part, refusal
    assert refusal.next, "it says what to do"


def test_a_dynamic_batch_needs_a_size(refused, here, onnx_model):
    onnx_model(here / "dynamic.onnx", batch="N", inputs=("left", "right"))
    refusal = refused(2, "dynamic.onnx", *DEVICE)
    assert "input 'left' has the dynamic axis 0 (N); input 'right' has the dynamic axis 0 (N)" in refusal.seen
    assert "--input left=1x1x8x8 --input right=1x1x8x8" in refusal.next


def test_the_options_that_the_refusal_names_make_it_build(cli, here, onnx_model):
    onnx_model(here / "dynamic.onnx", batch="N", inputs=("left", "right"))
    refusal = cli("build", "dynamic.onnx", *DEVICE, "--out", "out").refused(2)
    options = refusal.next[refusal.next.index("--input") :].split()
    cli("build", "dynamic.onnx", *DEVICE, *options, "--out", "out", "--no-profile").fine()
    assert (here / "out" / "local-cpu" / "manifest.json").is_file()


def test_an_open_axis_of_a_tflite_file_is_confirmed_in_the_same_way(cli, here, tflite):
    weights = np.ones((3, 4), np.float32)
    (here / "open.tflite").write_bytes(tflite["float_model"](weights, open_axes=[1, -1]))
    refusal = cli("build", "open.tflite", *LITERT, "--out", "out").refused(2)
    assert "dynamic axis 1" in refusal.seen
    options = refusal.next[refusal.next.index("--input") : refusal.next.index(";")].split()
    cli("build", "open.tflite", *LITERT, *options, "--out", "out", "--no-profile").fine()


def test_an_operator_of_another_domain(refused, here, onnx_model):
    onnx_model(here / "custom.onnx", domain="com.example")
    refusal = refused(3, "custom.onnx", *DEVICE)
    assert "Sparkle 'middle'" in refusal.seen and "com.example" in refusal.seen
    assert "not supported" in refusal.wanted and "edgewright support" in refusal.next


def test_the_refusal_of_an_operator_leads_to_a_table(cli, here, onnx_model):
    onnx_model(here / "custom.onnx", domain="com.example")
    outcome = cli("support", "custom.onnx", *DEVICE[:4])
    assert outcome.status == 3
    assert "cannot run (5 native, 1 unsupported)" in outcome.out and "Sparkle" in outcome.out


def test_a_custom_operator_in_a_tflite_file(refused, here, tflite):
    made = tflite["unpack"](tflite["float_model"]())
    made.operatorCodes[0].builtinCode = 32  # CUSTOM
    made.operatorCodes[0].deprecatedBuiltinCode = 32
    made.operatorCodes[0].customCode = b"Sparkle"
    made.subgraphs[0].operators[0].builtinOptionsType, made.subgraphs[0].operators[0].builtinOptions = 0, None
    (here / "custom.tflite").write_bytes(tflite["pack"](made))
    refusal = refused(3, "custom.tflite", *LITERT)
    assert "Sparkle" in refusal.seen and "custom operator" in refusal.seen


def test_an_operator_that_does_not_exist_in_onnx(refused, here, tiny):
    import onnx

    model = onnx.load(tiny)
    model.graph.node[2].op_type = "Relu7"
    onnx.save(model, tiny)
    refusal = refused(3, tiny.name, *DEVICE)
    assert "Relu7" in refusal.seen


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_numbers(refused, here, onnx_model, value):
    weights = np.ones((4, 1, 3, 3), np.float32)
    weights[0, 0, 1, 1] = value
    onnx_model(here / "bad.onnx", weights=weights)
    refusal = refused(3, "bad.onnx", *DEVICE)
    assert "finite weights" in refusal.wanted and "'kernel'" in refusal.seen and refusal.next


def test_nan_in_a_tflite_file(refused, here, tflite):
    (here / "bad.tflite").write_bytes(tflite["float_model"](np.full((3, 4), np.nan, np.float32)))
    refusal = refused(3, "bad.tflite", *LITERT)
    assert "'weights'" in refusal.seen


def test_nan_in_weights_for_a_torch_model(refused, here):
    torch = pytest.importorskip("torch", reason="needs torch to write weights")
    from toolchain.frontend.source import load_module
    from toolchain.frontend.specs import ModelSpec

    state = load_module(ModelSpec(source="zoo:resnet8")).state_dict()
    first = next(name for name, values in state.items() if values.is_floating_point())
    state[first].view(-1)[0] = float("nan")
    torch.save(state, here / "bad.pt")
    (here / "edge.toml").write_text(
        '[model]\nsource = "zoo:resnet8"\nweights = "bad.pt"\n[[device]]\nprofile = "local-cpu"\n'
    )
    refusal = refused(3, "edge.toml")
    assert first in refusal.seen


def test_a_target_that_does_not_read_the_file(refused, here, tiny, tflite):
    (here / "net.tflite").write_bytes(tflite["float_model"]())
    for target, file, format_ in (("litert", "tiny.onnx", "onnx"), ("onnxruntime", "net.tflite", "tflite")):
        refusal = refused(3, file, "--device", "local-cpu", "--target", target)
        assert target in refusal.wanted and format_ in refusal.seen and refusal.next


@pytest.mark.parametrize("source", ["tiny", "a/b:c", "weights.pt", "zoo:resnet9", "nothere:make"])
def test_a_source_that_is_none(refused, source):
    refusal = refused(2, source, *DEVICE, "--input", "x=1x3x32x32")
    assert refusal.allowed or refusal.next


def test_the_nearest_network_is_named(refused):
    assert "resnet8" in refused(2, "zoo:resnet9", *DEVICE).next


def test_a_model_that_computes_nan(refused, here):
    """Finite weights, and an output that is not: found before anything is built from it."""
    import onnx
    from onnx import TensorProto, helper

    node = helper.make_node("Sqrt", ["x"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10), here / "nan.onnx")
    refusal = refused(3, "nan.onnx", *DEVICE)
    assert "finite values in the output 'y'" in refusal.wanted
