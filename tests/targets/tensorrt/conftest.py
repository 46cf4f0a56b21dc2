"""A machine with a GPU that is not there: a fake driver and fake TensorRT, and programs that see them."""

import ctypes
import dataclasses
import importlib.util
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from targets.artifact import GOLDEN, Artifact, write_json, write_manifest
from targets.base import Compiled
from targets.golden import Golden, save_golden, tolerances
from targets.measure import ask_worker
from targets.tensorrt.gpu.cuda import PrimaryContext, load_driver
from targets.tensorrt.gpu.cuda_types import LIBRARY
from targets.tensorrt.plan import ONNX, PLAN, BuildPlan
from targets.tensorrt.store.engine_shipped import onnx_name

if os.environ.get("CI") and importlib.util.find_spec("tensorrt_rtx") is None:
    raise RuntimeError("CI tests with the real TensorRT-RTX, and it is not installed: pip install '.[tensorrt]'")

HERE = Path(__file__).parent
FAKE = HERE / "fake"
RTX_VERSION = "1.7.1.116"  # also that of the fake
fake_trt = runpy.run_path(str(FAKE / "python" / "fake_trt.py"))
tiny = runpy.run_path(str(HERE.parent / "tiny_onnx.py"))


@pytest.fixture(scope="session")
def fake_cuda(tmp_path_factory):
    """The folder with the fake ``libcuda.so.1``."""
    folder = tmp_path_factory.mktemp("fake-cuda")
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", *flags, "-o", folder / "libcuda.so.1", FAKE / "libcuda.c"], check=True)
    return folder


@pytest.fixture
def driver(fake_cuda, monkeypatch):
    """A driver in this process, whose count of calls begins now."""
    monkeypatch.delenv("FAKE_CUDA_FAIL", raising=False)
    library = ctypes.CDLL(str(fake_cuda / LIBRARY))
    library.fake_cuda_forget_calls()
    loaded = load_driver(str(fake_cuda / LIBRARY))
    loaded.fake = library
    return loaded


@pytest.fixture
def context(driver):
    with PrimaryContext(driver, 0):
        yield driver
    assert driver.fake.fake_cuda_live() == 0, "something was not given back to the driver"


@dataclasses.dataclass
class Machine:
    """What a child process sees of the machine; ``settings`` are those of the fakes."""

    folder: Path
    settings: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def report(self):
        return self.folder / "report"

    def env(self, **settings):
        return {
            "LD_LIBRARY_PATH": str(self.settings["cuda"]),
            "PYTHONPATH": str(FAKE / "python"),
            "FAKE_CUDA_REPORT": str(self.report),
            "EDGEWRIGHT_CACHE": str(self.folder / "cache"),
            "XDG_CACHE_HOME": str(self.folder / "xdg"),
            **{key: value for key, value in self.settings.items() if key != "cuda"},
            **settings,
        }

    def ask(self, artifact, action, *, env=None, **more):
        """One request to a worker that sees this machine; asserts that nothing was left on the GPU."""
        self.report.unlink(missing_ok=True)
        with mock.patch.dict(os.environ, self.env(**(env or {}))):
            answer = ask_worker(artifact.folder, {"action": action, **more})
        assert self.leaked() == [], f"'{action}' left these on the GPU: {self.leaked()}"
        return answer

    def play(self, artifact, *scenarios, **settings):
        """Run a bundle once for every scenario; asserts that nothing is left on the GPU. See ``fake/scenarios.py``."""
        code = (FAKE / "scenarios.py").read_text()
        done = self.python(code, artifact.folder, json.dumps(scenarios or [{}]), **settings)
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(rows) == len(scenarios or [{}]), done.stderr
        for scenario, row in zip(scenarios or [{}], rows, strict=True):
            assert row["live"] == 0, f"{row['live']} objects stay on the GPU: {scenario}"
        return rows

    def leaked(self):
        """Kinds of what was not given back when the last program ended."""
        lines = self.report.read_text().splitlines() if self.report.exists() else ["no report"]
        return [line for line in lines if "calls" not in line]

    def calls(self):
        """How often the last program called each function of the driver."""
        rows = [line.split(" calls of ") for line in self.report.read_text().splitlines() if "calls" in line]
        return {name: int(count) for count, name in rows}

    def python(self, code, *arguments, **settings):
        """Run a program to its end."""
        environment = {**os.environ, **self.env(**settings)}
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def machine(fake_cuda, tmp_path):
    """A machine with one fake GPU of compute capability 8.6."""
    folder = tmp_path / "machine"
    folder.mkdir()
    return Machine(folder, {"cuda": fake_cuda})


@pytest.fixture
def fake_rtx(fake_cuda, monkeypatch):
    """The fake TensorRT-RTX in this process, without a place among the imported modules."""
    monkeypatch.setenv("FAKE_CUDA_LIBRARY", str(fake_cuda / LIBRARY))
    monkeypatch.syspath_prepend(str(FAKE / "python"))
    spec = importlib.util.spec_from_file_location("tensorrt_rtx", FAKE / "python" / "tensorrt_rtx" / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def samples(model, count):
    drawn = tiny["samples"](model, count)
    return {name: np.stack([sample[name] for sample in drawn]) for name in drawn[0]}


def references(path, inputs):
    """Outputs by ONNX Runtime for stacked inputs."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    count = len(next(iter(inputs.values())))
    rows = [session.run(names, {name: stack[index] for name, stack in inputs.items()}) for index in range(count)]
    return {name: np.stack([row[place] for row in rows]) for place, name in enumerate(names)}


def rebatched(path, out, batch):
    """The tiny network for another batch size."""
    import onnx

    model = onnx.load(str(path))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    out.write_bytes(model.SerializeToString())


@pytest.fixture
def sealed():
    """Adds golden samples and a manifest to the files of a bundle."""

    def made(folder, compiled, model, device, tools=None):
        inputs = samples(model, 3)
        outputs = references(folder / ONNX, inputs)
        save_golden(folder / GOLDEN, Golden(inputs, outputs, {}))
        golden = {"tolerance": tolerances(outputs, "fp32")}
        artifact = Artifact(folder, device, "tensorrt", "fp32", compiled, tools=tools or {}, golden=golden)
        return write_manifest(artifact)

    return made


@pytest.fixture
def make_bundle(tmp_path, sealed):
    """A bundle of the tiny network, as the TensorRT backend lays it out; the fake compiles what is compiled ahead."""

    def made(library="tensorrt", *, batches=(1,), capabilities=("8.6",), change=lambda folder: None, **plan):
        folder = tmp_path / f"bundle{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        model = tiny["net"](folder / ONNX)
        planned = BuildPlan(library, "fp32", capabilities, batches, **plan)
        for batch in batches[1:]:
            rebatched(folder / ONNX, folder / onnx_name(planned, batch), batch)
        write_json(folder / PLAN, planned.as_dict())
        tools = {}
        if planned.ahead_of_time:
            compile_ahead(folder, planned, RTX_VERSION)
            tools = {"tensorrt-rtx-cu13": RTX_VERSION}
        change(folder)
        files = tuple(sorted(path.name for path in folder.iterdir()))
        compiled = Compiled(files, model.inputs, model.outputs, {"library": library, "threads": 1})
        device = {"name": "rtx-a2000", "reach": "local", "power": {"meter": "", "rails": []}, "identity": {}}
        return sealed(folder, compiled, model, device, tools)

    return made


def compile_ahead(folder, plan, version):
    """What the builder of the fake TensorRT-RTX makes, without a process for it."""
    for batch in plan.batches:
        network = fake_trt["Network"]()
        fake_trt["OnnxParser"](network, None).parse((folder / onnx_name(plan, batch)).read_bytes())
        engine = fake_trt["frame"](network, list(plan.compute_capabilities), b"vtrt", version)
        (folder / plan.engine_name(batch)).write_bytes(engine)
