"""What a user reads of bundles for a GPU that is not there: no engine ran, and nothing says that one did."""

import dataclasses
import json
from pathlib import Path

import pytest

import toolchain
from profiles.device import PRECISIONS
from tests.toolchain.conftest import make_onnx, write_samples
from toolchain.cli.parser import parse
from toolchain.cli.tables import print_entries
from toolchain.report import verdicts
from toolchain.summary import BuildResult

PROJECT = """
[model]
source = "tiny.onnx"
[data]
source = "npz:samples.npz"
calibration = 16
[budget]
latency = "5 ms"
size = "1 B"
[[device]]
profile = "jetson-orin-nano"
target = "tensorrt"
precision = "int8"
"""


@dataclasses.dataclass(frozen=True)
class Made:
    """A build for a Jetson, which is never the machine of a test."""

    result: BuildResult

    @property
    def bundle(self) -> Path:
        return self.result.entries[0].bundle


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    pytest.importorskip("tensorrt_rtx")
    folder = tmp_path_factory.mktemp("jetson")
    make_onnx(folder / "tiny.onnx")
    write_samples(folder / "samples.npz")
    (folder / "edge.toml").write_text(PROJECT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEWRIGHT_CACHE", str(folder / "cache"))
        return Made(toolchain.build(folder / "edge.toml", out=folder / "build"))


def test_every_number_format_can_be_asked_for():
    for precision in PRECISIONS:
        assert parse(["build", "m.onnx", "--precision", precision]).precision == precision


def test_the_table_says_what_is_not_known(made, capsys):
    print_entries(made.result.entries)
    text = capsys.readouterr().out
    assert "not run" in text and "missed: model_size; unknown: latency_p50" in text
    assert "on the GPU" not in text, f"a table without a column says nothing:\n{text}"
    assert "ᵐ simulated" in text and "ᵉ estimated" not in text, "marks are explained where they occur"
    said = " ".join(verdicts(made.result.out))
    assert "Not to be judged: tensorrt int8 on jetson-orin-nano (latency p50 is unavailable)" in said, said


def test_what_was_not_run_is_simulated_or_unavailable(made):
    entry = made.result.entries[0]
    kinds = {name: metric.kind.value for name, metric in entry.metrics.items()}
    assert {kinds[name] for name in ("accuracy", "sqnr", "parity_max_error")} == {"simulated"}
    assert {kinds[name] for name in ("latency_p50", "energy", "kernels")} == {"unavailable"}
    assert "own engine" not in entry.metrics["accuracy"].method, "the accuracy is not of the engine"
    assert {row["sqnr"]["kind"] for row in entry.layers} <= {"simulated", "unavailable"}
    assert entry.stable is None, "a run that never was is not a stable one"
    manifest = json.loads((made.bundle / "manifest.json").read_text())
    assert manifest["build"]["executed"].startswith("compiled, not run: ")


def test_other_commands_say_the_same(cli, made):
    compared = cli("compare", made.bundle).fine().out
    assert next(line for line in compared.splitlines() if "sqnr" in line).rstrip().endswith("dBᵐ")
    assert "ᵐ simulated" in cli("diff", made.bundle).fine().out
    refusal = cli("profile", made.bundle).refused(5)
    assert "--via ssh://" in refusal.next, f"the next step must lead to the device: {refusal.next}"
    companion = next(entry for entry in made.result.entries if entry.precision == "fp16")
    assert "fp8 or int8 or int4" in cli("diff", companion.bundle).refused(2).allowed


def test_a_refusal_names_the_whole_question(cli, tiny, samples):
    pytest.importorskip("tensorrt_rtx")
    refusal = cli("build", tiny.name, "--device", "jetson-orin-nano", "--precision", "fp8", "--data", f"npz:{samples}")
    assert "--device jetson-orin-nano --target tensorrt --precision fp8" in refusal.refused(3).next
