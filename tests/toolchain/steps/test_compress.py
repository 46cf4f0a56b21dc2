"""The section [compress] in a build: cached steps, latencies before and after, and what bundles are held against."""

import dataclasses
import io

import numpy as np
import pytest

from profiles.errors import ConfigError, UnsupportedError
from profiles.measurement import Kind, Metric
from profiles.sampling import Settings
from targets.artifact import NOT_RUN, load_artifact
from toolchain.cache import open_cache
from toolchain.progress import Progress
from toolchain.project import project_from_dict
from toolchain.steps.compress_duel import FIGURES, Duel
from toolchain.steps.source import open_source

NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.first, self.last = torch.nn.Linear(4, width), torch.nn.Linear(width, 3)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))
"""
PROJECT = {
    "model": {"source": "net_to_compress:Net", "input": {"name": "x", "shape": [1, 4], "layout": "NC"}, "classes": 3},
    "data": {"source": "npz:blobs.npz", "calibration": 8},
    "train": {"epochs": 3, "batch": 16, "lr": 0.2, "precision": "fp32"},
    "device": [{"profile": "local-cpu", "target": "onnxruntime"}],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compress")
    (folder / "net_to_compress.py").write_text(NET)
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    values = random.standard_normal((90, 4)) * 0.2 + np.eye(4)[labels] * 2
    np.savez(folder / "blobs.npz", x=values.astype(np.float32), y=labels)
    return folder


@pytest.fixture
def fakes(monkeypatch):
    pytest.importorskip("torch", reason="compression works on torch modules")
    from tests.toolchain.compress import fakes as module
    from toolchain.compress import catalogue

    monkeypatch.setattr(catalogue, "all_methods", lambda: module.METHODS)
    module.CALLS.clear()
    return module


@pytest.fixture
def opened(place, fakes, monkeypatch):
    """``opened(steps, **sections)``: the model of a project with these steps, and what was shown; one cache."""
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(place / "cache"))
    caches = []

    def run(steps, settings=None, **sections):
        caches.append(open_cache())
        shown = io.StringIO()
        project = project_from_dict({**PROJECT, "compress": steps, **sections}, folder=place)
        return open_source(project, caches[-1], Progress(stream=shown), settings), shown

    yield run
    for cache in caches:
        cache.close()


FEW = Settings(runs=50, warmup_seconds=0.01, max_warmup_seconds=0.05)


def test_bundles_are_held_against_the_model_before_compression(opened, fakes):
    source, _ = opened([{"prune": {"method": "spoiled"}}])
    plain, _ = opened([])
    assert [row.step for row in source.rows()] == ["start", "prune"]
    assert source.float_accuracy().value == plain.float_accuracy().value == source.rows()[0].accuracy == 1.0
    assert source.float_accuracy().method.startswith("top-1 of the torch model in float32, before compression")
    assert source.rows()[1].accuracy < 0.5
    exported = source.export({"onnx"})
    golden = exported.golden_outputs["output"]
    assert np.all(golden.argmax(-1) == golden.argmax(-1)[0]), "parity is against the compressed model"
    assert source.metrics()["params"].value == plain.metrics()["params"].value


def test_a_second_build_takes_every_step_from_the_cache(opened, fakes):
    steps = [{"prune": {"method": "halve"}}, {"finetune": {"epochs": 2}}]
    first, _ = opened(steps)
    rows = first.rows()
    assert [row.params for row in rows] == [64 * 8 + 3, 32 * 8 + 3, 32 * 8 + 3]
    calls = list(fakes.CALLS)
    again, shown = opened(steps)
    assert again.rows() == rows and calls == fakes.CALLS
    exported = again.export({"onnx"})
    assert again.metrics()["params"].value == 32 * 8 + 3
    assert exported.onnx.is_file()
    lines = [line for line in shown.getvalue().splitlines() if "compress" in line and "[" in line]
    assert len(lines) == 2 and all(line.endswith("(cached)") for line in lines), shown.getvalue()


def test_training_is_not_repeated_for_another_recipe(opened):
    opened([])[0].metrics()
    source, shown = opened([{"finetune": {"epochs": 1}}])
    source.rows()
    (line,) = [line for line in shown.getvalue().splitlines() if "] train" in line]
    assert line.endswith("(cached)")


def test_latencies_before_and_after_in_one_run(opened):
    source, shown = opened([{"prune": {"method": "halve"}}], FEW)
    start, row = source.rows()
    assert list(start.latency) == list(row.latency) == list(row.speed) == ["local-cpu"]
    metric, speed = row.latency["local-cpu"], row.speed["local-cpu"]
    assert metric.kind is Kind.MEASURED and metric.unit == "s" and len(metric.samples) == 50
    assert "5 rounds, in turn with the other model" in metric.method
    assert speed.low < speed.ratio < speed.high
    assert speed.ratio == pytest.approx(start.latency["local-cpu"].value / metric.value)
    assert "measure before and after on local-cpu … " in shown.getvalue()
    again, shown = opened([{"prune": {"method": "halve"}}], FEW)
    assert again.rows()[1].latency["local-cpu"] == metric, "what was measured is not measured again"


def test_a_step_that_does_not_help_is_rolled_back(opened, monkeypatch):
    same = dict.fromkeys(FIGURES, Metric(1e-5, "s", Kind.MEASURED, "a clock", samples=(1e-5,) * 9))
    monkeypatch.setattr("toolchain.steps.compress_latency.duel", lambda *_: Duel(same, same))
    steps = [{"prune": {"method": "nothing", "guard": True}}, {"prune": {"method": "halve"}}]
    source, _ = opened(steps, Settings(runs=7))
    rows = source.rows()
    assert rows[1].speed["local-cpu"].judgement == "not measurably" and not rows[1].kept
    assert rows[1].flags[0] == "not measurably faster on local-cpu: ×1.00 (1.00–1.00)" and rows[1].flags[-1].startswith(
        "rolled back"
    )
    assert rows[2].kept and source.metrics()["params"].value == 32 * 8 + 3


def test_a_device_that_cannot_be_run_here_says_why(opened, monkeypatch):
    def not_run(folder, *, verify):
        return dataclasses.replace(
            load_artifact(folder, verify=verify), build={"executed": f"{NOT_RUN}: no such GPU here"}
        )

    monkeypatch.setattr("toolchain.steps.compress_latency.load_artifact", not_run)
    source, _ = opened([{"prune": {"method": "nothing"}}], FEW)
    row = source.rows()[1]
    assert row.latency["local-cpu"].reason == "no such GPU here"
    assert row.flags == ("not measured on local-cpu: no such GPU here",)


def test_a_latency_goal_is_measured(opened, monkeypatch):
    monkeypatch.setattr("toolchain.compress.goals._TRIES", 2)
    steps = [{"prune": {"method": "timed", "latency": 0.5}}]
    model = {"source": "net_to_compress:Net", "arguments": {"width": 200_000}}
    source, _ = opened(steps, FEW, train=None, model={**PROJECT["model"], **model})
    rows = source.rows()
    assert rows[1].params < rows[0].params and rows[1].speed["local-cpu"].ratio > 1


def test_steps_for_a_device_that_is_left_out(opened, place):
    from toolchain.cli.common import select

    devices = [{"profile": "local-cpu", "target": "onnxruntime", "name": name} for name in ("a", "b")]
    source, _ = opened([{"prune": {"method": "nothing", "device": "b"}}], FEW, device=devices)

    class Args:
        device, target, precision = ["a"], None, None

    source.project = source.model.project = select(source.project, Args)
    assert source.rows()[1].flags == ("not measured on b: the device is not part of this run",)


def test_a_model_that_cannot_be_traced_is_refused_before_anything_is_trained(opened, place, fakes):
    (place / "data_dependent.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.linear = torch.nn.Linear(4, 3)\n"
        "    def forward(self, x):\n"
        "        if x.sum() > 0:\n"
        "            return self.linear(x)\n"
        "        return self.linear(x) * 2\n"
    )
    for settings in (None, FEW):
        source, _ = opened(
            [{"prune": {"method": "nothing"}}],
            settings,
            train=None,
            model={**PROJECT["model"], "source": "data_dependent:Net"},
        )
        with pytest.raises(UnsupportedError) as caught:
            source.rows()
        assert "data_dependent.py:7" in str(caught.value)
    assert fakes.CALLS == []


def test_an_interrupted_build_goes_on_in_the_step_where_it_was_stopped(opened, fakes, monkeypatch, place):
    steps = [{"prune": {"method": "halve", "epochs": 3}}, {"prune": {"method": "halve", "epochs": 4, "lr": 0.011}}]
    monkeypatch.setattr(fakes, "STOP", 5)
    fakes.EPOCHS.clear()
    with pytest.raises(KeyboardInterrupt):
        opened(steps)[0].rows()
    assert fakes.EPOCHS == [0, 1, 2, 0, 1] and list((place / "cache" / "checkpoints").glob("*/*.pt"))
    rows = opened(steps)[0].rows()
    assert fakes.EPOCHS[5:] == [1, 2, 3], "the epoch that was interrupted is done again"
    assert len(rows) == 3 and not list((place / "cache" / "checkpoints").glob("*/*.pt"))


def test_a_model_that_cannot_be_kept_is_made_again_and_says_so(opened, fakes, monkeypatch):
    from toolchain.compress.keep import NotKeptError

    def refuse(*_):
        raise NotKeptError("it has a generator")

    monkeypatch.setattr("toolchain.steps.compress_recipe.save_stage", refuse)
    for _ in range(2):
        row = opened([{"prune": {"method": "nothing", "exclude": ["first"]}}])[0].rows()[1]
        assert row.notes[-1].endswith("is made again next time: it has a generator")
    assert fakes.CALLS == ["nothing", "nothing"]


def test_a_gpu_that_is_not_there(opened, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="torch_device") as caught:
        opened({"steps": [{"finetune": {}}], "torch_device": "cuda"})[0].rows()
    assert "leave the key out" in caught.value.next_step


def test_training_settings_come_from_train_unless_compress_says_otherwise(opened):
    from toolchain.steps.compress_recipe import make_context, training_of

    plain, _ = opened([{"finetune": {}}])
    spec = training_of(plain.model)
    assert (spec.batch, spec.precision, spec.seed) == (16, "fp32", 0)
    other, _ = opened({"steps": [{"finetune": {}}], "batch": 8, "seed": 5, "weight_decay": 0.0})
    context = make_context(other.model)
    assert (context.training.batch, context.training.weight_decay, context.seed) == (8, 0.0, 5)
    assert context.training.precision == "fp32" and context.classes == 3 and context.data.classes


def test_a_dry_run_names_the_steps(opened):
    source, _ = opened([{"prune": {"method": "halve"}}, {"finetune": {}}])
    assert source.planned("onnx")[1:] == ["compress: prune (halve)", "compress: finetune", "export to ONNX"]
    assert source.steps({"onnx"}) == 5


def test_teachers_that_are_not_there_are_refused_before_anything_is_trained(opened):
    for options, seen in (
        ({"weights": "nowhere.pt"}, "nowhere.pt: no such file"),
        ({"teacher": "nowhere.pt2"}, "nowhere.pt2: no such file"),
        ({"teacher": "zoo:resnet5", "weights": "blobs.npz"}, "resnet5"),
        ({"teacher": [{"source": "zoo:resnet8", "weights": "."}]}, "a folder"),
    ):
        source, shown = opened([{"finetune": {"epochs": 1}}, {"distill": options}], train={"epochs": 99, "batch": 7})
        with pytest.raises(ConfigError, match=r"step 2 of the recipe, distill \(kd\)") as caught:
            source.rows()
        assert seen in caught.value.seen and "train" not in shown.getvalue()


def test_without_a_clock_the_check_of_the_export_is_no_step_of_its_own(opened):
    source, shown = opened([{"prune": {"method": "nothing"}}])
    source.rows()
    numbered = [line.partition("] ")[2].split()[0] for line in shown.getvalue().splitlines() if line.startswith("[")]
    assert numbered == ["train", "compress"] and "\ncheck that the model can be exported" in shown.getvalue()
