"""``edgewright-runtime`` with TensorRT on a fake GPU with a fake compiler; ``test_runner.py`` says what that proves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from profiles.errors import MissingToolError
from targets.runtime import runtime_zipapp
from targets.tensorrt import on_device
from targets.tensorrt.gpu.gpu import Gpu


@pytest.fixture
def call(machine, tmp_path):
    """``call(words…)`` runs the command on the fake machine."""

    def call(*words, status=0, program=("-P", "-m", "targets.runtime_main"), **settings):
        env = {**os.environ, **machine.env(), "EDGEWRIGHT_ENGINES": str(tmp_path / "engines"), **settings}
        argv = [sys.executable, *map(str, program), *map(str, words)]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, f"{words} ended with {done.returncode}, not {status}: {done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    return call


def test_build_compiles_every_batch_size_once_and_checks_the_outputs(call, make_bundle):
    bundle = make_bundle("tensorrt", batches=(1, 2)).folder
    first = call("build", bundle, "--json")
    found = json.loads(first.stdout)
    assert [row["batch"] for row in found["engines"]] == [1, 2] and found["golden_error"] == 0.0
    assert all(Path(row["engine"]).stat().st_size == row["size"] for row in found["engines"])
    assert first.stderr.count("compiling: no engine of this bundle is kept here yet") == 2
    again = call("build", bundle, "--json")
    assert json.loads(again.stdout) == found and not again.stderr, "the second time nothing is compiled"


def test_a_stale_engine_is_built_again_with_the_reason_and_pruned(call, make_bundle):
    bundle = make_bundle("tensorrt").folder
    call("verify", bundle)
    new = {"FAKE_TRT_VERSION": "10.7.0.1"}
    words = "the kept engine was built for tensorrt 10.3.0.26; this machine has tensorrt 10.7.0.1"
    assert words in call("verify", bundle, **new).stderr
    rows = json.loads(call("engines", "list", "--json", **new).stdout)
    assert sorted((row["key"]["site"]["version"], row["usable"]) for row in rows) == [
        ("10.3.0.26", False), ("10.7.0.1", True),
    ]  # fmt: skip
    done = json.loads(call("engines", "prune", "--json", **new).stdout)
    assert [Path(path).suffix for path in done["removed"]] == [".engine", ".json"]
    assert not call("verify", bundle, **new).stderr, "the engine for this version is still there"


def test_a_crash_of_the_library_is_an_error_in_words(call, make_bundle):
    words = call("verify", make_bundle("tensorrt").folder, status=1, FAKE_TRT="abort").stderr
    assert "the engine, asked to verify, ended without a result" in words and "SIGABRT" in words


def test_info_and_health(call):
    found = json.loads(call("info", "--json").stdout)["targets"]["tensorrt"]
    assert found["gpu"]["compute_capability"] == "8.6" and found["libraries"]["tensorrt"] == "10.3.0.26"
    call("health")
    assert "libcuda.so.1 was not found" in call("health", status=5, LD_LIBRARY_PATH="").stderr


@pytest.fixture
def asked(monkeypatch):
    """``asked(versions)``: the problems of a machine with a GPU and these libraries."""

    def asked(versions):
        def version(name):
            if name not in versions:
                raise MissingToolError(f"wanted {name}")
            return versions[name]

        monkeypatch.setattr(on_device, "find_gpu", lambda: Gpu("Orin", "8.7", "540.4.0", "12.6", 8 << 30))
        monkeypatch.setattr(on_device, "library_version", version)
        monkeypatch.setattr(on_device, "check_driver", lambda gpu, name: None)
        return [str(problem) for problem in on_device.problems()]

    return asked


def test_a_library_that_is_too_old_for_every_bundle_is_no_good_health(asked):
    (problem,) = asked({"tensorrt": "8.5.2.2"})
    assert "TensorRT 10.3 or later" in problem and "8.5.2.2" in problem
    assert asked({"tensorrt": "10.3.0.30"}) == []
    assert asked({"tensorrt": "8.5.2.2", "tensorrt_rtx": "1.7.1"}) == [], "one library that fits is enough"
    assert "wanted tensorrt" in asked({})[0]


def test_a_user_without_a_home_still_learns_what_the_machine_has(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    for variable in ("EDGEWRIGHT_ENGINES", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    found = on_device.describe()
    assert found["engines"] == [] and "EDGEWRIGHT_ENGINES=/path" in found["engines_kept_in"]


def test_one_file_does_it_all(call, make_bundle, tmp_path):
    runtime = runtime_zipapp("tensorrt", tmp_path / "runtime.pyz")
    done = call("profile", make_bundle("tensorrt").folder, "--runs", "5", "--json", program=(runtime,))
    metrics = json.loads(done.stdout)["metrics"]
    assert metrics["latency_p50"]["value"] > 0 and metrics["latency_p50"]["kind"] == "stand_in"
    assert "compiling: " in done.stderr and "kept as " in done.stderr
