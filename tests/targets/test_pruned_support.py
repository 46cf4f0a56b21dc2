"""Every target says what it cannot use of a pruned model: zeros, a sparse plus low-rank sum, a gate."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the pruned model is exported from torch")
from torch import nn  # noqa: E402

from profiles.device import load_device  # noqa: E402
from targets.base import ExportedModel  # noqa: E402
from targets.network import network  # noqa: E402
from targets.registry import load_target, missing_packages, target_names  # noqa: E402
from targets.sparsity import DENSE, Sparsity, find  # noqa: E402
from targets.tensorrt.advice.zeros import zeros  # noqa: E402
from targets.tensorrt.plan import BuildPlan  # noqa: E402
from toolchain.compress.catalogue import all_methods  # noqa: E402
from toolchain.compress.catalogue.method import SPARSE_TENSOR_CORES  # noqa: E402

INPUTS = {"x": np.ones((1, 4, 8, 8), np.float32)}
FORMATS = ("onnx", "tflite", "pt2")
TWO_FOUR = Sparsity(layers=2, weights=8, zeros=4, patterns={"2:4": ("a",)})


class Pruned(nn.Module):
    """A 2:4 layer beside a low-rank pair, a branch behind a gate, and a 4:8 layer."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(4, 8, 3, padding=1)
        self.sparse = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.down, self.up = nn.Conv2d(8, 2, 3, padding=1, bias=False), nn.Conv2d(2, 8, 1)
        self.gate, self.branch = nn.Linear(8, 1), nn.Conv2d(8, 8, 1)
        self.last = nn.Linear(8, 6)
        with torch.no_grad():
            self.sparse.weight[:, ::2] = 0
            self.last.weight[:, 3:] = 0

    def forward(self, x):
        x = torch.relu(self.first(x))
        x = torch.relu(self.sparse(x) + self.up(self.down(x)))
        opened = (self.gate(x.mean((2, 3))) > 0).to(x.dtype)
        x = x + opened[:, :, None, None] * torch.relu(self.branch(x))
        return self.last(x.mean((2, 3)))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """By format."""
    from toolchain.export.onnx import export_onnx
    from toolchain.export.tflite import export_tflite
    from toolchain.export.torch_program import export_program

    torch.manual_seed(0)
    module, folder = Pruned().eval(), tmp_path_factory.mktemp("pruned")
    exporters = dict(zip(FORMATS, (export_onnx, export_tflite, export_program), strict=True))
    made = {kind: exporter(module, INPUTS, folder / f"net.{kind}") for kind, exporter in exporters.items()}
    return {
        kind: ExportedModel("net", one.inputs, one.outputs, **{kind: one.path}, tflite_channel_last=one.channel_last)
        for kind, one in made.items()
    }


def device_for(name):
    own = {"tflite_micro": "cortex-m55-an547", "tensorrt": "rtx-a2000", "tvm_fpga": "fpga-sim-16x16"}
    return load_device(own.get(name, "local-cpu"))


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_both_formats_show_the_same(models, kind):
    found, module = find(network(models[kind])), Pruned()
    layers = [part.weight for part in module.modules() if isinstance(part, (nn.Conv2d, nn.Linear))]
    assert (found.layers, found.weights) == (len(layers), sum(weight.numel() for weight in layers))
    assert found.zeros == 8 * 4 * 9 + 6 * 5
    assert {name: len(names) for name, names in found.patterns.items()} == {"2:4": 1, "4:8": 1}
    assert (len(found.sums), len(found.gates), found.branches) == (1, 1, ())


@pytest.mark.parametrize("name", [name for name in target_names() if name != "null"])
def test_every_target_says_what_it_cannot_use(models, name):
    target = load_target(name)
    if missing_packages(target):
        pytest.skip(f"the target '{name}' is not installed")
    report = target.support(models[target.formats[0]], device_for(name), target.precisions[0])
    said = [note for note in report.notes if "zero" in note or "computed" in note]
    assert report.ok == (name != "tflite_micro"), (
        "comparisons have no firmware kernels; the notes are there all the same"
    )
    zeros_said = "28% of the weights are zero (2:4 in 1 of 7 layers, 4:8 in 1 of 7 layers); "
    assert [note for note in said if note.startswith(zeros_said + DENSE)]
    assert [note for note in said if "(sparse plus low rank); computed densely" in note]
    assert [note for note in said if "gated by a decision on each input; what is gated off is computed" in note]
    assert report.as_dict()["notes"] == report.notes, "--json has them"


def plan(precision="fp16", capability="8.6", **options):
    return BuildPlan("tensorrt_rtx", precision, (capability,), **options)


@pytest.mark.parametrize(
    ("built", "said"),
    [
        (plan(sparse_weights=True), "sparse tensor cores may skip those of 1 layer"),
        (plan("int8", "12.0", sparse_weights=True), "sparse tensor cores may skip those of 1 layer"),
        (plan(), "set parameters.sparse_weights = true"),
        (plan(capability="7.5", sparse_weights=True), "7.5 has no sparse tensor cores"),
        (plan("fp32", sparse_weights=True), "no sparse kernels in fp32"),
        (plan(sparse_weights=True, dla_core=0), "built for the DLA"),
    ],
)
def test_sparse_tensor_cores_skip_2_4_where_they_exist_and_are_allowed_to(built, said):
    clause = zeros(TWO_FOUR, built)
    assert said in clause
    assert clause.startswith(DENSE) != clause.startswith("sparse tensor cores may skip")


def test_zeros_without_the_pattern_are_nothing_to_sparse_tensor_cores():
    found = dataclasses.replace(TWO_FOUR, patterns={"4:8": ("a",)})
    assert zeros(found, plan(sparse_weights=True)).startswith(DENSE)


def test_the_catalogue_promises_no_more_than_targets_say_of_themselves():
    """Sparse tensor cores are the only place where zeros save anything, and one target has them."""
    assert {name for name in target_names() if load_target(name).exploits} == {"tensorrt"}
    assert load_target("tensorrt").exploits == {"2:4"}
    sparse = [saving for method in all_methods() if method.step == "sparsify" for saving in method.saves]
    promised = {saving.where for saving in sparse if saving.what in ("latency", "MACs")}
    assert all(where.startswith(("no target", "TensorRT")) or where == SPARSE_TENSOR_CORES for where in promised)
