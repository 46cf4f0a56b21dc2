"""Where cycles go: the roofline, the queues over time, and the table beside them."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from profiles.errors import ConfigError
from profiles.measurement import Kind, Metric
from tests.toolchain.report.fpga_build import make_fpga_build
from toolchain.report import render_report
from toolchain.report.charts import queues, roofline
from toolchain.report.charts.layer_names import NAMED
from toolchain.report.charts.placement import Box
from toolchain.report.cycle_table import rows
from toolchain.report.cycles import CAUSES, Machine, all_cycles, sentence
from toolchain.report.load import load_build
from toolchain.report.ranking import budget_sentence
from toolchain.report.table import verdict

ROOFS = [(roofline.WIDE, "wide"), (roofline.NARROW, "narrow")]
LANES = [(queues.WIDE, "wide"), (queues.NARROW, "narrow")]


@pytest.fixture(scope="module", params=[1, 4, 11, 29])
def found(request, tmp_path_factory):
    """Cycles of a network of so many layers."""
    (cycles,) = all_cycles(load_build(make_fpga_build(tmp_path_factory.mktemp("fpga"), layers=request.param)))
    assert len(cycles.layers) == request.param
    return cycles


def test_the_roof_is_the_smaller_of_array_and_port():
    machine = Machine(256.0, 8.0)
    assert machine.knee == 32.0
    assert [machine.roof(x) for x in (1.0, 16.0, 32.0, 1000.0)] == [8.0, 128.0, 256.0, 256.0]


@pytest.mark.parametrize(("layout", "size"), ROOFS)
def test_every_layer_is_in_the_plane_at_its_place(found, layout, size):
    chart = roofline.roofline(found, layout, size)
    plot = Box(layout.left, layout.top, layout.width - layout.right, layout.height - layout.bottom)
    assert len(chart.marks) == len(found.layers) + 1, "all layers, and the whole network"
    starts = [tuple(map(float, re.match(r"M([\d.]+) ([\d.]+)", mark.path).groups())) for mark in chart.marks]
    assert all(plot.left <= x <= plot.right and plot.top <= y <= plot.bottom for x, y in starts), "a mark is outside"
    corners = [tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ([\d.]+)", chart.roof)]
    (_, low), (knee, level), (end, same) = corners
    assert level == same < low and corners[0][0] < knee < end == pytest.approx(plot.right), "a slope, then level"
    labels = [mark.label.box for mark in chart.marks if mark.label] + [label.box for label in chart.limits]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(labels, 2)), "two labels overlap"
    told = " ".join(mark.label.text for mark in chart.marks if mark.label)
    if len(found.layers) > NAMED and not chart.bare:
        numbers = {int(number) for number in re.findall(r"\d+", told)}
        assert numbers == {each.number for each in found.layers}, "every number is there once, alone or with others"
    assert all("MACs per cycle" in mark.tip and "cycles" in mark.tip for mark in chart.marks)


def test_layers_in_one_place_share_a_label_and_long_names_become_numbers(tmp_path, edit):
    folder = make_fpga_build(tmp_path / "fpga", layers=6)

    def same(profile):
        for number, layer in enumerate(profile["layers"]):
            layer["name"] = f"functional_1/activation_{number}/Relu;batch_normalization"
        for number in (2, 4):
            names = ("name", "op", "precision")
            profile["layers"][number] |= {k: v for k, v in profile["layers"][0].items() if k not in names}

    edit(folder / "fpga-sim-16x16" / "profile.json", same)
    (found,) = all_cycles(load_build(folder))
    labels = {mark.label.text.strip("\u2009") for mark in roofline.roofline(found, *ROOFS[0]).marks if mark.label}
    assert labels == {"all layers", "1, 3, 5", "2", "4", "6"}


@pytest.mark.parametrize(("layout", "size"), LANES)
def test_the_queues_are_drawn_to_scale_and_inside(found, layout, size):
    chart = queues.queues(found, layout, size)
    left, right = layout.gutter, layout.width - layout.right
    assert chart.layers[0].x == left and chart.layers[-1].x + chart.layers[-1].width == pytest.approx(right)
    for one, other in itertools.pairwise(chart.layers):
        assert one.x + one.width == pytest.approx(other.x), "layers follow each other without a gap"
    widths = [piece.width / (right - left) for piece in chart.layers]
    assert widths == pytest.approx([each.cycles / found.whole.cycles for each in found.layers])
    assert [lane.name for lane in chart.lanes] == ["load", "compute", "store", "port reads", "port writes"]
    for lane in chart.lanes:
        xs = [float(x) for _, path in lane.paths for x in re.findall(r"[MH]([\d.]+)", path)]
        ys = [float(y) for _, path in lane.paths for y in re.findall(r"V([\d.]+)", path)]
        assert all(left - 0.01 <= x <= right + 0.5 for x in xs), f"'{lane.name}' leaves the plot"
        assert all(lane.y - 0.1 <= y <= lane.y + lane.height + 0.1 for y in ys), f"'{lane.name}' leaves its lane"
    compute = dict(chart.lanes[1].paths)
    assert "at-load waits" in compute, "what the array waits for is in the colour of that"


def test_the_table_has_every_cycle(found):
    table = rows(found)
    assert [row.number for row in table] == [*map(str, range(1, len(found.layers) + 1)), ""]
    for row, work in zip(table, [*found.layers, found.whole], strict=True):
        assert sum(work.causes.values()) == work.cycles
        longest = max(each.cycles for each in found.layers) if work.number else work.cycles
        assert sum(part.length for part in row.parts) == pytest.approx(100 * work.cycles / longest)
        for before, after in itertools.pairwise(row.parts):
            assert before.start + before.length == pytest.approx(after.start), "parts of a bar do not follow each other"
    assert table[-1].name == "all layers" and float(table[-1].used.split()[0]) <= 100


def test_the_sentence_tells_kinds_and_shares(found):
    text = sentence(found)
    assert text.startswith(f"{found.whole.cycles:,.0f} cycles, ") and "(estimated)" in text
    shares = [float(share) for share in re.findall(r"([\d.]+) %", text)]
    assert sum(shares) == pytest.approx(100, abs=0.3) and CAUSES["compute"] in text


def test_only_bundles_that_tell_are_shown(build, tmp_path):
    page = render_report(build)
    assert 'id="cycles"' not in page and "Roofline" not in page, "a CPU tells no cycles of an array"
    page = render_report(make_fpga_build(tmp_path / "fpga", trace=False))
    assert "Roofline" in page and "Queues over time" not in page, "without a trace there is no picture of it"


def test_a_damaged_trace_is_a_clear_error(tmp_path):
    folder = make_fpga_build(tmp_path / "fpga", layers=3)
    path = folder / "fpga-sim-16x16" / "timeline.json"
    path.write_text('{"traceEvents": [{"ph": "X", "ts": -1}]}')
    with pytest.raises(ConfigError, match=r"timeline\.json has an unexpected shape"):
        render_report(folder)
    path.write_text("{")
    with pytest.raises(ConfigError, match="is not valid JSON"):
        render_report(folder)
    path.write_text(json.dumps({"traceEvents": []}))
    assert "Queues over time" not in render_report(folder)
    path.write_text(" " * (1 << 23) + "{")
    assert "Roofline" in render_report(folder), "a huge one is not read"


def test_names_from_outside_cannot_run_anything(tmp_path):
    folder = make_fpga_build(tmp_path / "fpga", layers=3)
    for path in folder.rglob("*.json"):
        path.write_text(path.read_text().replace("block1/", "<script>alert(1)</script>"))
    assert "<script>alert(1)" not in render_report(folder)


def test_what_a_simulation_has_none_of_is_not_drawn_and_estimates_are_called_so(tmp_path):
    folder = make_fpga_build(tmp_path / "fpga")
    (entry,) = load_build(folder).entries
    assert not entry.spread and 'id="latency"' not in render_report(folder), "one figure is no distribution"
    assert budget_sentence([entry]) == "The device meets its budget, with latency p50 as estimated."
    (line,) = verdict(entry).lines
    assert line.endswith("ms, estimated") and line.startswith("✓")
    measured = {**entry.metrics, "latency_p50": Metric(4e-4, "s", Kind.MEASURED, "m")}
    object.__setattr__(entry, "metrics", measured)
    assert budget_sentence([entry]) == "The device meets its budget."
    assert verdict(entry).lines[0].endswith("ms")
