"""Torch models as the build sees them. One small net of the user's own, trained and exported once."""

import io
import json
import sys

import numpy as np
import pytest

from profiles.errors import ConfigError, MissingToolError
from profiles.measurement import Kind
from toolchain.cache import open_cache
from toolchain.progress import Progress
from toolchain.project import project_from_dict
from toolchain.steps.source import open_source

NET = """
import torch

def make(width=4):
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, width, 3, padding=1), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(width, 3),
    )
"""
PROJECT = {
    "model": {
        "source": "my_net:make",
        "input": {"name": "image", "shape": [1, 1, 8, 8], "layout": "NCHW"},
        "classes": 3,
        "arguments": {"width": 6},
    },
    "data": {"source": "npz:samples.npz", "calibration": 8},
    "train": {"epochs": 2, "batch": 8, "seed": 1},
    "device": [{"profile": "local-cpu", "target": "onnxruntime"}],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the user's code and data, and a cache in which the model is trained and exported."""
    folder = tmp_path_factory.mktemp("torch")
    (folder / "my_net.py").write_text(NET)
    random = np.random.default_rng(1)
    labels = np.arange(60) % 3
    values = random.standard_normal((60, 1, 8, 8)).astype(np.float32) * 0.3 + labels[:, None, None, None]
    np.savez(folder / "samples.npz", x=values.astype(np.float32), y=labels)
    return folder


@pytest.fixture
def opened(place, monkeypatch):
    """``opened(**sections)``: the model with all tests of this file sharing one cache, and what was shown."""
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(place / "cache"))
    caches = []

    def run(**sections):
        caches.append(open_cache())
        shown = io.StringIO()
        project = project_from_dict({**PROJECT, **sections}, folder=place)
        return open_source(project, caches[-1], Progress(stream=shown)), shown

    yield run
    for cache in caches:
        cache.close()


def test_the_model_is_trained_exported_and_judged(opened):
    source, shown = opened()
    assert source.formats == ("onnx", "tflite", "pt2") and source.steps({"onnx"}) == 3
    model = source.export({"onnx"})
    assert model.onnx.is_file() and model.tflite is None
    assert [spec.name for spec in model.inputs] == ["image"] and model.outputs[0].shape == (1, 3)
    assert model.golden_inputs["image"].shape == (8, 1, 1, 8, 8) and "float64" in model.reference
    metrics = source.metrics()
    assert metrics["params"].value == 6 * 9 + 6 + 6 * 3 + 3
    assert metrics["macs"].value == 8 * 8 * 6 * 9 + 6 * 3
    accuracy = source.float_accuracy()
    assert accuracy.kind is Kind.MEASURED and accuracy.value >= 0.5, "brightness tells these classes apart"
    titles = [line.partition(" … ")[0] for line in shown.getvalue().splitlines() if " … " in line and "]" in line]
    assert len({title.partition("] ")[2] for title in titles}) == source.steps({"onnx"})


def test_everything_comes_from_the_cache_the_second_time(opened):
    opened()[0].export({"onnx"})
    source, shown = opened()
    first = source.export({"onnx"})
    assert first.onnx == source.files({"onnx"}).onnx, "files and export are the same here"
    numbered = [line for line in shown.getvalue().splitlines() if line.startswith("[")]
    assert numbered and all(line.endswith("(cached)") for line in numbered), shown.getvalue()
    assert len(numbered) == len(set(numbered)), "no step is shown twice"


def test_what_changes_the_model_changes_its_key(opened, place):
    first = opened()[0].model.key(opened()[0].model.spec)
    other = opened(model={**PROJECT["model"], "arguments": {"width": 4}})[0].model
    assert other.key(other.spec_with(None)) != first
    text = (place / "my_net.py").read_text()
    try:
        (place / "my_net.py").write_text(text + "\n# changed\n")
        changed = opened()[0].model
        assert [path.name for path in changed.key(changed.spec_with(None))["user code"]] == ["my_net.py"]
    finally:
        (place / "my_net.py").write_text(text)


def test_a_dry_run_knows_whether_training_is_done(opened, monkeypatch, tmp_path):
    opened()[0].export({"onnx"})
    assert opened()[0].planned("onnx") == ["train (cached)", "export to ONNX"]
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "empty"))
    assert opened()[0].planned("tflite") == ["train 2 epochs", "export to TFLite"]
    assert opened(train=None)[0].planned("onnx") == ["load my_net:make", "export to ONNX"]


def test_without_a_shape_it_is_asked_for(opened):
    with pytest.raises(ConfigError, match="input shape of 'my_net:make'") as caught:
        opened(model={"source": "my_net:make"})
    assert "--input" in caught.value.next_step


def test_a_zoo_model_knows_its_shape(opened):
    source, _ = opened(model={"source": "zoo:resnet8"}, data=None, train=None)
    assert source.inputs[0].shape == (1, 3, 32, 32)
    assert source.float_accuracy().kind is Kind.UNAVAILABLE


def test_files_that_do_not_exist(opened):
    with pytest.raises(ConfigError, match="model file") as caught:
        opened(model={"source": "no.pt2", "input": {"shape": [1, 4]}}, train=None)
    assert caught.value.seen == "no such file"
    with pytest.raises(ConfigError, match="weights file"):
        opened(model={"source": "zoo:resnet8", "weights": "no.pt"}, train=None)


def test_without_torch_it_says_how_to_install_it(opened, monkeypatch):
    monkeypatch.setattr("toolchain.steps.torch_inputs.installed_version", lambda name: None)
    with pytest.raises(MissingToolError) as caught:
        opened()
    assert "pip install 'edgewright[frontend]'" in caught.value.next_step


def test_looking_at_the_user_s_code_leaves_the_search_path_alone(opened):
    before = list(sys.path)
    model = opened()[0].model
    model.key(model.spec_with(None))
    assert sys.path == before
    missing = opened(model={**PROJECT["model"], "source": "nowhere:make"}, train=None)[0].model
    assert missing.key(missing.spec)["user code"] == "not found"


def test_losses_are_kept_with_the_weights(opened, place):
    opened()[0].export({"onnx"})
    (losses,) = (place / "cache" / "entries").glob("*/files/losses.json")
    assert len(json.loads(losses.read_text())) >= 2
