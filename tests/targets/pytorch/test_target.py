"""The target: never chosen by itself, and honest about GPUs."""

import dataclasses

import pytest
import torch

from profiles.device import device_names, load_device
from profiles.errors import ConfigError, UnsupportedError
from targets.pytorch import place
from targets.pytorch.target import PyTorchTarget
from targets.registry import BASELINE, TARGETS, default_target, load_target

TARGET = PyTorchTarget()


def test_it_is_never_the_default():
    for name in device_names():
        device = load_device(name)
        if BASELINE in device.targets:
            assert device.targets[-1] == BASELINE, f"{name}: targets are listed best first"
            if any(other in TARGETS and other != BASELINE for other in device.targets):
                assert default_target(device, ("onnx", "tflite", "pt2")) != BASELINE
    with pytest.raises(ConfigError):
        default_target(load_device("local-cpu"), ("pt2",))


def test_the_bundle_is_the_program(model, processor, tmp_path):
    compiled = TARGET.compile(model, processor(threads=3), tmp_path)
    assert compiled.files == ("model.pt2",)
    assert (tmp_path / "model.pt2").read_bytes() == model.pt2.read_bytes()
    assert compiled.options == {"threads": 3, "compile": False}
    assert (compiled.inputs, compiled.outputs) == (model.inputs, model.outputs), "canonical, as the module has them"
    assert TARGET.compile(model, processor(torch_compile=True), tmp_path).options["compile"] is True


def test_without_a_program_there_is_no_bundle(model, processor, tmp_path):
    with pytest.raises(UnsupportedError, match=r"needs a \.pt2 program") as caught:
        TARGET.compile(dataclasses.replace(model, pt2=None), processor(), tmp_path)
    assert "torch model" in caught.value.next_step


@pytest.mark.parametrize(
    ("built_for", "there", "wanted"),
    [(None, False, "without CUDA"), ("12.8", False, "no NVIDIA GPU"), ("12.8", True, "")],
)
def test_a_gpu_without_cuda_is_absent(gpu, processor, monkeypatch, built_for, there, wanted):
    monkeypatch.setattr(torch.version, "cuda", built_for)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert (wanted in TARGET.absent(gpu)) if wanted else TARGET.absent(gpu) == ""
    assert TARGET.absent(processor()) == "", "a processor is always there"
    if there:
        assert place.require(place.CUDA) == place.CUDA


def test_nothing_is_quantized(model):
    assert TARGET.layer_errors(model, []) == [] and TARGET.calibrators == ()
    assert load_target(BASELINE).side_by_side == ()
