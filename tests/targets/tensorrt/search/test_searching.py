"""Which placement is used, and what is recorded of how it was found; the GPU's clock is simulated, the rest is real."""

import dataclasses
import itertools
import json
import runpy
from pathlib import Path

import pytest

from profiles.device import load_device
from profiles.errors import UnsupportedError
from profiles.measurement import Kind, Metric, unavailable
from profiles.profiler import Profile
from targets.artifact import load_artifact
from targets.base import Compiled, Scheme
from targets.golden import load_golden
from targets.tensorrt.formats import quantize
from targets.tensorrt.formats.quantize import to_int8
from targets.tensorrt.search import searching

nets = runpy.run_path(str(Path(__file__).parents[1] / "nets.py"))
cnn, exported, samples = nets["cnn"], nets["exported"], nets["samples"]


@pytest.fixture
def device():
    return load_device("rtx-a2000")


@pytest.fixture
def made(tmp_path, device):
    """``made(scheme)``: the quantized network, and what was recorded."""
    model = cnn()
    given = samples(model, 4)
    source = exported(model, tmp_path / "net.onnx")

    def build(on=device, **scheme):
        folder = tmp_path / "work"
        folder.mkdir()
        found = searching.to_int8(source, given, on, Scheme("int8", **scheme), folder)
        json.dumps(found.records, allow_nan=False)
        return found, found.records["placement"]

    build.source, build.samples = source, given
    return build


@pytest.fixture
def gpu(monkeypatch):
    """A GPU whose time for a bundle is told by a function of the bundle."""

    def copied(model, device, out):
        """In place of the compiler: one test lets it run."""
        (out / "model.onnx").write_bytes(model.onnx.read_bytes())
        return Compiled(("model.onnx",), model.inputs, model.outputs, {})

    def clock(seconds, *, compiles=False):
        def ask(folder, request):
            artifact = load_artifact(folder)
            assert request["action"] == "profile" and len(load_golden(folder / "golden.npz")) == 1
            time = Metric(seconds(artifact), "s", Kind.MEASURED, "simulated clock")
            metrics = {"latency_p50": Metric(9.0, "s", Kind.MEASURED, "wall"), "latency_events_p50": time}
            return {"profile": Profile(metrics, (), {}, {}, {}, {}, stable=True).as_dict()}

        monkeypatch.setattr(searching, "why_absent", lambda device: "")
        monkeypatch.setattr(searching, "ask_worker", ask)
        if not compiles:
            monkeypatch.setattr(searching, "compile_bundle", copied)

    return clock


def pairs(onnx):
    return (onnx if isinstance(onnx, bytes) else onnx.read_bytes()).count(b"QuantizeLinear")


def test_without_a_gpu_the_default_is_used_and_said_to_be_not_measured(made, device, tmp_path):
    found, record = made()
    assert record["measured"] is False and record["best"] == "default"
    assert "not measured: no NVIDIA" in record["rows"][0]["why"]
    (tmp_path / "again").mkdir()
    again = to_int8(made.source, made.samples, device, Scheme("int8"), tmp_path / "again")
    assert found.onnx.read_bytes() == again.onnx.read_bytes(), "the default, and nothing else"


def test_nobody_asked(made, device):
    plain = dataclasses.replace(device, parameters={**device.parameters, "placement": "default"})
    assert "nobody asked" in made(plain)[1]["rows"][0]["why"]


def test_a_typing_mistake(made, device):
    wrong = dataclasses.replace(device, parameters={**device.parameters, "placement": "serach"})
    with pytest.raises(UnsupportedError) as caught:
        made(wrong)
    assert "serach" in caught.value.seen and "search" in caught.value.allowed


def test_the_default_stays_when_nothing_is_faster(made, gpu, monkeypatch):
    usual = quantize.to_int8_variants
    monkeypatch.setattr(quantize, "to_int8_variants", lambda *given: itertools.islice(usual(*given), 3))
    gpu(lambda artifact: 1e-3 + 0 * (artifact.folder / "batch1.engine").stat().st_size, compiles=True)
    found, record = made()
    assert record["measured"] and record["best"] == "default" and record["gain"] == 0
    assert len(record["rows"]) == 3, "candidates were tried"
    assert found.onnx.name == "model.onnx" and found.onnx.parent.name == "work"


def test_the_placement_with_the_fewest_pairs_wins_on_a_gpu_that_hates_them(made, gpu):
    gpu(lambda artifact: 1e-3 * pairs(artifact.folder / "model.onnx"))
    found, record = made(allowed_drop=1.0)
    assert record["best"] != "default" and record["gain"] > 0.02
    kept = {row["name"]: row["time"] for row in record["rows"] if row["time"]}
    assert min(kept, key=kept.get) == record["best"], kept
    assert pairs(found.onnx) * 1e-3 == pytest.approx(kept[record["best"]]), "the file is that of the winner"


def test_accuracy_stands_in_the_way(made, gpu, monkeypatch):
    gpu(lambda artifact: 1e-3 * pairs(artifact.folder / "model.onnx"))
    usual = searching._Trial.loss
    monkeypatch.setattr(
        searching._Trial, "loss", lambda self, variant: usual(self, variant) + 0.1 * (variant[0].name != "default")
    )
    _, record = made()
    assert record["best"] == "default"
    assert {"less accurate"} <= {row["verdict"] for row in record["rows"]}


def test_without_events_the_host_s_clock_decides(made, monkeypatch):
    model = searching._Trial.__new__(searching._Trial)
    model._bundle = lambda variant: None
    metrics = {"latency_p50": Metric(2e-3, "s", Kind.MEASURED, "wall"), "latency_events_p50": unavailable("s", "none")}
    profile = Profile(metrics, (), {}, {}, {}, {}, stable=True).as_dict()
    monkeypatch.setattr(searching, "ask_worker", lambda folder, request: {"profile": profile})
    assert model.seconds(None) == 2e-3
