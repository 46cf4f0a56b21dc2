import numpy as np
import pytest
import torch
from torch import nn

from profiles.errors import ConfigError, ModelError, OutputError, UnsupportedError, VerificationError
from toolchain.export.modules import run_module
from toolchain.export.onnx import export_onnx
from toolchain.export.parity import check_parity
from toolchain.export.torch_program import ProgramReference, export_program
from toolchain.frontend.exported import load_exported


@pytest.fixture(autouse=True)
def one_thread():
    """The bits of a sum depend on how many threads share it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def exported(same_net, image, tmp_path_factory):
    return export_program(same_net, image, tmp_path_factory.mktemp("exported") / "m.pt2")


def outputs(exported, sample):
    return ProgramReference(exported.path, tuple(spec.name for spec in exported.outputs)).run(sample)


def test_the_file_computes_the_bits_of_the_module(same_net, image, exported):
    seen, wanted = outputs(exported, image), run_module(same_net, image)
    assert list(seen) == ["output"] and np.array_equal(seen["output"], wanted["output"])
    assert exported.format == "pt2"
    assert [(spec.name, spec.shape, spec.layout) for spec in exported.inputs] == [("image", (1, 3, 12, 10), "NCHW")]
    assert [(spec.name, spec.shape, spec.layout) for spec in exported.outputs] == [("output", (1, 5), "NC")]


def test_operators_keep_the_names_of_their_layers(exported):
    layers = exported.layers
    assert layers["stem/conv2d"] == "stem" and layers["blocks.1.bn/batch_norm"] == "blocks.1.bn"
    assert layers["blocks.0/add"] == "blocks.0" and layers["fc/linear"] == "fc"


def test_several_inputs_and_outputs_keep_order_and_names(several, image_and_vector, tmp_path):
    exported = export_program(several, image_and_vector, tmp_path / "m.pt2")
    seen, wanted = outputs(exported, image_and_vector), run_module(several, image_and_vector)
    assert list(seen) == list(wanted) == ["map", "heads_0", "heads_1"]
    assert all(np.array_equal(seen[name], wanted[name]) for name in wanted)
    assert [(spec.name, spec.dtype) for spec in exported.outputs][-1] == ("heads_1", "int64")


def test_the_module_stays_as_it_is(net, image, tmp_path):
    net.train()
    net.bn_kept_in_eval = nn.BatchNorm2d(2).eval()
    export_program(net, image, tmp_path / "m.pt2")
    assert net.training and not net.bn_kept_in_eval.training, "every part keeps its own mode"


def test_parity_is_checked_against_float64(same_net, image, exported):
    report = check_parity(same_net, exported, [image])
    assert report.ok and (report.format, report.reference) == ("pt2", "torch, float64")
    assert 0 < report.max_error < report.tolerance / 10
    assert "program" in report.engine


def test_another_module_s_program_is_refused(net, image, tmp_path):
    exported = export_program(net, image, tmp_path / "m.pt2")
    with torch.no_grad():
        net.fc.bias += 0.1
    with pytest.raises(VerificationError, match="PyTorch program export to compute what the torch module") as caught:
        check_parity(net, exported, [image])
    assert "output 'output' is off by up to 0.1" in caught.value.seen


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Choice()

    def forward(self, x):
        return self.inner(x * 2)


class Choice(nn.Module):
    def forward(self, x):
        return x + 1 if x.sum() > 0 else x - 1


def test_control_flow_that_depends_on_the_data_names_the_layer(tmp_path):
    with pytest.raises(UnsupportedError, match="wanted the model as a PyTorch program") as caught:
        export_program(Branching(), {"x": np.ones((1, 4), np.float32)}, tmp_path / "m.pt2")
    assert "layer 'inner' (Choice)" in caught.value.seen
    assert "torch.where" in caught.value.next_step
    assert not (tmp_path / "m.pt2").exists()


def test_what_forward_refuses_is_the_model_s_fault(same_net, tmp_path):
    with pytest.raises(ModelError, match="one forward run"):
        export_program(same_net, {"image": np.zeros((1, 4, 8, 8), np.float32)}, tmp_path / "m.pt2")
    with pytest.raises(ConfigError, match="input names"):
        export_program(same_net, {"my image": np.zeros((1, 3, 8, 8), np.float32)}, tmp_path / "m.pt2")


def test_a_place_that_cannot_be_written_is_an_error_of_ours(same_net, image, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        export_program(same_net, image, tmp_path / "file" / "m.pt2")


def test_a_program_of_the_user_s_can_be_exported_again(net, image, tmp_path):
    with torch.no_grad():
        program = torch.export.export(net.eval(), tuple(torch.from_numpy(values) for values in image.values()))
    torch.export.save(program, tmp_path / "user.pt2")
    exported = export_program(load_exported(tmp_path / "user.pt2"), image, tmp_path / "m.pt2")
    assert np.array_equal(outputs(exported, image)["output"], run_module(net, image)["output"])
    assert exported.layers["stem/conv2d"] == "stem", "names of layers survive"
    onnx = export_onnx(load_exported(tmp_path / "user.pt2"), image, tmp_path / "m.onnx")
    assert check_parity(net, onnx, [image]).ok, "such a program knows no training mode, and is not asked for it"


def test_the_same_module_gives_the_same_bytes(same_net, image, exported, tmp_path):
    export_program(nn.Linear(2, 2), {"x": np.zeros((1, 2), np.float32)}, tmp_path / "other.pt2")
    again = export_program(same_net, image, tmp_path / "another-name.pt2")
    assert again.path.read_bytes() == exported.path.read_bytes()
