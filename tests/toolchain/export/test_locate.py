import numpy as np
import pytest
import torch
from torch import nn

from profiles.errors import UnsupportedError
from toolchain.export import onnx as export_module
from toolchain.export.blame import read_blame
from toolchain.export.locate import locate
from toolchain.export.onnx import export_onnx
from toolchain.export.tflite import export_tflite

X = {"x": np.random.default_rng(0).standard_normal((2, 8)).astype(np.float32)}


class Branch(nn.Module):
    def forward(self, x):
        if x.sum() > 0:  # the exporter cannot follow this
            return x
        return -x


class Numpy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.from_numpy(np.sort(x.detach().numpy()))

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Sorted(nn.Module):
    def forward(self, x):
        return Numpy.apply(x)


class Scaled(nn.Module):
    """Calls its layer with a number, a keyword and a nested tuple besides the tensor."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(2.0, pair=(x, None))


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.bad = Branch()

    def forward(self, factor, *, pair):
        return self.bad(pair[0] * factor)


class Listed(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def chain(bad):
    return nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.ReLU(inplace=True), bad), nn.Linear(8, 8))


def refusal(export, module, tmp_path):
    with pytest.raises(UnsupportedError) as failure:
        export(module, X, tmp_path / "m")
    return failure.value


def test_a_branch_on_the_data_is_found_with_its_line(tmp_path):
    error = refusal(export_onnx, chain(Branch()), tmp_path)
    assert "layer '1.1' (Branch) at test_locate.py:" in error.seen
    assert "if x.sum() > 0:" in error.seen
    assert "torch.where" in error.next_step


def test_a_custom_function_that_leaves_torch_is_found(tmp_path):
    error = refusal(export_tflite, chain(Sorted()), tmp_path)
    assert "layer '1.1' (Sorted) at test_locate.py:" in error.seen
    assert "x.detach().numpy()" in error.seen


def test_layers_in_lists_have_their_own_names(tmp_path):
    assert "layer 'layers.1' (Branch)" in refusal(export_onnx, Listed(nn.ReLU(), Branch()), tmp_path).seen


def test_layers_called_with_more_than_tensors_are_replayed(tmp_path):
    assert "layer 'inner.bad' (Branch)" in refusal(export_onnx, Scaled(Inner()), tmp_path).seen


def test_a_fault_of_the_model_itself_is_not_put_on_a_layer(tmp_path):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.fine = nn.Linear(8, 8)

        def forward(self, x):
            return self.fine(x) if x.sum() > 0 else self.fine(-x)

    assert "the model's own forward (Own)" in refusal(export_onnx, Own(), tmp_path).seen


def test_a_bug_in_the_exporter_is_found_by_its_layer(tmp_path, monkeypatch):
    right = export_module.convert_onnx

    def broken(module, inputs):
        model, log = right(module, inputs)
        if any(node.op_type in {"Erf", "Gelu"} for node in model.graph.node):
            raise KeyError("an internal table has no such entry")
        return model, log

    monkeypatch.setattr(export_module, "convert_onnx", broken)
    error = refusal(export_onnx, chain(nn.GELU()), tmp_path)
    assert "layer '1.1' (GELU)" in error.seen
    assert "an internal table has no such entry" in error.seen
    assert "--debug" in error.next_step


def test_layers_are_tried_on_what_they_were_called_with():
    """An in-place layer must not change what is recorded for the layers before it."""
    calls = {}

    def attempt(module, inputs):
        calls[type(getattr(module, "layer", module)).__name__] = {k: v.copy() for k, v in inputs.items()}

    net = nn.Sequential(nn.Identity(), nn.ReLU(inplace=True))
    culprit = locate(net, X, ValueError("as a whole"), attempt)
    assert (culprit.name, culprit.kind, culprit.tried) == ("", "Sequential", 2)
    assert np.array_equal(next(iter(calls["ReLU"].values())), X["x"]), "with its negative values"


def test_only_relevant_failures_count():
    def attempt(module, inputs):
        raise TypeError("of another kind")

    culprit = locate(chain(nn.ReLU()), X, ValueError("x"), attempt, relevant=lambda e: isinstance(e, ValueError))
    assert culprit.name == ""


def test_the_first_failing_layer_is_reported_and_modes_come_back():
    def attempt(module, inputs):
        if isinstance(getattr(module, "layer", None), nn.Linear):
            raise ValueError("linear")

    net = chain(nn.ReLU())
    net.train()
    assert locate(net, X, ValueError("x"), attempt).name == "0"
    assert all(part.training for part in net.modules())


def test_an_exception_without_words_is_named_by_its_class():
    assert read_blame(KeyError()).reason == "KeyError"


def test_the_innermost_reason_counts():
    try:
        try:
            raise ValueError("the cause\nand details")
        except ValueError as cause:
            raise RuntimeError("## Exception summary") from cause
    except RuntimeError as error:
        assert read_blame(error).reason == "the cause"
