"""What stands on the page, and what devices cannot put there."""

from __future__ import annotations

import dataclasses
import html.parser
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toolchain.fleet.page.fleet_overviews import NOW, crowded, empty, going, overview, stopped
from toolchain.fleet.page import render_page, words
from toolchain.fleet.page.chart import charts
from toolchain.fleet.store.overview import Latency


class Outline(html.parser.HTMLParser):
    """Tags, attributes that load something, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [
            v for k, v in attrs if k in ("src", "href", "data", "action") and not v.startswith(("#", "data:"))
        ]
        self.words += "".join(f" {v}" for k, v in attrs if k in ("aria-label", "title"))

    def handle_data(self, data):
        self.words += data


@pytest.mark.parametrize(
    "view",
    [pytest.param(overview, id="two rollouts"), pytest.param(crowded, id="crowded"), pytest.param(empty, id="empty")],
)
def test_the_page_is_one_file_without_scripts(view):
    page = Outline(render_page(view()))
    assert page.loads == [], f"the page loads or links {page.loads}"
    assert not {"script", "iframe", "object", "embed", "img", "form"} & set(page.tags), "the page does more than show"


def test_what_an_operator_looks_for():
    page = Outline(render_page(overview()))
    for text in (
        "534 devices", "version 31 of gate-counter on beta", "51 of 168", "4 went wrong", "gate-000", "by itself",
        "wrong numbers: the golden outputs differ", "slower than the release before", "2 × wrong numbers", "version 30",
        "deltas saved 84", "95 % of wave 'half' must commit before 'everyone' opens", "plan 9 is not published yet",
        "maria", "nothing yet",
    ):  # fmt: skip
        assert text in page.words, f"the page does not say: {text}"


def test_a_stopped_rollout_says_why_and_what_is_still_underway():
    view = stopped()
    assert view.state == "aborted" and words.because(view) == "4 of 6 devices of wave 'canary' went wrong; 1 is allowed"
    later = dataclasses.replace(view.decisions[0], when=NOW, action="abort", why="we have seen enough")
    said = dataclasses.replace(
        view, decisions=(*view.decisions, later), next_step="the rollout is aborted; 2 devices finish by themselves"
    )
    assert words.because(said) == "we have seen enough", "the newest decision counts, in whatever order they come"
    assert words.what_next(said) == "2 devices finish by themselves", "the chip says the state already"
    assert words.because(dataclasses.replace(said, state="running")) == ""
    page = Outline(render_page(dataclasses.replace(overview(), rollouts=(said,))))
    assert "we have seen enough" in page.words and "the rollout is aborted" not in page.words


def test_words_of_devices_stay_words():
    page = render_page(overview())
    assert "<script>" not in page and "&lt;script&gt;alert(&#39;no&#39;)" in page, "a device wrote into the page"
    odd = dataclasses.replace(stopped().troubles[0], detail='"><b onclick=x>\x00\ud800', device="a", reason="<i>")
    view = dataclasses.replace(stopped(), troubles=(odd,))
    page = render_page(overview(view))
    assert "onclick=x&gt;" in page and "\x00" not in page and "<i>" not in page
    page.encode("utf-8")


def test_the_same_overview_gives_the_same_page():
    assert render_page(overview()) == render_page(overview())
    assert 'http-equiv="refresh" content="30"' in render_page(overview(), refresh=30)
    assert 'http-equiv="refresh"' not in render_page(overview())


def test_bars_hold_every_device_once():
    page = render_page(overview())
    bars = re.findall(r'<div class="stack[^>]*>(.*?)</div>', page, re.S)
    sums = [sum(int(n) for n in re.findall(r"flex: (\d+)", bar)) for bar in bars]
    assert sums == [416, 3, 41, 168, 204, 118, 6, 112], f"a bar does not add up to its devices: {sums}"


def test_boxes_lie_where_the_axis_says():
    """The pixels of the chart against the values: affine on a linear axis, and never out of the picture."""
    for chart in charts(going()):
        found = [going().latency, *(w.latency for w in going().waves if w.latency.devices)]
        values = [f.before[4] for f in found] + [f.after[4] for f in found]
        pixels = [row.boxes[0].middle for row in chart.rows] + [row.boxes[1].middle for row in chart.rows]
        slope, offset = np.polyfit(values, pixels, 1)
        assert slope > 0 and np.allclose(np.array(values) * slope + offset, pixels, atol=0.01), "the axis is not linear"
        for row in chart.rows:
            for box in row.boxes:
                order = [box.least, box.low, box.first, box.middle, box.third, box.high, box.most]
                assert order == sorted(order), "quantiles are out of order"
                assert chart.layout.gutter <= box.least and box.most <= chart.layout.width - chart.layout.right


def test_nothing_measured_has_no_chart():
    view = dataclasses.replace(going(), waves=(), latency=Latency())
    assert charts(view) == []
    assert "No device has measured both releases yet." in render_page(overview(view))


@given(st.integers(1, 10**6), st.data())
def test_a_share_is_all_or_nothing_only_if_it_is(whole, data):
    part = data.draw(st.integers(0, whole))
    text = words.share(part, whole)
    assert (text == "100\u00a0%") == (part == whole) and (text == "0\u00a0%") == (part == 0)


def test_moments():
    assert words.moment(NOW) == "2030-03-17 17:46 UTC" and words.moment(0) == "–" and words.moment(1e300) == "–"
    assert [words.ago(NOW - s, NOW) for s in (0, 40, 600, 7200, 86400 * 3)] == [
        "now", "40 s ago", "10 min ago", "2 h ago", "3 d ago",
    ]  # fmt: skip
    assert words.ago(NOW + 60, NOW) == "now", "a clock that is ahead gives no negative time"
