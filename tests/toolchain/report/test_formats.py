"""Number formats side by side: who belongs together, what is missing, and which figure is the best."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.measurement import Kind, Metric, unavailable
from tests.toolchain.report.gpu_build import make_gpu_build
from toolchain.report.formats import COLUMNS, NOT_IN_SUMMARY, best_of, format_table, groups
from toolchain.report.load import load_build


def metric(value: float, kind: Kind = Kind.MEASURED, **more: object) -> Metric:
    return Metric(value, "s", kind, "by hand", **more)


@pytest.fixture
def group(tmp_path):
    return groups(load_build(make_gpu_build(tmp_path)))[0]


def test_bundles_of_one_device_and_engine_stand_together(tmp_path, builder, edit):
    first, second = make_gpu_build(tmp_path / "a"), make_gpu_build(tmp_path / "b", device="rtx-5080")
    found = groups(load_build(first))
    assert [(g.device, g.target, [r.precision for r in g.rows]) for g in found] == [
        ("rtx-4070", "tensorrt", ["fp32", "fp16", "int8"])
    ]
    assert groups(load_build(second))[0].device == "rtx-5080"
    assert groups(load_build(builder(tmp_path / "c"))) == [], "engines for processors ask for no such section"


def test_a_device_with_two_sets_of_overrides_is_two_groups(tmp_path, edit):
    folder = make_gpu_build(tmp_path)
    other = load_build(make_gpu_build(tmp_path / "other", chosen=("fp16",)))
    edit(folder / "summary.json", lambda s: s["entries"].append({**s["entries"][1], "bundle": "second"}))
    (other.folder / other.entries[0].bundle).rename(folder / "second")
    edit(folder / "second" / "manifest.json", lambda m: m["device"].update(parameters={"batches": [1, 4]}))
    found = groups(load_build(folder))
    assert [group.title for group in found] == [
        "rtx-4070 with tensorrt (rtx-4070-fp32)",
        "rtx-4070 with tensorrt (second)",
    ]
    assert [[entry.bundle for entry in group.entries] for group in found] == [
        ["rtx-4070-fp32", "rtx-4070-fp16", "rtx-4070-int8"], ["second"],
    ]  # fmt: skip


def test_rows_come_in_the_order_of_formats_whatever_the_summary_does(tmp_path):
    found = groups(load_build(make_gpu_build(tmp_path, chosen=("int8", "fp32", "fp16"))))[0]
    assert [row.precision for row in found.rows] == ["fp32", "fp16", "int8"]


def test_a_format_that_is_absent_has_a_row_with_the_reason(tmp_path, edit):
    folder = make_gpu_build(tmp_path, chosen=("fp32",))
    left = {"device": "rtx-4070", "target": "tensorrt", "precision": "int8", "why": "no samples to calibrate with"}
    edit(folder / "summary.json", lambda s: s.update(not_built=[left]))
    rows = groups(load_build(folder))[0].rows
    assert [(r.precision, r.entry is None, r.why) for r in rows] == [
        ("fp32", False, ""), ("fp16", True, NOT_IN_SUMMARY), ("int8", True, "no samples to calibrate with"),
    ]  # fmt: skip
    shown = format_table(groups(load_build(folder))[0]).rows
    assert (shown[2].cells, shown[2].why) == ((), "no samples to calibrate with")


def test_a_device_for_which_nothing_could_be_built_is_still_shown(tmp_path, edit):
    folder = make_gpu_build(tmp_path)
    left = {"device": "h200", "target": "tensorrt", "precision": "fp16", "why": "SM 9.0 is not listed"}
    edit(folder / "summary.json", lambda s: s.update(not_built=[left]))
    other = groups(load_build(folder))[1]
    assert other.title == "h200 with tensorrt" and other.entries == ()
    assert next(row.why for row in other.rows if row.precision == "fp16") == "SM 9.0 is not listed"


def test_the_best_of_each_column_is_the_one_a_person_would_choose(group):
    table = format_table(group)
    best = {
        column.metric: {row.name for row in table.rows if row.cells[index].best}
        for index, column in enumerate(table.columns)
    }
    assert best["latency_events_p50"] == best["latency_p50"] == best["throughput"] == {"fp16"}
    assert best["model_size"] == best["dram_bytes"] == {"int8"} and best["gpu_memory"] == {"fp32"}
    assert best["energy"] == {"fp16", "int8"}, "13.8 mJ and 14.1 mJ, both ± 1 %, cannot be told apart"
    assert best["accuracy"] == set(), "0.76 ± 0.01 cannot be told apart either, so nobody is best"


def test_columns_are_those_that_some_bundle_has_and_the_four_that_are_always_asked_for(tmp_path):
    table = format_table(groups(load_build(make_gpu_build(tmp_path, ran=False)))[0])
    assert [column.metric for column in table.columns] == [
        "latency_p50", "energy", "accuracy", "model_size", "kernels", "dram_bytes",
    ]  # fmt: skip
    assert {row.cells[0].text for row in table.rows} == {"–"}
    assert all("libcuda" in row.cells[0].tip for row in table.rows), "the reason must be at hand"
    assert {row.cells[2].kind.key for row in table.rows} == {"simulated"}


def test_kinds_that_differ_are_never_ranked():
    measured, other = metric(2.0), metric(1.0, Kind.STAND_IN)
    assert best_of([measured, other]) == set()
    assert best_of([measured, metric(1.0)]) == {1}
    assert best_of([measured, unavailable("s", "no GPU"), metric(3.0)]) == {0}
    assert best_of([measured, unavailable("s", "no GPU")]) == set(), "one figure alone is not the best of anything"


def test_runs_that_overlap_share_the_mark():
    rng = random.Random(3)
    same = [metric(1.0, samples=tuple(rng.lognormvariate(0, 0.1) for _ in range(200))) for _ in range(2)]
    slow = metric(2.0, samples=tuple(2 * rng.lognormvariate(0, 0.1) for _ in range(200)))
    assert best_of([*same, slow]) == {0, 1}
    assert best_of(same) == set(), "where all are alike, nobody is marked"


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=6), st.booleans())
def test_the_best_is_an_extreme_and_a_tie_of_all_is_none(values, largest):
    found = best_of([metric(v) for v in values], largest=largest)
    extreme = max(values) if largest else min(values)
    wanted = {index for index, value in enumerate(values) if value == extreme}
    assert found == (wanted if len(wanted) < len(values) else set())


def test_every_column_is_a_metric_that_all_know():
    from profiles.measurement import METRIC_UNITS

    assert {name for name, *_ in COLUMNS} <= set(METRIC_UNITS)


def test_a_figure_far_below_its_column_keeps_its_digits(tmp_path, edit):
    folder = make_gpu_build(tmp_path)
    tiny = {"value": 1536.0, "unit": "B", "kind": "measured", "method": "m", "reason": ""}
    edit(folder / "summary.json", lambda s: s["entries"][1]["metrics"].update(gpu_memory=tiny))
    table = format_table(groups(load_build(folder))[0])
    place = next(index for index, column in enumerate(table.columns) if column.metric == "gpu_memory")
    assert [(row.cells[place].text, row.cells[place].unit) for row in table.rows] == [
        ("310.000", ""), ("1.5", "KiB"), ("350.000", ""),
    ]  # fmt: skip


def with_baseline(folder, edit, events: float):
    """Adds the plain framework on the same device: slower, and of the same kind."""
    metrics = {"latency_events_p50": {"value": events, "unit": "s", "kind": "measured", "method": "m", "reason": ""}}
    entry = {"device": "rtx-4070", "target": "pytorch", "precision": "fp32", "bundle": "base", "metrics": metrics}
    edit(folder / "summary.json", lambda s: s["entries"].append(entry | {"budget": [], "layers": []}))
    return groups(load_build(folder))


def test_the_plain_framework_stands_below_and_is_not_ranked(tmp_path, edit):
    found = with_baseline(make_gpu_build(tmp_path), edit, 1e-6)
    assert len(found) == 1, "the baseline is no group of its own"
    rows = format_table(found[0]).rows
    assert [row.name for row in rows] == ["fp32", "fp16", "int8", "pytorch fp32"]
    assert not any(cell.best for cell in rows[3].cells), "1 µs is the least, but not of these formats"
    assert any(cell.best for cell in rows[1].cells)


def test_the_plain_framework_has_a_sentence(tmp_path, edit):
    from toolchain.report.format_words import format_sentences

    slow = with_baseline(make_gpu_build(tmp_path / "a"), edit, 1.9e-3)[0]
    assert "tensorrt fp16 is 10 × as fast as pytorch fp32 on the same device by CUDA events." in format_sentences(slow)
    fast = with_baseline(make_gpu_build(tmp_path / "b"), edit, 0.95e-4)[0]
    assert "tensorrt fp16 takes 2 × as long as pytorch fp32 on the same device." in format_sentences(fast)
