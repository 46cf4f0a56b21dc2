"""Geometry: marks of equal area, labels that cover nothing, rows that stay within the plot."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.measurement import Kind
from toolchain.report.charts.distribution import NARROW, WIDE, distribution
from toolchain.report.charts.marks import dots_path, fit, marker_path, px, text_width
from toolchain.report.charts.placement import Box, Spot, line_boxes, place_labels
from toolchain.report.charts.scatter import NARROW as SMALL
from toolchain.report.charts.scatter import WIDE as LARGE
from toolchain.report.charts.scatter import scatter
from toolchain.report.load import load_build

AREA = Box(0, 0, 900, 400)
SPOTS = st.lists(
    st.builds(
        Spot, st.floats(20, 880), st.floats(20, 380), st.floats(4, 25), st.text("abc int8", min_size=1, max_size=24)
    ),
    max_size=9,
)


@settings(max_examples=40, deadline=None)
@given(SPOTS)
def test_labels_cover_neither_marks_nor_each_other(spots):
    labels = place_labels(spots, AREA, 13, line_boxes([(100.0, 400.0), (100.0, 200.0), (900.0, 200.0)]))
    assert len(labels) == len(spots)
    boxes = [label.box for label in labels if label]
    marks = [Box(s.x - s.radius, s.y - s.radius, s.x + s.radius, s.y + s.radius) for s in spots]
    assert all(box.inside(AREA) for box in boxes), "a label leaves the plot"
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2)), "two labels overlap"
    assert not any(box.overlaps(mark) for box in boxes for mark in marks), "a label covers a mark"
    for label, spot in zip(labels, spots, strict=True):
        assert label is None or label.text == spot.text, "a label went to another mark"


def test_labels_keep_clear_of_lines_where_they_can_and_are_kept_where_they_cannot():
    line = line_boxes([(0.0, 100.0), (900.0, 100.0)])
    (label,) = place_labels([Spot(450, 100, 6, "on the line")], AREA, 13, line)
    assert label is not None and not label.box.overlaps(line[0]), "there is room beside the line"
    upright = [box for x in range(0, 900, 30) for box in line_boxes([(float(x), 0.0), (float(x), 400.0)])]
    (label,) = place_labels([Spot(450, 100, 6, "among many lines")], AREA, 13, upright)
    assert label is not None, "a label over a line is better than none"


def test_a_lonely_mark_always_gets_its_label_beside_it():
    (label,) = place_labels([Spot(100, 100, 5, "one")], AREA, 13)
    assert label is not None and label.leader is None


@pytest.mark.parametrize("kind", [Kind.STAND_IN, Kind.SIMULATED, Kind.ESTIMATED])
def test_every_shape_has_the_area_of_the_circle(kind):
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", marker_path(kind, 50, 50, 20))]
    corners = list(zip(numbers[::2], numbers[1::2], strict=True))
    turns = itertools.pairwise([*corners, corners[0]])
    area = abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in turns)) / 2
    assert area == pytest.approx(math.pi * 400, rel=0.02), "size is read from the area: shapes must agree"


@given(st.text(max_size=60), st.floats(30, 300))
def test_fitted_text_fits(text, width):
    assert text_width(fit(text, 13, width), 13) <= max(width, text_width("…", 13))
    assert fit(text, 13, 1e9) == text


@given(st.floats(-1e4, 1e4))
def test_pixels_are_short_and_close(value):
    assert float(px(value)) == pytest.approx(value, abs=0.051)
    assert px(value) != "-0" and len(px(value)) <= 8


def test_dots_on_the_same_pixel_are_drawn_once():
    assert dots_path([(1.0, 2.0), (1.1, 2.1), (9.0, 9.0)]).count("h0") == 2


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_distribution_keeps_everything_inside_and_kinds_apart(build, layout):
    entries = load_build(build).entries
    chart = distribution(entries, layout, "test")
    assert [key for key, _, _ in chart.groups] == ["measured", "stand-in"], "kinds must stand in groups of their own"
    assert [row.kind for row in chart.rows] == ["measured"] * 6 + ["stand-in"]
    for row in chart.rows:
        for x, y in re.findall(r"M([\d.]+) ([\d.]+)h0", row.dots):
            assert layout.gutter <= float(x) <= layout.width - layout.right, (
                f"a run of {row.tip} lies outside of the plot"
            )
            assert row.y < float(y) < row.y + 30, "dots of one bundle reach into the next"
        places = [x for _, x, _ in row.marks]
        assert places == sorted(places), "p50, p90 and p99 are out of order"
        assert row.box[0] <= places[0] <= row.box[1], "the median lies outside of the middle half"


@pytest.mark.parametrize("layout", [LARGE, SMALL])
def test_scatter_draws_one_front_and_fades_what_is_beaten(build, layout):
    entries = load_build(build).entries
    chart = scatter(entries, layout, "test")
    assert len(chart.marks) == len(entries)
    assert [key for key, _ in chart.fronts] == ["measured"], "one stand-in alone has no front"
    beaten = {mark.tip.split(" (")[0] for mark in chart.marks if mark.beaten}
    # Both fp32 bundles are slower than litert's with the same accuracy, and larger than it or equal to it.
    assert beaten == {"onnxruntime fp32 on local-cpu", "openvino fp32 on local-cpu"}
    assert "dwarfs" in chart.doubt, "360 images cannot resolve half a point, and the page says so"


def test_scatter_needs_two_bundles(builder, tmp_path):
    entries = load_build(builder(tmp_path / "one", chosen=(0,))).entries
    assert scatter(entries, LARGE, "test") is None, "one mark is no trade-off"


def test_charts_without_any_latency():
    assert distribution([], WIDE, "test") is None
    assert scatter([], LARGE, "test") is None
