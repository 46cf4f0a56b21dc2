import numpy as np
import onnx
import pytest
import torch
from torch import nn

from profiles.errors import ConfigError, ModelError, OutputError, UnsupportedError
from targets.onnx_tools import list_nodes, load_onnx, opset
from targets.reference import run_onnx
from toolchain.export.onnx import SCOPE_KEY, export_onnx


def evaluated(module, inputs):
    with torch.no_grad():
        return module.eval()(*(torch.from_numpy(values) for values in inputs.values()))


@pytest.fixture(scope="module")
def exported(same_net, image, tmp_path_factory):
    return export_onnx(same_net, image, tmp_path_factory.mktemp("exported") / "m.onnx")


def test_the_file_computes_what_the_module_computes(same_net, image, exported):
    assert np.allclose(run_onnx(exported.path, image)["output"], evaluated(same_net, image), atol=1e-5)
    assert exported.format == "onnx"
    assert [(spec.name, spec.shape, spec.layout) for spec in exported.inputs] == [("image", (1, 3, 12, 10), "NCHW")]
    assert [(spec.name, spec.shape, spec.layout) for spec in exported.outputs] == [("output", (1, 5), "NC")]


def test_the_file_is_sound_of_opset_19_and_in_one_piece(exported):
    model = load_onnx(exported.path)
    onnx.checker.check_model(model, full_check=True)
    assert opset(model) == 19
    assert [path.name for path in exported.path.parent.iterdir()] == ["m.onnx"]


def test_nodes_are_named_after_their_layers(exported):
    nodes = {node.name: node.op for node in list_nodes(load_onnx(exported.path))}
    assert nodes["stem/Conv"] == "Conv"
    assert nodes["fc/Gemm"] == "Gemm"
    assert {"blocks.0/Add", "blocks.1/Add"} < set(nodes)
    assert exported.layers["blocks.1/Add"] == "blocks.1"
    assert set(exported.layers) == set(nodes)


def test_batch_norm_is_folded_into_the_convolutions(exported):
    operators = [node.op for node in list_nodes(load_onnx(exported.path))]
    assert operators.count("Conv") == 3
    assert "BatchNormalization" not in operators
    assert "Dropout" not in operators


def test_several_inputs_and_outputs_keep_order_and_names(several, image_and_vector, tmp_path):
    exported = export_onnx(several, image_and_vector, tmp_path / "m.onnx")
    expected = evaluated(several, image_and_vector)
    outputs = run_onnx(exported.path, image_and_vector)
    assert list(outputs) == ["map", "heads_0", "heads_1"] == [spec.name for spec in exported.outputs]
    assert np.allclose(outputs["map"], expected["map"], atol=1e-6)
    assert np.array_equal(outputs["heads_1"], expected["heads"][1])
    assert [spec.name for spec in exported.inputs] == ["image", "vector"]


def test_an_output_is_never_called_like_an_input(tmp_path):
    class Echo(nn.Module):
        def forward(self, x):
            return {"x": x + 1}

    values = {"x": np.zeros((1, 2), np.float32)}
    exported = export_onnx(Echo(), values, tmp_path / "m.onnx")
    assert np.array_equal(run_onnx(exported.path, values)["x_out"], [[1, 1]])


def test_nothing_in_the_file_tells_of_this_machine(exported):
    content = exported.path.read_bytes()
    for word in (
        b".py",
        b"/home",
        b"/root",
        b"site-packages",
        b"stack_trace",
        b"pkg.torch",
        str(exported.path.parent).encode(),
    ):
        assert word not in content, f"{word!r} is in the file"
    model = onnx.load_model_from_string(content)
    assert {pair.key for node in model.graph.node for pair in node.metadata_props} == {SCOPE_KEY}
    assert not model.metadata_props
    assert not model.graph.metadata_props


def test_the_module_is_left_as_it_was(net, image, tmp_path):
    net.train()
    net.blocks[0].eval()
    before = {name: values.clone() for name, values in net.state_dict().items()}
    export_onnx(net, image, tmp_path / "m.onnx")
    assert net.training
    assert net.fc.training
    assert not net.blocks[0].bn.training, "each submodule gets its own mode back"
    assert all(torch.equal(values, before[name]) for name, values in net.state_dict().items())


def test_exporters_chatter_stays_in_the_log(net, image, tmp_path, capfd):
    export_onnx(net, image, tmp_path / "m.onnx")
    seen = capfd.readouterr()
    assert (seen.out, seen.err) == ("", "")


def test_what_forward_prints_does_not_reach_standard_output(image, tmp_path, capfd):
    class Loud(nn.Module):
        def forward(self, x):
            print("I am here")
            return x * 2

    export_onnx(Loud(), image, tmp_path / "m.onnx")
    assert capfd.readouterr().out == ""


def test_a_forward_that_fails_is_a_model_error_with_the_layer(net, tmp_path):
    wrong = {"image": np.zeros((1, 4, 12, 10), np.float32)}
    with pytest.raises(ModelError, match=r"RuntimeError in layer 'stem' \(Conv2d\).*4 channels"):
        export_onnx(net, wrong, tmp_path / "m.onnx")
    assert not any(tmp_path.iterdir())


def test_a_result_that_is_no_tensor_is_a_model_error(image, tmp_path):
    class Odd(nn.Module):
        def forward(self, x):
            return x, 3

    with pytest.raises(ModelError, match="wanted a tensor as the model's output 'output_1'"):
        export_onnx(Odd(), image, tmp_path / "m.onnx")


def test_a_shape_that_depends_on_the_data_is_refused_with_the_line(tmp_path):
    class Cut(nn.Module):
        def forward(self, x):
            return x[:, : int(x.abs().sum()) % 3 + 1]

    with pytest.raises(
        UnsupportedError, match=r"layer '1' \(Cut\) at test_export_onnx\.py:\d+: return x.*depends on the data"
    ):
        export_onnx(nn.Sequential(nn.ReLU(), Cut()), {"x": np.ones((1, 6), np.float32)}, tmp_path / "m.onnx")
    assert not any(tmp_path.iterdir())


def test_weights_beyond_two_gigabytes_are_refused_before_any_work(tmp_path):
    class Huge(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(2**29, 2, device="meta"))

        def forward(self, x):
            raise AssertionError("forward must not run")

    with pytest.raises(UnsupportedError, match=r"4,294,967,296 B of weights\n  allowed: 2,147,483,647 B"):
        export_onnx(Huge(), {"x": np.zeros((1, 1), np.float32)}, tmp_path / "m.onnx")


@pytest.mark.parametrize("name", ["my input", "class", "1st", "self", ""])
def test_input_names_that_no_argument_can_have_are_refused(net, name, tmp_path):
    with pytest.raises(ConfigError, match="wanted input names"):
        export_onnx(net, {name: np.zeros((1, 3, 12, 10), np.float32)}, tmp_path / "m.onnx")


def test_an_unwritable_folder_is_an_output_error(net, image, tmp_path):
    with pytest.raises(OutputError):
        export_onnx(net, image, tmp_path / "nowhere" / "m.onnx")
