"""The page as a document: complete, escaped, deterministic, and written whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import ConfigError, OutputError
from toolchain.report import render_report, write_report
from toolchain.report.page import TEMPLATES

VOID = {"meta", "link", "br", "rect", "line", "path", "circle", "input", "img"}


class Document(html.parser.HTMLParser):
    """Collects tags, attributes and text, and checks that tags are balanced."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, f"tags left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        self.text.append(data)

    def count(self, tag: str) -> int:
        return sum(found == tag for found, _ in self.tags)

    def values(self, attribute: str) -> list[str]:
        return [attrs[attribute] or "" for _, attrs in self.tags if attribute in attrs]

    @property
    def said(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


def test_the_page_says_what_was_found(build):
    document = Document(render_report(build))
    assert len(document.values("data-bundle")) == 7, "the table needs a row per bundle"
    assert "5 of 7 bundles meet their budget." in document.said
    assert "Fastest measured: litert int8 on local-cpu" in document.said
    assert "did not help" in document.said, "openvino's int8 is no faster, and nobody is told"
    assert "no energy meter" in document.said and "all bundles but litert int8 on raspberry-pi-5" in document.said


def test_every_number_of_the_table_has_a_badge_with_its_method(build):
    page = render_report(build)
    cells = re.findall(r'<td role="cell" class="right" data-label="[^"]+" data-rank.*?</td>', page, re.S)
    assert len(cells) == 7 * 9
    for cell in cells:
        assert re.search(r'class="badge k-[\w-]+" data-tip="[^"]+\. (Measured|Stand-in|Unavailable): [^"]+"', cell), (
            cell
        )


def test_identifiers_are_unique_and_links_lead_somewhere(build):
    document = Document(render_report(build))
    names = document.values("id")
    assert len(names) == len(set(names)), "an id is used twice"
    targets = [link[1:] for link in document.values("href") if link.startswith("#")]
    labels = [name for value in document.values("aria-labelledby") for name in value.split()]
    assert set(targets) | set(labels) <= set(names), "a link or a label points to nothing"


def test_nothing_is_loaded_from_elsewhere(build):
    page = render_report(build)
    document = Document(page)
    for attribute in ("src", "href", "action", "data", "srcset", "poster"):
        for value in document.values(attribute):
            assert value.startswith(("#", "data:")), f"the page refers to {value}"
    assert "url(" not in page and "@import" not in page
    script = re.search(r"<script>(.*)</script>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(script.group(1).encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page, "the policy would stop the page's own script"


def test_the_same_files_give_the_same_page(build):
    assert render_report(build) == render_report(build)


def test_a_time_is_shown_only_where_the_summary_has_one(build, edit):
    assert not re.search(r"\b20\d\d-\d\d-\d\d", render_report(build))
    edit(build / "summary.json", lambda s: s.update(created="2026-11-30T12:00:00Z"))
    assert "2026-11-30T12:00:00Z" in render_report(build)


NASTY = st.text(min_size=1, max_size=12).map(lambda t: f"<script>alert('{t}')</script>\"'&`{{{{7*7}}}}{t}")


@settings(max_examples=25, deadline=None)
@given(nasty=NASTY)
def test_names_from_users_are_text_and_nothing_else(builder, edit, tmp_path_factory, nasty):
    def rename(summary):
        entry = summary["entries"][0]
        entry["device"] = entry["target"] = entry["layers"][0]["name"] = entry["layers"][0]["op"] = nasty
        entry["metrics"]["latency_p50"]["method"] = entry["metrics"]["energy"]["reason"] = nasty

    build = builder(tmp_path_factory.mktemp("nasty") / "build", model=nasty, chosen=(1,))
    edit(build / "summary.json", rename)
    page = render_report(build)
    document = Document(page)
    assert {document.count(t) for t in ("html", "main", "style", "script")} == {1}, "a name became part of the page"
    assert "{{7*7}}" in document.said, "a name was evaluated as a template"
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", page), "the page holds characters that HTML cannot carry"


@pytest.mark.parametrize("count", [0, 1])
def test_almost_nothing_is_still_a_page(tmp_path, count):
    entry = {"device": "d", "target": "null", "precision": "int8", "bundle": "d"}
    (tmp_path / "summary.json").write_text(json.dumps({"schema": 1, "entries": [entry] * count}), encoding="utf-8")
    document = Document(render_report(tmp_path))
    assert len(document.values("data-bundle")) == count
    assert ("summary.json does not list it" in document.said) == (count == 1), "missing figures need a reason"


def test_writing_replaces_the_whole_file(build):
    (build / "report.html").write_text("old", encoding="utf-8")
    path = write_report(build)
    assert path == build / "report.html"
    assert path.read_text(encoding="utf-8") == render_report(build)
    assert not list(build.glob(".report*")), "a temporary file was left behind"


def test_a_failed_report_leaves_the_old_one(build):
    (build / "report.html").write_text("old", encoding="utf-8")
    (build / "summary.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError):
        write_report(build)
    assert (build / "report.html").read_text(encoding="utf-8") == "old"


def test_a_path_in_the_way_is_a_clear_error(build):
    (build / "report.html").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(build)
    assert not list(build.glob(".report*")), "a temporary file was left behind"


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(scheme):
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.S)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[("light", "dark").index(scheme)]))
    tinted = [name.removesuffix("-tint") for name in colours if name.endswith("-tint")]
    assert len(tinted) == 8, "five kinds and three verdicts have a tint"
    pairs = [(name, ground) for name in ("ink", "soft", "accent", *tinted) for ground in ("paper", "card")]
    pairs += [(name, f"{name}-tint") for name in tinted] + [("ink", "sunk"), ("soft", "sunk")]
    for text, ground in pairs:
        low, high = sorted((luminance(colours[text]), luminance(colours[ground])))
        ratio = (high + 0.05) / (low + 0.05)
        assert ratio >= 4.5, f"{text} on {ground} has a contrast of {ratio:.2f} in the {scheme} scheme"


def test_a_memory_plan_is_shown_as_a_picture_that_cannot_run_anything(build):
    folder = next(path for path in sorted(build.iterdir()) if path.is_dir())
    assert 'class="plan"' not in render_report(build)
    picture = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    (folder / "memory.svg").write_text(picture)
    page = render_report(build)
    (found,) = re.findall(r'<img class="plan" alt="[^"]+" src="data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)">', page)
    assert base64.b64decode(found).decode() == picture, "as it is, and inside of an image, where scripts do not run"
    assert "alert(1)" not in page
