"""``edgewright-runtime`` as a user has it: one file, a Python with numpy, and real child processes."""

import dataclasses
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import zipfile

import numpy as np
import pytest

from profiles import exit_codes
from profiles.measurement import Kind
from profiles.profiler import Profile
from targets import runtime_cli
from targets.artifact import load_artifact, write_manifest
from targets.base import TensorSpec
from targets.null.runner import null_outputs
from targets.runtime import runtime_zipapp
from targets.runtime_main import main
from targets.runtime_tables import engines_text, info_text
from toolchain.cli import exit_codes as of_the_main_program

#: A target's part for devices that does what the variable FAKE says.
ON_DEVICE = """
    import os, signal, sys, time
    from profiles.errors import MissingToolError, ToolCrashError
    FAKE = os.environ.get("FAKE", "")
    ROW = {"path": "/engines/a.engine", "size": 3145728, "usable": FAKE != "stale", "notes": [], "seconds": 41.0,
           "sha256": "00", "key": {"batch": 8, "model": "m", "plan": "p", "site": {"gpu": "Orin",
           "compute_capability": "8.7", "driver": "driver 540.4", "library": "tensorrt", "version": "10.3"}}}
    def build(folder, rebuild, tell):
        if FAKE == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if FAKE == "bug":
            raise ZeroDivisionError("of the vendor")
        if FAKE == "endless":
            tell(f"child {os.getpid()}")
            time.sleep(60)
        tell("compiling: asked to" if rebuild else "compiling: no engine is kept")
        print("the vendor's chatter")
        return [{"batch": 1, "engine": "/engines/a.engine", "size": 3145728}]
    def describe():
        gpu = {"name": "Orin", "compute_capability": "8.7", "memory": 8 << 30, "driver": "", "cuda": "12.6"}
        missing = MissingToolError("wanted a GPU", seen="none", next_step="plug one in").as_dict()
        return {"gpu": None if FAKE == "no gpu" else gpu, "gpu_missing": missing, "libraries": {"tensorrt": "10.3.0"},
                "engines_kept_in": "/engines", "engines": engines()}
    def problems():
        return [MissingToolError("wanted a GPU", seen="none", next_step="plug one in")] if FAKE == "no gpu" else []
    def engines():
        return [ROW]
    def prune(everything):
        return {"removed": ["/engines/a.engine"] if everything else [], "freed": 3145728 if everything else 0}
"""


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """The runtime of a target that has nothing to do on the device."""
    return runtime_zipapp("null", tmp_path_factory.mktemp("runtime") / "edgewright-runtime")


@pytest.fixture(scope="session")
def compiling(plain, tmp_path_factory):
    """The runtime of a target that compiles on the device."""
    path = tmp_path_factory.mktemp("runtime") / "edgewright-runtime"
    shutil.copy(plain, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("targets/null/on_device.py", textwrap.dedent(ON_DEVICE))
    return path


@pytest.fixture
def call(numpy_python, tmp_path):
    """``call(runtime, words…, fake=…)`` runs the program in an empty folder, far from this repository."""

    def call(runtime, *words, fake="", status=0, python=numpy_python):
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "FAKE": fake}
        argv = [python, runtime, *map(str, words)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path, env=env, timeout=60)
        assert done.returncode == status, f"{words} ended with {done.returncode}, not {status}: {done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    return call


def test_the_help_needs_not_even_numpy(plain, bare_python, call):
    text = call(plain, "--help", python=bare_python).stdout
    for name, meaning in runtime_cli.COMMANDS.items():
        assert f"{name} " in text and meaning.split(",")[0][:40] in text


@pytest.mark.parametrize("name", runtime_cli.COMMANDS)
def test_every_command_has_help(capsys, name):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: edgewright-runtime {name}")


@pytest.mark.parametrize(
    ("words", "seen", "step"),
    [
        ([], "none", "edgewright-runtime -h"),
        (["profil"], "'profil'", "did you mean 'profile'?"),
        (["build"], "", "edgewright-runtime build --help"),
        (["build", "x", "--fast"], "", "edgewright-runtime --help"),
        (["profile", "x", "--runs", "0"], "", "edgewright-runtime profile --help"),
        (["profile", "x", "--seconds", "nan"], "", "edgewright-runtime profile --help"),
        (["engines", "burn"], "", "edgewright-runtime engines --help"),
        (["build", "nowhere"], "no manifest.json there", "edgewright build"),
    ],
)
def test_wrong_usage_is_2_and_says_what_to_do(capsys, words, seen, step):
    assert main(words) == 2
    done = capsys.readouterr()
    assert done.err.startswith("edgewright-runtime: ") and not done.out
    assert seen in done.err and step in done.err


def test_exit_codes_are_those_of_the_main_program():
    assert of_the_main_program.exit_code is exit_codes.exit_code
    assert of_the_main_program.MEANINGS is exit_codes.MEANINGS


# build and verify


def test_a_target_that_compiles_nothing_here_only_checks_its_outputs(plain, call, bundle):
    assert call(plain, "build", bundle).stdout == "golden outputs: as recorded (largest difference 0)\n"


def test_build_says_what_is_done_and_where_the_engine_is(compiling, call, bundle):
    done = call(compiling, "build", bundle)
    assert done.stdout.splitlines() == [
        "batch  size   engine",
        "1      3 MiB  /engines/a.engine",
        "golden outputs: as recorded (largest difference 0)",
    ]
    assert done.stderr == "edgewright-runtime: compiling: no engine is kept\n", "notes, and nothing of the vendor's"


def test_build_as_json(compiling, call, bundle):
    done = call(compiling, "build", bundle, "--json", "--rebuild")
    assert json.loads(done.stdout) == {
        "engines": [{"batch": 1, "engine": "/engines/a.engine", "size": 3145728}],
        "golden_error": 0.0,
    }
    assert done.stderr == "edgewright-runtime: compiling: asked to\n"


def test_a_compiler_that_dies_is_an_error_in_words(compiling, call, bundle):
    words = call(compiling, "build", bundle, fake="segfault", status=1).stderr
    assert "the engine, asked to build, ended without a result" in words
    assert "signal 11 (SIGSEGV)" in words and "next:" in words


def test_a_compiler_that_raises_is_an_error_in_words(compiling, call, bundle):
    words = call(compiling, "build", bundle, fake="bug", status=1).stderr
    assert "the engine failed during 'build'" in words and "ZeroDivisionError: of the vendor" in words


def test_a_changed_bundle_is_6(plain, call, bundle):
    (bundle / "model.bin").write_bytes(b"other")
    assert "model.bin differs from its manifest" in call(plain, "profile", bundle, status=6).stderr


def test_other_outputs_are_6(plain, call, bundle):
    artifact = load_artifact(bundle)
    with np.load(bundle / "golden.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["output/y"] = arrays["output/y"] + np.float32(1)
    np.savez(bundle / "golden.npz", **arrays)
    write_manifest(artifact)
    assert "output 'y' must equal the golden one" in call(plain, "build", bundle, status=6).stderr


def test_sigterm_ends_the_compiler_too(compiling, numpy_python, bundle, tmp_path):
    """That is how a container is stopped; the first process of a container gets no default action for it."""
    env = {"PATH": os.environ["PATH"], "FAKE": "endless"}
    argv = [numpy_python, compiling, "build", bundle]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=env, cwd=tmp_path) as process:
        child = int(process.stderr.readline().rpartition(" ")[2])
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == exit_codes.TERMINATED
        assert process.stderr.read() == "edgewright-runtime: terminated\n"
    end = time.monotonic() + 20
    while os.path.exists(f"/proc/{child}") and time.monotonic() < end:
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{child}"), "the compiler must not outlive the program"


# profile


def pretend_to_be(bundle, arch):
    """Make the bundle one for machines of an architecture."""
    artifact = load_artifact(bundle)
    device = {"name": "board", "identity": {"arch": arch, "model_contains": []}}
    write_manifest(dataclasses.replace(artifact, device=device))


def test_profile_as_json_and_as_a_file(plain, call, bundle, tmp_path, untouched):
    pretend_to_be(bundle, "sparc")
    check = untouched(bundle)
    out = tmp_path / "out" / "profile.json"
    done = call(plain, "profile", bundle, "--runs", "20", "--json", "--quiet", "--out", out)
    profile = Profile.from_dict(json.loads(done.stdout))
    assert json.loads(out.read_text()) == json.loads(done.stdout) and not done.stderr
    assert len(profile.metrics["latency_p50"].samples) == 20
    assert profile.metrics["latency_p50"].kind is Kind.STAND_IN, "this machine is not the device, and must say so"
    check()  # a bundle may be mounted read-only


def test_a_profile_for_people_on_the_device_itself(plain, call, bundle):
    pretend_to_be(bundle, platform.machine())
    text = call(plain, "profile", bundle, "--runs", "20").stdout
    line = next(line for line in text.splitlines() if line.startswith("latency_p50")).split()
    assert line[3] == "measured" and "unavailable" in text and "stand_in" not in text
    assert max(map(len, text.splitlines())) < 160, "a terminal must hold it"


# run


def test_run_gives_the_outputs_of_every_sample(plain, call, bundle, tmp_path):
    inputs = np.random.default_rng(3).normal(size=(5, 1, 4)).astype(np.float32)
    np.savez(tmp_path / "in.npz", x=inputs)
    call(plain, "run", bundle, "--inputs", "in.npz", "--outputs", "out.npz")
    wanted = [null_outputs({"x": sample}, (TensorSpec("y", (1, 3)),))["y"] for sample in inputs]
    assert np.array_equal(np.load(tmp_path / "out.npz")["y"], np.stack(wanted))


@pytest.mark.parametrize(
    ("arrays", "seen"),
    [
        ({"x": np.zeros((2, 4), np.float32)}, "float32 [2, 4]"),
        ({"x": np.zeros((0, 1, 4), np.float32)}, "float32 [0, 1, 4]"),
        ({"x": np.zeros((2, 1, 4))}, "float64 [2, 1, 4]"),
        ({"z": np.zeros((2, 1, 4), np.float32)}, "only z"),
        ({}, "only nothing"),
    ],
)
def test_inputs_that_do_not_fit(capsys, bundle, tmp_path, arrays, seen):
    np.savez(tmp_path / "in.npz", **arrays)
    assert main(["run", str(bundle), "--inputs", str(tmp_path / "in.npz"), "--outputs", str(tmp_path / "out")]) == 2
    words = capsys.readouterr().err
    assert "wanted samples for the input 'x'" in words and seen in words
    assert "allowed: float32, shape [samples, 1, 4]" in words
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 half a zip"])
def test_an_inputs_file_that_cannot_be_read(capsys, bundle, tmp_path, content):
    if content is not None:
        (tmp_path / "in.npz").write_bytes(content)
    assert main(["run", str(bundle), "--inputs", str(tmp_path / "in.npz"), "--outputs", str(tmp_path / "out")]) == 2
    assert "wanted a file with inputs" in capsys.readouterr().err


# info, health, engines


def test_info(compiling, call):
    text = call(compiling, "info").stdout
    assert "Orin, compute capability 8.7, 8 GiB" in text and "tensorrt 10.3, driver 540.4, Orin (8.7)" in text


def test_info_without_a_gpu_says_what_to_do(compiling, call):
    data = json.loads(call(compiling, "info", "--json", fake="no gpu").stdout)
    found = data["targets"]["null"]
    assert data["machine"]["python"] and found["libraries"] == {"tensorrt": "10.3.0"} and found["gpu"] is None
    text = info_text(data)
    assert "none: wanted a GPU; none" in text and "plug one in" in text


def test_health(compiling, call):
    assert call(compiling, "health").stdout == ""
    assert "wanted a GPU" in call(compiling, "health", fake="no gpu", status=5).stderr


@pytest.mark.parametrize(("fake", "word"), [("", "yes"), ("stale", "no")])
def test_the_list_of_engines_says_which_can_be_used(compiling, call, fake, word):
    line = call(compiling, "engines", "list", fake=fake).stdout.splitlines()[1].split()
    assert line[:4] == ["8", "3", "MiB", word]


def test_pruning(compiling, call):
    assert engines_text([]) == "no engine is kept\n"
    assert call(compiling, "engines", "prune").stdout == "removed 0 files, 0 B\n"
    done = json.loads(call(compiling, "engines", "prune", "--all", "--json").stdout)
    assert done == {"removed": ["/engines/a.engine"], "freed": 3145728}


# the command that is installed with Edgewright


def test_the_installed_command_finds_its_own_modules(bundle, tmp_path):
    (tmp_path / "numpy.py").write_text("raise SystemExit('not this numpy')")
    argv = [sys.executable, "-P", "-m", "targets.runtime_main", "verify", str(bundle), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout or "0")) == (0, {"golden_error": 0.0}), done.stderr


def test_edgewright_writes_the_program(call, tmp_path):
    argv = [sys.executable, "-P", "-m", "toolchain", "runtime", "--target", "null", "--out", str(tmp_path / "r.pyz")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "r.pyz --help" in done.stderr, done.stderr
    assert os.access(tmp_path / "r.pyz", os.X_OK)
    assert call(tmp_path / "r.pyz", "health").returncode == 0
