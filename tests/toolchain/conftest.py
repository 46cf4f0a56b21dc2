"""Small models that need no torch, data to go with them, and the command line in this process or as a program."""

import dataclasses
import os
import runpy
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import toolchain
from profiles.sampling import Settings
from toolchain.cli.main import main

ROOT = Path(__file__).parents[2]
#: For models in TFLite's format: see tests/targets/tiny_tflite.py.
TINY_TFLITE = ROOT / "tests" / "targets" / "tiny_tflite.py"
PROGRAM = Path(sys.executable).with_name("edgewright")


def make_onnx(path, *, batch=1, weights=None, domain="", inputs=("x",), classes=3, seed=0):
    """Convolution, ReLU, mean, linear: (batch, 1, 8, 8) to (batch, classes).

    Args:
        batch: a number, or a name for a dynamic axis.
        weights: of the convolution, shape (4, 1, 3, 3).
        domain: of an operator of our own in ReLU's place.
        inputs: names; all inputs are added up.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(seed)
    kernel = random.standard_normal((4, 1, 3, 3)).astype(np.float32) if weights is None else weights
    matrix = random.standard_normal((4, classes)).astype(np.float32)
    middle = helper.make_node("Sparkle" if domain else "Relu", ["c"], ["r"], name="middle", domain=domain)
    nodes = [
        helper.make_node("Sum", list(inputs), ["s"], name="sum"),
        helper.make_node("Conv", ["s", "kernel"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        middle,
        helper.make_node("GlobalAveragePool", ["r"], ["g"], name="mean"),
        helper.make_node("Flatten", ["g"], ["f"], name="flat"),
        helper.make_node("MatMul", ["f", "matrix"], ["y"], name="linear"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 1, 8, 8]) for name in inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, classes])],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(matrix, "matrix")],
    )
    opsets = [helper.make_opsetid("", 19), *([helper.make_opsetid(domain, 1)] if domain else [])]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


@pytest.fixture(scope="session")
def onnx_model():
    """Writes an ONNX file, see :func:`make_onnx`."""
    return make_onnx


@pytest.fixture(scope="session")
def tflite():
    """The functions of tests/targets/tiny_tflite.py."""
    return runpy.run_path(str(TINY_TFLITE))


@pytest.fixture
def chromium(tmp_path):
    """Headless Chromium, see :func:`tests.toolchain.browser_site.make_chromium`."""
    from tests.toolchain.browser_site import make_chromium

    return make_chromium(tmp_path)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def tiny(here):
    """``tiny.onnx`` in the working folder."""
    return make_onnx(here / "tiny.onnx")


@pytest.fixture
def samples(here):
    """``samples.npz`` in the working folder: 60 samples of three classes for the tiny model."""
    return write_samples(here / "samples.npz")


def write_samples(path, *, x=None, y=None):
    random = np.random.default_rng(1)
    values = random.standard_normal((60, 1, 8, 8)).astype(np.float32) if x is None else x
    labels = np.arange(len(values)) % 3 if y is None else y
    np.savez(path, x=values, y=labels)
    return path


@pytest.fixture
def npz():
    """Writes a data set, see :func:`write_samples`."""
    return write_samples


@dataclasses.dataclass(frozen=True)
class Refusal:
    """An error message in its four parts."""

    wanted: str
    seen: str = ""
    allowed: str = ""
    next: str = ""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int
    out: str
    err: str

    def fine(self):
        assert self.status == 0, f"wanted exit status 0, got {self.status}:\n{self.err}"
        assert "Traceback" not in self.err and "edgewright:" not in self.err, self.err
        return self

    def refused(self, status, *, quiet=True):
        """The message of a command that must fail with this status; ``quiet``: with nothing on standard output."""
        assert self.status == status, f"wanted exit status {status}, got {self.status}:\n{self.err}"
        assert "Traceback" not in self.err, f"a traceback reached the user:\n{self.err}"
        assert not (quiet and self.out), f"standard output must stay empty:\n{self.out}"
        assert self.err.count("edgewright: ") == 1, f"wanted one message with one prefix:\n{self.err}"
        lines = self.err[self.err.index("edgewright: ") :].splitlines()
        parts = {"wanted": lines[0].removeprefix("edgewright: ")}
        for line in lines[1:]:
            label, _, text = line.strip().partition(":")
            assert label in ("seen", "allowed", "next"), f"a line that does not belong there: {line!r}\n{self.err}"
            parts[label] = text.strip()
        refusal = Refusal(**parts)
        assert refusal.wanted and refusal.seen, f"a message says what was wanted and what was seen:\n{self.err}"
        assert refusal.allowed or refusal.next, f"a message says what would do instead, or what to do:\n{self.err}"
        return refusal


@pytest.fixture
def cli(capfd):
    """The command line in this process: ``cli("build", "tiny.onnx", ...)``."""

    def run(*words):
        capfd.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as end:  # --help and --version
            status = end.code
        out, err = capfd.readouterr()
        return Outcome(status, out, err)

    return run


@pytest.fixture
def program():
    """The installed program ``edgewright`` in a process of its own.

    ``before`` goes in front of the command line, ``entry`` takes the program's place.
    """

    def run(*words, before=(), entry=(PROGRAM,), env=None, **settings):
        argv = [*before, *entry, *map(str, words)]
        environment = {**os.environ, **(env or {})}
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, env=environment, timeout=120, **settings
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def sabotage(tmp_path, monkeypatch):
    """``sabotage(module, code)``: every process that is started from now on runs ``code`` in that module.

    The code sees the module's names, and runs when the module has just been imported.
    """
    folder = tmp_path / "sabotage"
    hook = """
        import importlib.util, sys

        class Hook:
            def find_spec(self, name, path=None, target=None):
                if name not in CODE:
                    return None
                code = CODE.pop(name)
                spec = importlib.util.find_spec(name)
                run = spec.loader.exec_module

                def exec_module(module):
                    run(module)
                    exec(code, vars(module))

                spec.loader.exec_module = exec_module
                return spec

        sys.meta_path.insert(0, Hook())
    """
    codes = {}

    def add(module, code):
        codes[module] = textwrap.dedent(code)
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(f"CODE = {codes!r}\n{textwrap.dedent(hook)}")
        monkeypatch.setenv("PYTHONPATH", str(folder))

    return add


PROJECT = """
[model]
source = "tiny.onnx"
[data]
source = "npz:samples.npz"
calibration = 16
[budget]
latency = "1 s"
size = "1 MiB"
[[device]]
profile = "local-cpu"
target = "onnxruntime"
precision = ["fp32", "int8"]
[[device]]
profile = "raspberry-pi-5"
target = "onnxruntime"
precision = "int8"
[[device]]
profile = "local-cpu"
name = "nothing"
target = "null"
"""


@dataclasses.dataclass(frozen=True)
class Built:
    """A project that was built once for all tests; copy what you change."""

    folder: Path
    cache: Path
    result: object

    @property
    def out(self):
        return self.folder / "build"

    def bundle(self, name, folder):
        """A copy of one bundle below ``folder``."""
        return Path(shutil.copytree(self.out / name, folder / name))


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Four bundles of the tiny model: float and int8 here, int8 for a Raspberry Pi 5, and one for the null target."""
    folder = tmp_path_factory.mktemp("built")
    make_onnx(folder / "tiny.onnx")
    write_samples(folder / "samples.npz")
    (folder / "edge.toml").write_text(PROJECT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEWRIGHT_CACHE", str(folder / "cache"))
        result = toolchain.build(folder / "edge.toml", out=folder / "build", settings=Settings(runs=5))
    return Built(folder, folder / "cache", result)


@pytest.fixture
def warm(built, monkeypatch):
    """:func:`built` with the cache that it was made with."""
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(built.cache))
    return built
