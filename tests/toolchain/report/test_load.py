"""Reading a build folder: what may be absent, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.errors import ConfigError
from tests.toolchain.report.gpu_build import make_gpu_build
from toolchain.report.load import load_build
from toolchain.report.page import render_report


def test_everything_is_read(build):
    found = load_build(build)
    assert found.project == "resnet8-digits", "the name comes from the manifests"
    assert [e.short for e in found.entries][:2] == ["onnxruntime fp32", "onnxruntime int8"]
    assert len(found.entries[1].errors or ()) == 12 and found.entries[0].errors is None
    assert len(found.entries[0].metrics["latency_p50"].samples or ()) == 300


def test_samples_that_only_the_profile_has_are_used(build, edit):
    edit(build / "summary.json", lambda s: s["entries"][0]["metrics"]["latency_p50"].pop("samples"))
    assert len(load_build(build).entries[0].metrics["latency_p50"].samples or ()) == 300


def test_samples_of_another_kind_are_not_mixed_in(build, edit):
    def change(summary):
        summary["entries"][0]["metrics"]["latency_p50"].pop("samples")
        summary["entries"][0]["metrics"]["latency_p50"]["kind"] = "stand_in"

    edit(build / "summary.json", change)
    assert load_build(build).entries[0].metrics["latency_p50"].samples is None, "two kinds were mixed in one figure"


def test_what_was_measured_later_and_elsewhere_is_shown(tmp_path, edit):
    folder = make_gpu_build(tmp_path, ran=False, chosen=("fp16",))
    before = load_build(folder).entries[0]
    assert before.not_run and before.value("latency_p50") is None
    later = {"value": 2e-4, "unit": "s", "kind": "measured", "method": "200 runs", "reason": ""}
    profile = folder / before.bundle / "profile.json"
    edit(profile, lambda p: p["metrics"].update(latency_p50=later, accuracy=later | {"unit": "1"}))
    after = load_build(folder).entries[0]
    assert after.value("latency_p50") == 2e-4, "the figure of edgewright profile --via is not on the page"
    assert not after.not_run, "a bundle that was measured is still called not run"
    assert after.metric("accuracy") == before.metric("accuracy"), "what the build knew is the build's"


@pytest.mark.parametrize("name", ["manifest.json", "profile.json", "layers.json"])
def test_absent_files_are_said_on_the_page(build, name):
    for path in build.glob(f"*/{name}"):
        path.unlink()
    assert f"local-cpu-onnxruntime-int8/{name} is absent" in render_report(build)


def test_no_summary(tmp_path):
    with pytest.raises(ConfigError, match="no summary") as error:
        load_build(tmp_path)
    assert "edgewright build" in error.value.next_step


BUNDLE = "local-cpu-litert-int8"
FILES = ["summary.json", f"{BUNDLE}/manifest.json", f"{BUNDLE}/profile.json", f"{BUNDLE}/layers.json"]
DAMAGED = [b"", b"{", b"[1]", b'"text"', b"\xff\xfe", b"[" * 5000, b'{"tools": 1, "metrics": 1, "schema": "one"}']


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_files_are_clear_errors(build, name, content):
    (build / name).write_bytes(content)
    with pytest.raises(ConfigError) as error:
        load_build(build)
    assert name in error.value.wanted, "the error does not name the file"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.update(schema=2), "schema"),
        (lambda s: s["entries"][0].pop("device"), "entries.0.device"),
        (lambda s: s["entries"][0]["metrics"]["latency_p50"].update(value="fast"), "latency_p50"),
        (lambda s: s["entries"][0]["metrics"]["latency_p50"].update(kind="guessed"), "measured"),
        (lambda s: s["entries"][0]["metrics"]["latency_p50"].update(samples=[1.0, float("nan")]), "sample"),
        (lambda s: s["entries"][0]["metrics"]["energy"].update(reason=""), "why"),
        (lambda s: s["entries"][0]["metrics"]["energy"].update(value=0.0), "unavailable"),
        (lambda s: s["entries"][0].update(bundle="../elsewhere"), "outside"),
        (lambda s: s["entries"][0].update(bundle="/etc"), "outside"),
        (lambda s: s["entries"][0].update(bundle="nul\x00"), "bundle"),
        (lambda s: s["entries"][0].update(bundle="x" * 5000), "name too long"),
    ],
)
def test_wrong_contents_are_clear_errors(build, edit, change, words):
    edit(build / "summary.json", change)
    with pytest.raises(ConfigError) as error:
        load_build(build)
    assert words in str(error.value), f"the error does not say what is wrong: {error.value}"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(key=st.sampled_from(["metrics", "budget", "layers", "target", "bundle"]), value=VALUES)
def test_any_json_is_either_shown_or_a_clear_error(tmp_path, key, value):
    entry = {"device": "d", "target": "t", "precision": "int8", "bundle": "b", key: value}
    (tmp_path / "summary.json").write_text(json.dumps({"schema": 1, "entries": [entry]}), encoding="utf-8")
    try:
        page = render_report(tmp_path)
    except ConfigError as error:
        assert "summary.json" in error.wanted
    else:
        assert page.rstrip().endswith("</html>")
