"""The batch sweep: every row, in order, and lines whose labels can be told apart."""

from __future__ import annotations

import itertools

import pytest

from profiles.errors import ConfigError
from tests.toolchain.report.gpu_build import BATCHES, figure, make_gpu_build
from toolchain.report.batches import sweep_table, sweeps
from toolchain.report.charts.lines import DASHES, NARROW, WIDE, lines
from toolchain.report.load import load_build


def sweep(folder):
    return sweeps(load_build(folder).entries)[0]


def test_every_batch_size_of_every_format_has_a_row(tmp_path, edit):
    folder = make_gpu_build(tmp_path)
    edit(folder / "rtx-4070-fp32" / "profile.json", lambda p: p["batches"].reverse())
    table = sweep_table(sweep(folder))
    wanted = [(precision, batch) for precision in ("fp32", "fp16", "int8") for batch in BATCHES]
    assert [(row.precision, row.batch) for row in table.rows] == wanted
    assert [title for title, _ in table.columns] == ["throughput", "latency p50 by CUDA events"]
    assert [row.first for row in table.rows].count(True) == 3


def test_a_batch_that_failed_keeps_its_reason(tmp_path, edit):
    folder = make_gpu_build(tmp_path)
    last = {"batch": 64, "throughput": figure(None, "1/s", text="out of GPU memory")}
    edit(folder / "rtx-4070-fp32" / "profile.json", lambda p: p["batches"].append(last))
    row = next(row for row in sweep_table(sweep(folder)).rows if row.batch == 64)
    assert row.cells[0].text == "–" and "out of GPU memory" in row.cells[0].tip
    assert "not told for this batch size" in row.cells[1].tip


def test_a_sweep_of_one_size_is_none(tmp_path, edit, builder):
    folder = make_gpu_build(tmp_path / "a")
    for name in ("fp32", "fp16", "int8"):
        edit(folder / f"rtx-4070-{name}" / "profile.json", lambda p: p.update(batches=p["batches"][:1]))
    assert sweeps(load_build(folder).entries) == []
    assert sweeps(load_build(builder(tmp_path / "b")).entries) == []


@pytest.mark.parametrize("batch", [0, -1, 1.5, "2", None])
def test_a_batch_size_that_is_none_is_refused(tmp_path, edit, batch):
    folder = make_gpu_build(tmp_path)
    edit(folder / "rtx-4070-fp32" / "profile.json", lambda p: p["batches"][0].update(batch=batch))
    with pytest.raises(ConfigError, match="batch"):
        load_build(folder)


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_lines_rise_with_the_figures_and_stay_inside(tmp_path, layout):
    found = lines(sweep(make_gpu_build(tmp_path)), layout, "wide")
    throughput, latency = found.panels
    assert throughput.title.startswith("throughput") and latency.title.startswith("latency p50 by CUDA events in ")
    for panel in found.panels:
        for line in panel.lines:
            points = [tuple(map(float, pair.split())) for pair in line.path[1:].split("L")]
            assert [x for x, _ in points] == sorted(x for x, _ in points), "batch sizes must grow to the right"
            assert [y for _, y in points] == sorted((y for _, y in points), reverse=True), "these figures only grow"
            for x, y in points:
                assert panel.x + layout.left <= x <= panel.x + layout.panel - layout.right
                assert panel.y + layout.top <= y <= panel.y + layout.height - layout.bottom
    assert [text for text, _ in throughput.x_ticks] == [str(batch) for batch in BATCHES]


def test_labels_at_the_ends_of_lines_do_not_cover_each_other(tmp_path, edit):
    folder = make_gpu_build(tmp_path)
    same = load_build(folder).entries[0].batches
    for name in ("fp16", "int8"):
        rows = [{"batch": b.batch} | {k: m.as_dict() for k, m in b.metrics.items()} for b in same]
        edit(folder / f"rtx-4070-{name}" / "profile.json", lambda p, rows=rows: p.update(batches=rows))
    for panel in lines(sweep(folder), WIDE, "wide").panels:
        heights = sorted(line.label_at[1] for line in panel.lines)
        assert all(b - a >= 14.9 for a, b in itertools.pairwise(heights)), f"labels overlap: {heights}"
        assert heights[-1] <= panel.y + WIDE.height - WIDE.bottom
        assert len({line.dash for line in panel.lines}) == 3, "lines must be told apart without colour"


def test_only_measured_with_measured(tmp_path, edit):
    folder = make_gpu_build(tmp_path)

    def stand_in(profile):
        for row in profile["batches"]:
            for name in ("throughput", "latency_events_p50"):
                row[name].update(kind="stand_in")

    edit(folder / "rtx-4070-int8" / "profile.json", stand_in)
    found = lines(sweep(folder), WIDE, "wide")
    assert [[line.label for line in panel.lines] for panel in found.panels] == [["fp32", "fp16"]] * 2
    assert found.notes == (
        "int8 has no throughput of this kind, and is not drawn.",
        "int8 has no latency p50 by CUDA events of this kind, and is not drawn.",
    )


def test_there_are_as_many_dashes_as_formats():
    from profiles.device import PRECISIONS

    assert len(set(DASHES)) >= len(PRECISIONS)
