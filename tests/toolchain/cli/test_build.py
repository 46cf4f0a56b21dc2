"""``edgewright build`` when all goes well."""

import json
import re
from pathlib import Path

import pytest

from profiles.measurement import METRIC_UNITS, Kind, Metric
from targets.artifact import load_artifact

ORT = ("--device", "local-cpu", "--target", "onnxruntime", "--runs", "5")
NULL = ("--device", "local-cpu", "--target", "null", "--runs", "3")
SHARED = Path(__file__).parents[4] / "shared" / "models" / "mlperf_tiny"
#: What every entry has a figure for, or a reason why not.
ALWAYS = {
    "accuracy",
    "accuracy_drop",
    "cpu_time_p50",
    "energy",
    "latency_p50",
    "latency_p90",
    "latency_p99",
    "macs",
    "model_size",
    "params",
    "parity_max_error",
    "peak_memory",
    "power",
    "sqnr",
    "throughput",
}


def check_summary(data):
    """Insist on the shape that the architecture fixes."""
    assert sorted(data) == ["entries", "schema"] and data["schema"] == 1
    for entry in data["entries"]:
        assert set(entry) == {"device", "target", "precision", "bundle", "metrics", "budget", "layers"}
        assert set(entry["metrics"]) >= ALWAYS, f"missing: {ALWAYS - set(entry['metrics'])}"
        for name, figure in entry["metrics"].items():
            check_metric(name, figure)
        for row in entry["budget"]:
            assert set(row) == {"metric", "limit", "value", "met"} and row["metric"] in METRIC_UNITS
        for row in entry["layers"]:
            assert isinstance(row["name"], str) and isinstance(row["op"], str)
            for name in set(row) - {"name", "op", "precision"}:
                check_metric({"max_error": "parity_max_error"}.get(name, name), row[name])


def check_metric(name, figure):
    assert name in METRIC_UNITS, f"'{name}' is not a name of a metric"
    assert figure["unit"] == METRIC_UNITS[name], f"{name} in {figure['unit']}"
    assert set(figure) <= {"value", "unit", "kind", "method", "reason", "samples", "uncertainty"}
    metric = Metric.from_dict(figure)  # refuses a figure without a value, a reason or a method where it needs one
    assert (metric.kind is Kind.UNAVAILABLE) == bool(metric.reason), name


def test_json_is_the_summary_and_nothing_else(program, tiny):
    outcome = program("build", tiny.name, *ORT, "--json", "--out", "out").fine()
    data = json.loads(outcome.out)
    check_summary(data)
    assert data == json.loads((tiny.parent / "out" / "summary.json").read_text())
    assert "report: out/report.html" not in outcome.out
    (entry,) = data["entries"]
    assert (entry["device"], entry["target"], entry["precision"], entry["bundle"]) == (
        "local-cpu",
        "onnxruntime",
        "fp32",
        "local-cpu",
    )
    latency = entry["metrics"]["latency_p50"]
    assert latency["kind"] == "measured" and len(latency["samples"]) == 5 and "5 runs" in latency["method"]


def test_the_summary_of_several_bundles(built):
    data = json.loads((built.out / "summary.json").read_text())
    check_summary(data)
    names = [entry["bundle"] for entry in data["entries"]]
    assert names == ["local-cpu-onnxruntime-fp32", "local-cpu-onnxruntime-int8", "raspberry-pi-5", "nothing"]
    for entry in data["entries"]:
        artifact = load_artifact(built.out / entry["bundle"])
        assert (artifact.device["name"], artifact.target) == (entry["device"], entry["target"])
        assert artifact.precision == entry["precision"]
        profile = json.loads((built.out / entry["bundle"] / "profile.json").read_text())
        assert entry["metrics"]["latency_p50"] == profile["metrics"]["latency_p50"]
        assert all(row["met"] for row in entry["budget"])
    layers = data["entries"][1]["layers"]
    assert any("sqnr" in row for row in layers) and any("latency_p50" in row for row in layers)


def test_figures_of_a_device_that_is_not_this_machine_are_stand_ins(built):
    data = json.loads((built.out / "summary.json").read_text())
    here, there = data["entries"][1]["metrics"], data["entries"][2]["metrics"]
    machine = json.loads((built.out / "raspberry-pi-5" / "profile.json").read_text())["machine"]["description"]
    for name in ("latency_p50", "peak_memory", "throughput", "accuracy", "accuracy_drop", "sqnr"):
        assert here[name]["kind"] == "measured", name
        assert there[name]["kind"] == "stand_in" and machine in there[name]["method"], name
    assert there["model_size"]["kind"] == "measured", "a file has its size everywhere"
    assert here["accuracy"]["value"] == there["accuracy"]["value"]


def test_the_null_target_claims_no_accuracy(built):
    entry = json.loads((built.out / "summary.json").read_text())["entries"][3]
    for name in ("accuracy", "accuracy_drop", "sqnr", "parity_max_error"):
        assert entry["metrics"][name]["kind"] == "unavailable" and "null target" in entry["metrics"][name]["reason"]


def test_a_bundle_holds_what_it_must(built):
    folder = built.out / "local-cpu-onnxruntime-int8"
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json",
        "model.onnx",
        "golden.npz",
        "layers.json",
        "profile.json",
    }
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["files"]) == {"model.onnx", "golden.npz", "layers.json"}
    assert manifest["build"]["scheme"]["precision"] == "int8" and manifest["tools"]["onnxruntime"]
    assert [path.name for path in built.out.iterdir() if path.name.startswith(".")] == [], "nothing is left over"


def test_the_table_for_people(cli, warm, here):
    outcome = cli(
        "build", warm.folder / "edge.toml", "--out", "out", "--runs", "3", "--device", "raspberry-pi-5"
    ).fine()
    assert "raspberry-pi-5" in outcome.out and "µsˢ" in outcome.out
    assert "ˢ stand-in: run for real, but not on the device itself" in outcome.out
    assert outcome.err.splitlines()[-1] == "report: out/report.html"


def test_a_bare_tflite_file(cli, here, tflite):
    (here / "net.tflite").write_bytes(tflite["float_model"]())
    outcome = cli("build", "net.tflite", "--device", "local-cpu", "--target", "litert", "--runs", "3").fine()
    assert load_artifact(here / "build" / "local-cpu").target == "litert"
    assert "XNNPACK" not in outcome.err + outcome.out, "engines keep quiet"


def test_engines_keep_quiet_while_they_quantize(cli, here, tflite):
    (here / "net.tflite").write_bytes(tflite["float_model"]())
    words = ("--device", "local-cpu", "--target", "litert", "--precision", "int8", "--data", "random", "--no-profile")
    outcome = cli("build", "net.tflite", *words).fine()
    steps = re.compile(r"(\[\d+/\d+\] |check |read |note: |report: ).*")
    assert all(steps.fullmatch(line) for line in outcome.err.splitlines()), outcome.err


@pytest.mark.parametrize("name", ["ic_resnet8_int8", "kws_dscnn_int8"])
def test_the_quantized_models_of_mlperf_tiny(cli, here, name):
    file = SHARED / f"{name}.tflite"
    if not file.is_file():
        pytest.skip(
            f"needs {file.name} of the project's shared models in {SHARED}, which is not part of the repository"
        )
    data = json.loads(cli("build", file, "--device", "local-cpu", "--runs", "5", "--json").fine().out)
    check_summary(data)
    (entry,) = data["entries"]
    assert (entry["precision"], entry["target"]) == ("int8", "litert")
    assert entry["metrics"]["latency_p50"]["value"] > 0
    assert "quantized already" in entry["metrics"]["accuracy_drop"]["reason"] or entry["metrics"]["accuracy"]["reason"]


def test_two_models_of_one_name_share_no_bundle(cli, here, onnx_model):
    onnx_model(here / "net.onnx", seed=1)
    cli("build", "net.onnx", *NULL, "--no-profile").fine()
    first = load_artifact(here / "build" / "local-cpu").digest()
    onnx_model(here / "net.onnx", seed=2)
    cli("build", "net.onnx", *NULL, "--no-profile").fine()
    assert load_artifact(here / "build" / "local-cpu").digest() != first


def digests(out):
    return {path.parent.name: load_artifact(path.parent).digest() for path in sorted(Path(out).glob("*/manifest.json"))}


def test_two_jobs_without_the_cache_make_the_same_bytes(cli, warm, here):
    made = digests(warm.out)
    assert len(made) == 4
    words = ("build", warm.folder / "edge.toml", "--out", "again", "--no-profile", "--no-cache", "--jobs", "2")
    cached = steps(cli(*words).fine())
    fresh = ("read", "reference", "fp32", "int8")
    assert not any(cached[title] for title in cached if title.startswith(fresh)), "the user's cache holds all of it"
    assert cached["float model with onnxruntime, to compare with"], "within one build nothing is done twice"
    assert digests("again") == made


def test_no_cache_keeps_nothing(cli, tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    outcome = cli("build", tiny.name, *NULL, "--no-cache", "--no-profile").fine()
    assert not (tmp_path / "cache").exists() and "(cached)" not in outcome.err
    outcome = cli("build", tiny.name, *NULL, "--no-cache", "--no-profile").fine()
    assert "(cached)" not in outcome.err, "nothing is taken from the first build"


def steps(outcome):
    """Title of every step to whether it came from the cache."""
    found = re.findall(r"^(?:\[\d+/\d+\] )?(.+?) … \S+ \S+( \(cached\))?$", outcome.err, re.M)
    return {title: bool(cached) for title, cached in found}


def test_a_second_build_comes_from_the_cache(cli, warm, here):
    cached = steps(cli("build", warm.folder / "edge.toml", "--out", "out", "--no-profile").fine())
    made = [title for title in cached if not title.startswith("check ")]
    assert len(made) == 11 and all(cached[title] for title in made), cached
    assert digests("out") == digests(warm.out)


def test_a_change_is_built_again(cli, warm, here):
    text = (warm.folder / "edge.toml").read_text().replace("calibration = 16", "calibration = 8")
    for name in ("tiny.onnx", "samples.npz"):
        (here / name).write_bytes((warm.folder / name).read_bytes())
    (here / "edge.toml").write_text(text)
    cached = steps(cli("build", "edge.toml", "--no-profile", "--device", "local-cpu").fine())
    assert not cached["int8 for local-cpu with onnxruntime"], "other calibration samples make another int8 bundle"
    assert cached["fp32 for local-cpu with onnxruntime"], "and the same float bundle, wherever the project lies"


def test_steps_are_counted(cli, warm, here):
    for words in (("--no-profile",), ("--device", "nothing"), ("--device", "raspberry-pi-5")):
        outcome = cli("build", warm.folder / "edge.toml", "--out", "out", "--runs", "3", *words).fine()
        numbers = [tuple(map(int, pair)) for pair in re.findall(r"^\[(\d+)/(\d+)\]", outcome.err, re.M)]
        total = len(numbers)
        assert numbers == [(number, total) for number in range(1, total + 1)], outcome.err


def test_a_dry_run_does_nothing(cli, built, here):
    outcome = cli("build", built.folder / "edge.toml", "--dry-run").fine()
    assert "raspberry-pi-5" in outcome.out and "here, as a stand-in" in outcome.out
    assert list(here.iterdir()) == [] and not outcome.err
    rows = json.loads(cli("build", built.folder / "edge.toml", "--dry-run", "--json").fine().out)["plan"]
    assert rows[0]["bundle"] == "build/local-cpu-onnxruntime-fp32"


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_quiet_means_silence_on_standard_error(cli, tiny, more):
    outcome = cli("build", tiny.name, *NULL, "--quiet", "--no-profile", *more).fine()
    assert outcome.err == "" and "local-cpu" in outcome.out


def test_without_a_profile(cli, tiny):
    data = json.loads(cli("build", tiny.name, *NULL, "--no-profile", "--json").fine().out)
    assert "latency_p50" not in data["entries"][0]["metrics"]
    assert not (tiny.parent / "build" / "local-cpu" / "profile.json").exists()
    assert (tiny.parent / "build" / "report.html").is_file()


def test_files_of_the_user_s_are_not_taken_for_modules(program, tiny):
    """Workers run in the user's folder, where a file may be called like a package."""
    for name in ("onnx", "numpy", "json", "profiles", "targets", "random"):
        (tiny.parent / f"{name}.py").write_text("raise RuntimeError('this is not what you wanted')")
    program("build", tiny.name, *ORT, "--out", "out").fine()


def test_an_old_bundle_is_replaced_and_others_stay(cli, warm, here):
    words = ("build", warm.folder / "edge.toml", "--out", "out", "--no-profile")
    cli(*words, "--device", "nothing").fine()
    cli(*words, "--device", "raspberry-pi-5").fine()
    assert sorted(path.name for path in (here / "out").iterdir()) == [
        "nothing",
        "raspberry-pi-5",
        "report.html",
        "summary.json",
    ]
    data = json.loads((here / "out" / "summary.json").read_text())
    assert [entry["bundle"] for entry in data["entries"]] == ["raspberry-pi-5"], "the summary is of the last build"
