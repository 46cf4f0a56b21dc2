"""What the benchmark of TVM on plain CPUs makes of its figures."""

import pytest

from benchmarks import tvm_cpu, tvm_cpu_clock


def span(value):
    return {"median": value, "low": value, "high": value}


def rows(speed=1.2, us=100.0):
    plain = {"us": span(us), "speed": span(speed), "difference": 1e-7, "tuning": {}}
    tuned = {**plain, "gain": span(0.98), "tuning": {"seconds": 3.2, "measured": 4, "kernels": 5}}
    return {name: tuned if name == "tvm, tuned" else plain for name in tvm_cpu_clock.ROWS}


def test_ratios_are_of_the_same_round():
    assert tvm_cpu._ratio([2.0, 6.0, 4.0], [1.0, 2.0, 4.0]) == {"median": 2.0, "low": 1.0, "high": 3.0}


@pytest.mark.parametrize(("speed", "missed"), [(1.2, 0), (0.96, 0), (0.9, 1)])
def test_the_goal_is_no_slower_than_onnxruntime(speed, missed):
    assert len(tvm_cpu._missed("ResNet-8", rows(speed))) == missed


def test_large_times_are_in_milliseconds():
    assert tvm_cpu._time(span(105.7)) == "105.7 (105.7–105.7) µs"
    assert tvm_cpu._time(span(49_298.6)) == "49.3 (49.3–49.3) ms"


def test_the_page_says_what_tuning_took_and_gained(tmp_path, monkeypatch):
    from benchmarks import common

    monkeypatch.setattr(common, "RESULTS", tmp_path)
    tvm_cpu._write({name: rows() for name in tvm_cpu.NETWORKS})
    text = (tmp_path / "tvm_cpu.md").read_text()
    assert text.splitlines()[2] == tvm_cpu.CLAIM
    assert "3.2 s, 4 of 5 kernels, 0.98 (0.98–0.98) times as fast as untuned" in text


def test_a_turn_is_timed_often_enough():
    calls = []
    assert tvm_cpu_clock.timed(lambda: calls.append(1)) > 0
    assert len(calls) > 100, "a call that takes nothing fits many times into a turn"
