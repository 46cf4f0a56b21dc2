"""What the guide says is done: commands run, snippets run, project fragments are accepted, lists are complete."""

from __future__ import annotations

import json
import re

import pytest

from tools.docs.checking import absent_programs, problem
from tools.docs.markdown import blocks
from tools.docs.pages import ROOT, all_pages

JUDGED = ("console", "python", "toml")
ELSEWHERE = ROOT / "README.md"  # tests/test_readme.py


def _judged(page):
    return [block for block in blocks(page.read_text(encoding="utf-8")) if block.language in JUDGED]


PAGES = [page for page in all_pages() if page != ELSEWHERE and _judged(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_blocks_are_true(page, checkout):
    if page.is_relative_to(ROOT / "docs"):
        demo = checkout.demo()
        assert demo.status == 0, f"make demo, whose bundles the guide uses, ended with {demo.status}:\n{demo.output}"
    absent = {block.line: absent_programs(block) for block in _judged(page)}
    for block in _judged(page):
        found = "" if absent[block.line] else problem(block, checkout)
        assert not found, f"{page.relative_to(ROOT)}, line {block.line}: the {block.language} block {found}"
    if wanted := sorted({name for names in absent.values() for name in names}):
        pytest.skip(f"some blocks of {page.name} need {', '.join(wanted)}; run: edgewright doctor")


def test_every_language_is_known():
    known = {*JUDGED, "text", "json", ""}
    for page in all_pages():
        seen = {block.language for block in blocks(page.read_text(encoding="utf-8"))}
        assert seen <= known | {"sh"}, f"{page.relative_to(ROOT)} has blocks that nobody judges: {seen - known}"


def _entries(checkout):
    assert checkout.demo().status == 0, "make demo failed"
    return json.loads((checkout.folder / "build" / "summary.json").read_text(encoding="utf-8"))["entries"]


def test_the_list_of_filled_metrics_is_complete(checkout):
    text = (ROOT / "docs" / "guide" / "report.md").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("This release fills: "))
    filled = {name for entry in _entries(checkout) for name in entry["metrics"]}
    assert set(re.findall(r"`(\w+)`", line)) == filled, "docs/guide/report.md lists other metrics than a build has"


def test_the_list_of_the_manifests_keys_is_complete(checkout):
    text = (ROOT / "docs" / "guide" / "bundles.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", text.partition("## The manifest")[2].partition("\n## ")[0], re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    for entry in _entries(checkout):
        manifest = json.loads((checkout.folder / "build" / entry["bundle"] / "manifest.json").read_text())
        assert documented == set(manifest), "docs/guide/bundles.md lists other keys than a manifest has"


def test_the_bundle_holds_the_documented_files(checkout):
    documented = {"manifest.json", "golden.npz", "layers.json", "profile.json"}
    for entry in _entries(checkout):
        folder = checkout.folder / "build" / entry["bundle"]
        manifest = json.loads((folder / "manifest.json").read_text())
        files = {path.name for path in folder.iterdir()}
        assert files - set(manifest["model_files"]) <= documented, f"{folder.name} holds files that no page explains"
        assert ("layers.json" in files) == (entry["precision"] == "int8"), "layers.json goes with int8"
