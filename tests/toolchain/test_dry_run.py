"""What would be done, without doing it."""

from pathlib import Path

import pytest

from profiles.errors import ConfigError, EdgewrightError
from toolchain.dry_run import dry_run
from toolchain.project import project_from_dict


def rows(*devices, **sections):
    data = {"model": {"source": "tiny.onnx"}, "device": list(devices), **sections}
    return dry_run(project_from_dict(data), Path("out"))


def test_one_row_per_bundle(tiny, samples):
    found = rows(
        {"profile": "local-cpu", "precision": ["fp32", "int8"]},
        {"profile": "raspberry-pi-5", "target": "onnxruntime"},
        {"profile": "raspberry-pi-5", "name": "far", "target": "onnxruntime", "via": "ssh://pi@far"},
        data={"source": "npz:samples.npz"},
    )
    assert [row["bundle"] for row in found] == [
        "out/local-cpu-fp32",
        "out/local-cpu-int8",
        "out/raspberry-pi-5",
        "out/far",
    ]
    assert found[0]["steps"] == "read tiny.onnx → compile → check golden outputs → profile here"
    assert found[1]["steps"] == "read tiny.onnx → convert to int8 → compile → check golden outputs → profile here"
    assert found[2]["steps"].endswith("profile here, as a stand-in")
    assert found[3]["steps"].endswith("profile on ssh://pi@far")
    assert set(found[0]) == {"bundle", "device", "target", "precision", "steps"}


def test_nothing_is_written_or_started(tiny, samples, untouched, monkeypatch):
    monkeypatch.setattr("targets.execute.converse", lambda *_, **__: pytest.fail("something was started"))
    whole = untouched(tiny.parent)
    rows({"profile": "local-cpu", "precision": "int8"}, data={"source": "npz:samples.npz"})
    whole()


def test_what_would_stop_the_build_stops_it_too(tiny):
    with pytest.raises(ConfigError, match="calibration samples"):
        rows({"profile": "local-cpu", "precision": "int8"})
    with pytest.raises(EdgewrightError, match="cannot read"):
        rows({"profile": "local-cpu", "target": "litert"})
    with pytest.raises(ConfigError):
        rows()


def test_an_unsupported_operator_too(here, onnx_model):
    onnx_model(here / "tiny.onnx", domain="com.example")
    with pytest.raises(EdgewrightError, match="not supported"):
        rows({"profile": "local-cpu", "target": "onnxruntime"})
