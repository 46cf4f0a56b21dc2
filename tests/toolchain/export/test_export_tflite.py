import numpy as np
import pytest
import torch
from torch import nn

from profiles.errors import UnsupportedError
from targets.reference import run_tflite
from targets.tflite_tools import read_tflite
from targets.tflite_verify import verify_tflite
from toolchain.export.tflite import export_tflite


@pytest.fixture(scope="module")
def exported(same_net, image, tmp_path_factory):
    return export_tflite(same_net, image, tmp_path_factory.mktemp("exported") / "m.tflite")


def evaluated(module, inputs):
    with torch.no_grad():
        return module.eval()(*(torch.from_numpy(values) for values in inputs.values()))


def test_the_file_computes_what_the_module_computes(same_net, image, exported):
    outputs = run_tflite(exported.path, image, exported.channel_last)
    assert np.allclose(outputs["output"], evaluated(same_net, image), atol=1e-5)
    assert [(spec.name, spec.shape, spec.layout) for spec in exported.inputs] == [("image", (1, 3, 12, 10), "NCHW")]


def test_images_have_the_channel_axis_last_in_the_file(exported):
    file = read_tflite(exported.path)
    assert exported.channel_last == ("image",)
    assert [(io.name, io.tensor.shape) for io in file.inputs] == [("image", (1, 12, 10, 3))]
    assert [(io.name, io.tensor.shape) for io in file.outputs] == [("output", (1, 5))]


def test_the_file_is_sound_and_batch_norm_is_folded(exported):
    verify_tflite(exported.path.read_bytes(), "m.tflite")
    operators = [op.op for op in read_tflite(exported.path).operators]
    assert operators.count("CONV_2D") == 3
    assert "MUL" not in operators, "batch norm must not remain as a multiplication"


def test_tensors_are_named_after_their_layers(exported):
    file = read_tflite(exported.path)
    names = {tensor.name for tensor in file.tensors}
    assert {"image", "output", "blocks.0.conv", "blocks.1.conv", "blocks.1"} <= names
    assert exported.layers["blocks.1.conv"] == "blocks.1.conv"
    assert len(names) == len(file.tensors), "names are unique"
    assert set(exported.layers) <= names


def test_several_inputs_and_outputs_keep_their_names(several, image_and_vector, tmp_path):
    exported = export_tflite(several, image_and_vector, tmp_path / "m.tflite")
    assert exported.channel_last == ("image", "map"), "vectors are not touched"
    outputs = run_tflite(exported.path, image_and_vector, exported.channel_last)
    expected = evaluated(several, image_and_vector)
    assert np.allclose(outputs["map"], expected["map"], atol=1e-6)
    assert np.allclose(outputs["heads_0"], expected["heads"][0], atol=1e-6)
    assert np.array_equal(outputs["heads_1"], expected["heads"][1])
    assert [spec.name for spec in exported.outputs] == ["map", "heads_0", "heads_1"]


def test_the_channel_axis_stays_where_it_is_when_asked(several, image_and_vector, tmp_path):
    exported = export_tflite(several, image_and_vector, tmp_path / "m.tflite", channel_last=["map"])
    file = read_tflite(exported.path)
    shapes = {io.name: io.tensor.shape for io in (*file.inputs, *file.outputs)}
    assert exported.channel_last == ("map",)
    assert shapes["image"] == (1, 2, 5, 7)
    assert shapes["map"] == (1, 5, 7, 4)
    outputs = run_tflite(exported.path, image_and_vector, exported.channel_last)
    assert np.allclose(outputs["map"], evaluated(several, image_and_vector)["map"], atol=1e-6)


def test_one_value_given_out_twice_has_both_names(tmp_path):
    class Twice(nn.Module):
        def forward(self, x):
            y = torch.relu(x)
            return y, y

    values = {"x": np.array([[-1.0, 2.0]], np.float32)}
    outputs = run_tflite(export_tflite(Twice(), values, tmp_path / "m.tflite").path, values)
    assert {name: out.tolist() for name, out in outputs.items()} == {"output_0": [[0, 2]], "output_1": [[0, 2]]}


def test_integers_of_64_bits_become_32_bits_wide(tmp_path):
    values = {"tokens": np.array([[1, 4, 2]], np.int64)}
    torch.manual_seed(0)
    table = nn.Embedding(6, 3)
    exported = export_tflite(table, values, tmp_path / "m.tflite")
    assert read_tflite(exported.path).inputs[0].tensor.dtype == "int32"
    assert np.allclose(run_tflite(exported.path, values)["output"], evaluated(table, values))


def test_layers_that_look_alike_keep_the_converters_names(tmp_path):
    """Two lists of equal layers: the converter spells both the same, so no name is guessed."""

    class Lists(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.ModuleList([nn.Linear(4, 4)]), nn.ModuleList([nn.Linear(4, 4)])

        def forward(self, x):
            return self.right[0](torch.relu(self.left[0](x)))

    exported = export_tflite(Lists(), {"x": np.zeros((1, 4), np.float32)}, tmp_path / "m.tflite")
    assert not {"left.0", "right.0"} & set(exported.layers.values())


def test_the_module_is_left_as_it_was(net, image, tmp_path):
    net.train()
    export_tflite(net, image, tmp_path / "m.tflite")
    assert all(part.training for part in net.modules())


def test_exporters_chatter_stays_in_the_log(net, image, tmp_path, capfd):
    exported = export_tflite(net, image, tmp_path / "m.tflite")
    seen = capfd.readouterr()
    assert (seen.out, seen.err) == ("", "")
    assert "LiteRT-Torch" in exported.log


def test_an_operator_that_the_converter_lacks_is_named_with_its_layer_and_line(tmp_path):
    class Eigen(nn.Module):
        def forward(self, x):
            return torch.linalg.eigvals(x).real

    chain = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Identity(), Eigen()))
    with pytest.raises(UnsupportedError) as failure:
        export_tflite(chain, {"x": np.eye(3, dtype=np.float32)[None]}, tmp_path / "m.tflite")
    assert "layer '1.1' (Eigen), operator aten.linalg_eig at test_export_tflite.py" in failure.value.seen
    assert "return torch.linalg.eigvals(x).real" in failure.value.seen
    assert not any(tmp_path.iterdir()), "no half-written file"
