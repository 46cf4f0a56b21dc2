"""The one shape of all results."""

import json
from pathlib import Path

from profiles.measurement import Kind, Metric, unavailable
from toolchain.summary import BuildResult, Entry, layer_table

ROOT = Path("build")


def entry(name="a", budget=(), **more):
    metrics = {
        "latency_p50": Metric(0.0071, "s", Kind.MEASURED, "clock", samples=(0.007, 0.0072)),
        "energy": unavailable("energy", "no meter"),
    }
    return Entry(name, "local-cpu", "null", "fp32", ROOT / name, metrics, budget, **more)


ROWS = (
    {"metric": "latency_p50", "limit": 0.005, "value": 0.0071, "met": False},
    {"metric": "model_size", "limit": 1 << 20, "value": 1000.0, "met": True},
    {"metric": "energy", "limit": 1e-3, "value": None, "met": None},
)


def test_the_shape_is_that_of_the_architecture():
    data = BuildResult(ROOT, (entry(budget=ROWS),)).as_dict()
    assert data == json.loads(json.dumps(data)), "plain data"
    assert sorted(data) == ["entries", "schema"] and data["schema"] == 1
    assert data["entries"][0] == {
        "device": "local-cpu",
        "target": "null",
        "precision": "fp32",
        "bundle": "a",
        "metrics": {
            "latency_p50": {
                "value": 0.0071,
                "unit": "s",
                "kind": "measured",
                "method": "clock",
                "reason": "",
                "samples": [0.007, 0.0072],
            },
            "energy": {"value": None, "unit": "J", "kind": "unavailable", "method": "", "reason": "no meter"},
        },
        "budget": [dict(row) for row in ROWS],
        "layers": [],
    }


def test_missed_limits_are_told_with_figure_and_limit():
    result = BuildResult(ROOT, (entry(budget=ROWS), entry("b"), entry("c", budget=ROWS[:1])))
    assert result.missed == ["a: latency_p50 7.1 ms, limit 5 ms", "c: latency_p50 7.1 ms, limit 5 ms"]
    assert result.entries[0].missed == ["latency_p50"]
    assert BuildResult(ROOT, (entry(budget=ROWS[1:]),)).missed == [], "what is not known is not missed"


def test_layers_are_joined_by_name():
    times = [{"name": "conv", "op": "Conv", "latency_p50": 1}, {"name": "fused", "op": "X", "latency_p50": 2}]
    errors = [{"name": "conv", "op": "Conv", "sqnr": 3}, {"name": "relu", "op": "Relu", "sqnr": 4}]
    assert layer_table(times, errors) == [
        {"name": "conv", "op": "Conv", "latency_p50": 1, "sqnr": 3},
        {"name": "fused", "op": "X", "latency_p50": 2},
        {"name": "relu", "op": "Relu", "sqnr": 4},
    ]
    assert layer_table([], []) == [] and layer_table(times, []) == times and layer_table([], errors) == errors
    assert "sqnr" not in times[0], "what went in stays as it was"


def test_two_layers_of_one_name_keep_their_times():
    times = [{"name": "conv", "op": "Conv", "latency_p50": 1}, {"name": "conv", "op": "Conv", "latency_p50": 2}]
    joined = layer_table(times, [{"name": "conv", "op": "Conv", "sqnr": 3}])
    assert [row["latency_p50"] for row in joined] == [1, 2]
    assert joined[0]["sqnr"] == 3 and "sqnr" not in joined[1], "an error belongs to one layer"
