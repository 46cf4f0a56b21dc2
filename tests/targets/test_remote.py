"""Bundles run over a real ssh connection, and what comes back."""

import json
import shutil
import stat
import subprocess

import numpy as np
import pytest

from profiles.errors import VerificationError
from targets import remote
from targets.artifact import Artifact, load_artifact, write_manifest
from targets.base import Compiled, TensorSpec
from targets.golden import Golden, load_golden, save_golden
from targets.null.runner import null_outputs

pytestmark = pytest.mark.sshd

QUICK = {"action": "profile", "settings": {"runs": 20, "warmup_seconds": 0.01, "max_warmup_seconds": 0.05}}


def test_verify(ask):
    assert ask({"action": "verify"}) == {"event": "result", "golden_error": 0.0}


def test_profile_measures_there(ask):
    events = []
    profile = ask(QUICK, events.append)["profile"]
    assert profile["metrics"]["latency_p50"]["kind"] == "measured"
    assert len(profile["metrics"]["latency_p50"]["samples"]) == 20
    assert profile["facts"]["engine"].startswith("null")
    uploads = [event for event in events if event["stage"] == "upload"]
    assert uploads[-1]["done"] == uploads[-1]["total"] > 0, "the upload reports its progress to the end"
    assert {event["stage"] for event in events} == {"upload", "profile"}


def test_outputs_come_back(ask, make_bundle, tmp_path):
    folder = make_bundle(tmp_path / "wide", width=60_000)
    inputs = np.random.default_rng(3).normal(size=(4, 1, 4)).astype(np.float32)
    np.savez(tmp_path / "in.npz", x=inputs)
    events = []
    request = {"action": "run", "inputs": str(tmp_path / "in.npz"), "outputs": str(tmp_path / "out.npz")}
    assert ask(request, events.append, folder=folder) == {"event": "result"}
    specs = (TensorSpec("y", (1, 60_000)),)
    expected = np.stack([null_outputs({"x": sample}, specs)["y"] for sample in inputs])
    with np.load(tmp_path / "out.npz") as archive:
        np.testing.assert_array_equal(archive["y"], expected)
    downloads = [event for event in events if event["stage"] == "download"]
    assert len(downloads) > 2, "large outputs come in pieces"
    assert downloads[-1]["done"] == downloads[-1]["total"] == (tmp_path / "out.npz").stat().st_size


def test_a_real_engine(ask, engine_python, tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs onnx; run: pip install 'edgewright[onnxruntime]'")
    pytest.importorskip("onnxruntime", reason="needs onnxruntime; run: pip install 'edgewright[onnxruntime]'")
    folder = onnx_bundle(onnx, tmp_path / "onnx")
    assert ask({"action": "verify"}, folder=folder, python=str(engine_python))["golden_error"] == 0.0
    profile = ask(QUICK, folder=folder, python=str(engine_python))["profile"]
    assert profile["metrics"]["latency_p50"]["value"] > 0


def onnx_bundle(onnx, folder):
    """y = relu(x), as the onnxruntime target would have written it."""
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "tiny", [x], [y])
    folder.mkdir()
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)], ir_version=9)
    onnx.save(model, folder / "model.onnx")
    sample = np.array([[[-1, 0, 1, 2]]], np.float32)
    expected = {"y": np.maximum(sample, 0)}
    save_golden(folder / "golden.npz", Golden({"x": sample}, expected, expected))
    compiled = Compiled(
        ("model.onnx",), (TensorSpec("x", (1, 4)),), (TensorSpec("y", (1, 4)),), {"threads": 1, "precision": "fp32"}
    )
    write_manifest(Artifact(folder, {"name": "b"}, "onnxruntime", "fp32", compiled, golden={"tolerance": {"y": 0.0}}))
    return folder


def test_golden_outputs_that_differ_name_the_device(refused, bundle):
    artifact = load_artifact(bundle)
    golden = load_golden(bundle / "golden.npz")
    save_golden(bundle / "golden.npz", Golden(golden.inputs, {"y": golden.outputs["y"] + 1}, golden.reference))
    write_manifest(artifact)
    error = refused(VerificationError, {"action": "verify"})
    assert "on " in error.wanted and "127.0.0.1" in error.wanted, "the error says on which machine outputs differ"


def test_the_folder_is_private_and_removed(ask, device):
    modes = []

    def look(event):
        modes.extend(stat.S_IMODE(path.stat().st_mode) for path in device.folder.iterdir())

    ask({"action": "profile", "settings": {"seconds": 0.5, "warmup_seconds": 0.01, "max_warmup_seconds": 0.05}}, look)
    assert modes, "the folder is there while the worker runs"
    assert set(modes) == {0o700}, "nobody else on the device may read the bundle"


def test_home_relative_interpreters_and_odd_names():
    assert remote.remote_command("~/my env/bin/python").startswith("~/'my env/bin/python' -E")
    assert remote.remote_command("python3; rm -rf ~").startswith("'python3; rm -rf ~' ")


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish", "tcsh"])
def test_the_command_survives_every_login_shell(shell, bare_python, tmp_path):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"needs the shell {shell}; run: sudo apt-get install {shell}")
    argv = [program, "-c", remote.remote_command(str(bare_python))]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert json.loads(done.stdout)["event"] == "hello", f"{shell} must start the bootstrap: {done.stderr}"
