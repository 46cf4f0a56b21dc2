"""The commands that list, compare and explain."""

import json

import pytest

from profiles.device import device_names, load_device
from targets.registry import TARGETS
from toolchain.project import load_project


def test_devices_lists_every_profile_and_what_serves_it(cli):
    text = cli("devices").fine().out
    for name in device_names():
        device = load_device(name)
        line = next(line for line in text.splitlines() if line.startswith(f" {name} "))
        served = [target for target in device.targets if target in TARGETS]
        for target in device.targets:
            assert target in line
        assert ("not in this release" in line) == (len(served) < len(device.targets))
    rows = json.loads(cli("devices", "--json").fine().out)
    assert [row["name"] for row in rows] == list(device_names())
    assert {row["name"]: row["served"] for row in rows}["local-cpu"] is True
    assert {row["name"]: row["served"] for row in rows}["fpga-ecp5-85"] is True


def test_targets_lists_every_backend(cli):
    text = cli("targets").fine().out
    rows = json.loads(cli("targets", "--json").fine().out)
    assert [row["name"] for row in rows] == list(TARGETS)
    for row in rows:
        assert row["name"] in text and row["title"][:20] in text
        assert set(row) == {"name", "title", "formats", "precisions", "calibrators", "packages", "installed"}


def test_doctor_lists_every_need(cli):
    rows = json.loads(cli("doctor", "--json").fine().out)
    assert all(set(row) == {"name", "purpose", "command", "found"} and row["command"] for row in rows)
    text = cli("doctor").fine().out
    for row in rows:
        line = next(line for line in text.splitlines() if line.startswith(f" {row['name']} "))
        assert ("missing" in line) == (not row["found"])
        assert (row["command"][:12] in line) == (not row["found"]), "the command is there where it is needed"
    assert cli("doctor", "--strict").status == (0 if all(row["found"] for row in rows) else 5)


def test_init_writes_a_project_that_loads(cli, here):
    assert "edgewright build new/edge.toml" in cli("init", "new").fine().err
    project = load_project(here / "new" / "edge.toml")
    assert len(project.devices) >= 3
    assert "train" in cli("build", "new", "--dry-run").fine().out
    assert cli("init").fine().err.startswith("wrote edge.toml")


def test_init_does_not_overwrite(cli, here):
    (here / "edge.toml").write_text("mine")
    refusal = cli("init").refused(2)
    assert "--force" in refusal.next and (here / "edge.toml").read_text() == "mine"
    cli("init", "--force").fine()
    load_project(here / "edge.toml")


def test_init_where_a_file_is_in_the_way(cli, here):
    (here / "file").write_text("mine")
    refusal = cli("init", "file").refused(2)
    assert "in the way" in refusal.next and (here / "file").read_text() == "mine"


def test_the_cache_is_shown_and_cleared(cli, tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "mine"))
    cli("build", tiny.name, "--device", "local-cpu", "--target", "null", "--no-profile").fine()
    shown = json.loads(cli("cache", "--json").fine().out)
    assert shown == {"path": str(tmp_path / "mine"), "entries": 2, "bytes": shown["bytes"], "removed": 0}
    assert shown["bytes"] > 500
    assert cli("cache", "show").fine().out.startswith(f"{tmp_path / 'mine'}: 2 entries, ")
    assert cli("cache", "clear").fine().out == f"{tmp_path / 'mine'}: 0 entries, 0 B, 2 removed\n"
    again = cli("build", tiny.name, "--device", "local-cpu", "--target", "null", "--no-profile").fine()
    assert "(cached)" not in again.err


def test_support_shows_doubtful_operators(cli, built):
    outcome = cli("support", built.folder / "edge.toml").fine()
    assert outcome.out.count("can run") == 4
    everything = cli("support", built.folder / "edge.toml", "--all").fine().out
    for name in ("conv", "middle", "mean", "linear"):
        assert name in everything
    reports = json.loads(cli("support", built.folder / "edge.toml", "--json").fine().out)
    assert [(r["device"], r["target"], r["precision"], r["ok"]) for r in reports] == [
        ("local-cpu", "onnxruntime", "fp32", True),
        ("local-cpu", "onnxruntime", "int8", True),
        ("raspberry-pi-5", "onnxruntime", "int8", True),
        ("local-cpu", "null", "fp32", True),
    ]
    assert {op["verdict"] for op in reports[0]["ops"]} <= {"native", "fallback"}


def test_support_says_when_it_does_not_fit(cli, here, onnx_model):
    import numpy as np

    onnx_model(here / "tiny.onnx", weights=np.ones((4, 1, 3, 3), np.float32))
    (here / "edge.toml").write_text(
        '[model]\nsource = "tiny.onnx"\n[[device]]\nprofile = "raspberry-pi-5"\ntarget = "onnxruntime"\n'
        'overrides = { "memory.ram.size" = "100 B" }\n'
    )
    outcome = cli("support", "edge.toml")
    assert outcome.status == 3 and "cannot run" in outcome.out and "100 B" in outcome.out
    assert "100 B" in cli("build", "edge.toml").refused(3).seen


def test_diff_shows_the_worst_layer_first(cli, built):
    bundle = built.out / "local-cpu-onnxruntime-int8"
    rows = json.loads(cli("diff", bundle, "--json").fine().out)
    ratios = [row["sqnr"]["value"] for row in rows if row["sqnr"]["value"] is not None]
    assert len(ratios) > 2 and ratios == sorted(ratios)
    assert all(row["max_error"]["value"] >= 0 for row in rows)
    text = cli("diff", bundle).fine().out
    names = [line.split()[0] for line in text.splitlines()[3 : 3 + len(rows)]]
    assert names == [row["name"] for row in rows]
    assert "worst first" in text and "golden samples" in text
    assert len(json.loads(cli("diff", bundle, "--top", "2", "--json").fine().out)) == 2


def test_diff_needs_a_float_model_to_compare_with(cli, built):
    refusal = cli("diff", built.out / "local-cpu-onnxruntime-fp32").refused(2)
    assert "not quantized" in refusal.seen and "int8" in refusal.next


def test_compare_puts_bundles_side_by_side(cli, built):
    names = ("local-cpu-onnxruntime-fp32", "local-cpu-onnxruntime-int8", "raspberry-pi-5")
    paths = [built.out / name for name in names]
    text = cli("compare", *paths).fine().out
    assert all(name in text for name in names)
    sizes = [json.loads((path / "profile.json").read_text())["metrics"]["latency_p50"]["value"] for path in paths]
    line = next(line for line in text.splitlines() if line.startswith(" latency_p50"))
    assert f"(×{sizes[1] / sizes[0]:.2f})" in line
    assert line.count("×") == 1, "a stand-in is not set in relation to what was measured"
    assert "ˢ stand-in" in text
    data = json.loads(cli("compare", *paths, "--json").fine().out)
    assert list(data) == [str(path) for path in paths]
    assert data[str(paths[0])]["model_size"]["unit"] == "B"


def test_compare_tells_bundles_of_one_name_apart(built, here):
    from toolchain.cli.commands.compare import short_names

    other = built.bundle("nothing", here)
    assert short_names([built.out / "nothing", built.out / "raspberry-pi-5"]) == ["nothing", "raspberry-pi-5"]
    assert short_names([built.out / "nothing", other]) == [str(built.out / "nothing"), str(other)]


def test_report_is_written_again(cli, built, here):
    import shutil

    shutil.copytree(built.out, here / "copy")
    (here / "copy" / "report.html").unlink()
    assert cli("report", "copy").fine().err == "wrote copy/report.html\n"
    assert "<html" in (here / "copy" / "report.html").read_text()


@pytest.mark.parametrize(
    ("content", "status"), [(None, 2), ("{", 2), ("[]", 2), ('{"schema": 99, "entries": []}', 2), ("\udcff", 2)]
)
def test_report_of_something_else(cli, here, content, status):
    (here / "folder").mkdir()
    if content is not None:
        (here / "folder" / "summary.json").write_bytes(content.encode(errors="surrogateescape"))
    refusal = cli("report", "folder").refused(status)
    assert "folder" in refusal.wanted and refusal.next
    assert not (here / "folder" / "report.html").exists()


@pytest.mark.parametrize("command", ["profile", "diff", "compare"])
@pytest.mark.parametrize("what", ["nothing", "an empty folder", "a file"])
def test_something_that_is_no_bundle(cli, here, command, what):
    if what == "an empty folder":
        (here / "it").mkdir()
    if what == "a file":
        (here / "it").write_text("")
    refusal = cli(command, "it").refused(2)
    assert "no manifest.json" in refusal.seen and "edgewright build" in refusal.next
