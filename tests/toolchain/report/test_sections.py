"""Layers, machines and reasons, as the page lists them."""

from __future__ import annotations

import pytest

from toolchain.report.facts import flat, lines, machine_facts
from toolchain.report.layers import SHOWN, error_bars, time_bars
from toolchain.report.load import load_build
from toolchain.report.sections import disturbances, figures, machines, unavailable_figures, versions
from toolchain.report.table import executed, table


@pytest.fixture
def entries(build):
    return load_build(build).entries


def test_errors_come_worst_first_and_times_in_order_of_execution(entries):
    errors, times = error_bars(entries[1]), time_bars(entries[1])
    decibels = [float(bar.text.split()[0]) for bar in errors.shown]
    assert decibels == sorted(decibels), "the worst layer must come first"
    assert [bar.name for bar in times.shown][:2] == ["stem/conv", "stem/relu"]
    assert max(bar.length for bar in times.shown) == pytest.approx(100.0), "the slowest layer fills its bar"
    assert sum(float(bar.extra.split()[0]) for bar in times.shown) == pytest.approx(100.0, abs=0.6)
    assert error_bars(entries[0]) is None, "a float bundle has no error to show"


def test_layers_without_an_sqnr_come_last_with_their_reason(build, edit):
    def change(rows):
        rows[0]["sqnr"] = {"value": None, "unit": "dB", "kind": "unavailable", "method": "", "reason": "equal tensors"}

    edit(build / "local-cpu-litert-int8" / "layers.json", change)
    bars = error_bars(load_build(build).entries[5])
    assert (bars.shown[-1].text, bars.shown[-1].length) == ("–", 0.0)
    assert "equal tensors" in bars.shown[-1].tip and bars.kind is None, "mixed kinds need a badge on every row"


def test_negative_decibels_grow_to_the_left(build, edit):
    edit(build / "local-cpu-litert-int8" / "layers.json", lambda rows: rows[0]["sqnr"].update(value=-3.0))
    worst = error_bars(load_build(build).entries[5]).shown[0]
    assert worst.text == "-3.0 dB".replace("-", "−")
    assert worst.start == pytest.approx(0.0) and worst.length > 0


def test_rows_that_were_only_compared_are_not_timed(build, edit):
    sqnr = {"value": 20.0, "unit": "dB", "kind": "measured", "method": "m", "reason": ""}
    edit(build / "local-cpu-litert-int8" / "profile.json", lambda p: p.update(layers=[]))
    edit(build / "summary.json", lambda s: s["entries"][5]["layers"].append({"name": "x", "op": "Conv", "sqnr": sqnr}))
    assert len(time_bars(load_build(build).entries[5]).shown) == 12


def test_many_layers_are_folded(build, edit):
    path = build / "local-cpu-litert-int8" / "profile.json"
    edit(path, lambda p: p.update(layers=[{**p["layers"][0], "name": f"layer {i}"} for i in range(60)]))
    bars = time_bars(load_build(build).entries[5])
    assert (len(bars.shown), len(bars.folded)) == (SHOWN, 60 - SHOWN)


def test_the_table_keeps_one_unit_per_column(entries):
    made = table(entries)
    assert {c.scale.unit for c in made.columns[:4]} == {"µs"}, "latencies and CPU time share a unit"
    assert [row.cells[0].number for row in made.rows][:2] == ["117.5", "77.1"]
    assert made.rows[0].cells[-1].number == "–" and made.rows[0].cells[-1].sort is None, "missing is never 0"


def test_what_a_microcontroller_needs_gets_columns_of_its_own(build, edit):
    flash = {"value": 50_000, "unit": "B", "kind": "simulated", "method": "linker map", "reason": ""}
    edit(build / "summary.json", lambda s: s["entries"][0]["metrics"].update(flash=flash))
    made = table(load_build(build).entries)
    assert made.columns[-1].metric == "flash" and made.rows[0].cells[-1].kind.letter == "Si"


def test_what_really_ran_is_held_against_what_was_asked(entries):
    assert [executed(e).as_asked for e in entries] == [True, True, True, False, True, True, True]
    assert executed(entries[3]).text == "8× fp32, 2× int8"


def test_a_gpu_s_numbers_have_units():
    gpu = {"memory": 8 * 2**30, "power_limit": 200.0, "throttled_seconds": {"power limit": 1.5}, "temperature": 54.0}
    assert flat({"gpus": [gpu]}) == {
        "gpus · memory": "8 GiB", "gpus · power limit": "200 W", "gpus · throttled seconds · power limit": "1.5 s",
        "gpus · temperature": "54 °C",
    }  # fmt: skip


def test_reasons_are_said_once(entries):
    found = unavailable_figures(entries)
    assert [u.where for u in found] == [
        "all bundles but litert int8 on raspberry-pi-5",
        "litert int8 on raspberry-pi-5",
    ]
    assert {u.subject for u in found} == {"energy"}


def test_versions_and_machines(entries):
    found = {v.subject: (v.text, v.everywhere) for v in versions(entries)}
    assert found["torch"] == ("2.13.0", True) and found["litert"] == ("2.3.0", False)
    assert [m.where for m in machines(entries)] == ["all bundles"]


def test_disturbances_are_sentences_with_the_bundles_they_hold_for(build, edit):
    path = build / "local-cpu-litert-int8" / "profile.json"
    edit(path, lambda p: p["machine"].update(disturbances=["the load was 2.2", ""]))
    said = {d.text: d.where for d in disturbances(load_build(build).entries)}
    assert said["The load was 2.2."] == "litert int8 on local-cpu"
    assert said["The run was unstable: its figures move from run to run."] == "openvino fp32"
    assert said["Warm-up ended after 50 runs."] == "all bundles"


def test_every_figure_is_listed_with_its_source(entries):
    listed = {f.name: f for f in figures(entries[6])}
    assert "not on the device" in listed["latency p50"].source and "(300 samples)" in listed["latency p50"].source
    assert listed["accuracy"].spread == "± 0.90 points"
    assert listed["energy"].text == "–"


def test_nested_facts_become_lines():
    clocks = [{"cpu": i, "governor": "performance", "current": 2.4e9} for i in range(2)]
    data = {"clocks": clocks, "load": [0.1, 0.25, 1.0], "ram": 2.0**34, "virtual": True, "power_mode": None}
    assert flat(data) == {
        "clocks · cpu": "0, 1",
        "clocks · governor": "performance",
        "clocks · current": "2.4 GHz",
        "load": "0.1, 0.25, 1",
        "ram": "16 GiB",
        "virtual": "yes",
        "power mode": "not told",
    }
    assert ("power mode", "not told") not in lines(data), "what nobody tells is left out"


def test_the_machine_before_and_after(entries):
    facts = {fact.name: (fact.before, fact.after) for fact in machine_facts(entries[0])}
    assert facts["load 1m"] == ("0.08", "0.31") and facts["throttled"] == ("no", "no")
