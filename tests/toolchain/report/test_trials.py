"""What a placement search tried, and the words for a placement that nobody timed."""

from __future__ import annotations

from tests.toolchain.report.gpu_build import make_gpu_build
from toolchain.report import render_report
from toolchain.report.load import load_build
from toolchain.report.trials import DEFAULT, trials


def test_every_trial_is_shown_with_its_figures_and_the_reason(tmp_path):
    found = trials(load_build(make_gpu_build(tmp_path)).entries[2])
    assert [(r.name, r.kept, r.verdict, r.time, r.ratio, r.loss) for r in found.rows] == [
        ("inputs of convolutions", False, "default", "261 µs", "–", "–"),
        ("and skip branches of additions", True, "kept", "247 µs", "0.946 ×", "0.41 pp"),
        ("and the last layer", False, "not faster", "246 µs", "0.996 ×", "–"),
    ]
    assert found.note.endswith("What was kept saves 5.4 % of the default's time.")


def test_the_short_spelling_is_read_too(tmp_path, edit):
    row = {"name": "a", "kept": True, "latency": 1e-3, "ratio": 1.0, "accuracy_loss": 0.01, "why": "only one"}
    folder = make_gpu_build(tmp_path)
    edit(
        folder / "rtx-4070-int8" / "manifest.json",
        lambda m: m["build"].update(placement={"rows": [row], "measured": True}),
    )
    shown = trials(load_build(folder).entries[2]).rows[0]
    assert (shown.kept, shown.verdict, shown.time, shown.loss) == (True, "kept", "1 ms", "1.00 pp")


def test_what_the_search_writes_is_what_is_read(tmp_path, edit):
    from targets.tensorrt.search.search import search

    times = {"default": 1.0, "skip": 0.8, "last": 0.79}
    made = search(list(times), times.__getitem__, lambda name: 0.001, 0.01, repeats=1)
    folder = make_gpu_build(tmp_path)
    edit(folder / "rtx-4070-int8" / "manifest.json", lambda m: m["build"].update(placement=made.as_dict()))
    rows = trials(load_build(folder).entries[2]).rows
    assert [(row.name, row.kept) for row in rows] == [("default", False), ("skip", True), ("last", False)]
    assert rows[1].time == "800 ms" and rows[1].ratio == "0.800 ×"


def test_a_default_placement_says_that_nothing_was_timed(tmp_path):
    folder = make_gpu_build(tmp_path, ran=False)
    assert trials(load_build(folder).entries[2]).note == DEFAULT
    assert DEFAULT in render_report(folder)


def test_other_bundles_have_no_such_part(tmp_path):
    entries = load_build(make_gpu_build(tmp_path)).entries
    assert trials(entries[0]) is None and trials(entries[1]) is None
