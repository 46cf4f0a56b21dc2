"""``edgewright compress`` and ``edgewright sensitivity``, on the example of the documentation."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="compression works on torch modules")
EXAMPLE = Path(__file__).parents[3] / "examples" / "compress"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The example in a folder of its own, and one cache for all tests of this file."""
    folder = tmp_path_factory.mktemp("example")
    for path in EXAMPLE.iterdir():
        shutil.copy(path, folder)
    return folder


@pytest.fixture
def example(place, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(place / "cache"))
    monkeypatch.chdir(place)
    return place


def test_the_example_runs_and_says_what_each_step_did(example, cli):
    done = cli("compress", "edge.toml", "--out", "out", "--json", "--runs", "100").fine()
    found = json.loads(done.out)
    assert found == json.loads((example / "out" / "rows.json").read_text())
    start, prune, low, tune = found["rows"]
    assert [row["step"] for row in (start, prune, low, tune)] == ["start", "prune", "lowrank", "finetune"]
    assert prune["macs"] <= 0.5 * start["macs"] and prune["accuracy"] > 0.85
    assert prune["speed"]["local-cpu"]["low"] <= prune["speed"]["local-cpu"]["ratio"]
    assert low["kept"] is (not low["flags"]), "guarded"
    kept = [row for row in found["rows"] if row["kept"]][-1]
    from toolchain.frontend.weights import read_state

    weights = read_state(example / "out" / "digits-net.safetensors")
    counted = sum(v.numel() for name, v in weights.items() if "running" not in name and "tracked" not in name)
    assert counted == kept["params"]
    program = torch.export.load(example / "out" / "digits-net.pt2").module()
    assert program(torch.zeros(1, 1, 32, 32)).shape == (1, 10)
    assert "compress 1/3: prune (group_norm)" in done.err
    assert "<svg" in (example / "out" / "compression.html").read_text()


def test_the_second_run_is_cached_and_a_build_uses_the_same_model(example, cli):
    """Ran after the test above, or by itself."""
    done = cli("compress", "edge.toml", "--out", "out", "--runs", "100").fine()
    again = cli("build", "edge.toml", "--out", "build", "--runs", "100").fine()
    lines = [line for line in again.err.splitlines() if "compress " in line and line.startswith("[")]
    assert len(lines) == 3 and all(line.endswith("(cached)") for line in lines), again.err
    table = done.out.partition("flag:")[0].partition("finetune")[0]
    assert table and table in again.out, "both show the same rows"
    summary = json.loads((example / "build" / "summary.json").read_text())
    rows = summary["compression"]
    metrics = summary["entries"][0]["metrics"]
    last = [row for row in rows if row["kept"]][-1]
    assert metrics["params"]["value"] == last["params"]
    assert metrics["accuracy_drop"]["value"] == pytest.approx(rows[0]["accuracy"] - metrics["accuracy"]["value"])
    assert "before compression" in metrics["accuracy_drop"]["method"]
    assert 'id="compression"' in (example / "build" / "report.html").read_text()


def test_sensitivity_of_the_example(example, cli):
    words = ("sensitivity", "edge.toml", "--samples", "64", "--shares", "0.5,0.9", "--out", "curves.html")
    found = json.loads(cli(*words, "--json").fine().out)
    assert found["samples"] == 64 and found["accuracy"] > 0.9
    assert {(p["part"], p["layer"]) for p in found["points"]} == {
        *(("prune", f"{n}.0") for n in range(4)), *(("rank", name) for name in ("0.0", "1.0", "2.0", "3.0", "6")),
    }  # fmt: skip
    half = [p for p in found["points"] if p["share"] == 0.5 and p["part"] == "prune"]
    assert [p["left"] for p in half] == [8, 16, 32, 32]
    worst = {p["share"]: p["accuracy"] for p in found["points"] if (p["part"], p["layer"]) == ("prune", "0.0")}
    assert worst[0.9] <= worst[0.5] < found["accuracy"]
    again = cli(*words, "--only", "rank").fine()
    assert "share of ranks removed" in again.out and "channels removed" not in again.out
    assert again.err.count("(cached)") >= 2 and "<svg" in (example / "curves.html").read_text()


def test_a_project_without_steps(example, cli):
    (example / "plain.toml").write_text('[model]\nsource = "zoo:resnet8"\n')
    refused = cli("compress", "plain.toml").refused(2)
    assert refused.wanted == "wanted compression steps" and "edgewright methods" in refused.next


def test_sensitivity_needs_an_accuracy_and_a_torch_model(example, cli):
    (example / "plain.toml").write_text('[model]\nsource = "zoo:resnet8"\n')
    assert cli("sensitivity", "plain.toml").refused(2).seen == "no [data] in the project"
    (example / "file.toml").write_text('[model]\nsource = "net.onnx"\n')
    assert "net.onnx" in cli("sensitivity", "file.toml").refused(2).seen
    assert cli("sensitivity", "plain.toml", "--shares", "0.5,1.5").refused(2).seen == "'0.5,1.5'"


def test_an_impossible_goal_names_what_can_be_reached(example, cli):
    text = (example / "edge.toml").read_text().replace("macs = 0.5, epochs = 2", "macs = 0.001, round_to = 1")
    (example / "impossible.toml").write_text(text)
    refused = cli("compress", "impossible.toml", "--no-profile").refused(3)
    assert refused.wanted.startswith("step 1 of the recipe, prune (group_norm): wanted a model with at most")
    assert "MACs" in refused.seen and refused.allowed.startswith("macs = ")


def test_an_empty_data_set(example, cli):
    np.savez(example / "empty.npz", x=np.zeros((0, 1, 32, 32), np.float32), y=np.zeros(0, np.int64))
    text = (example / "edge.toml").read_text().replace('source = "digits"', 'source = "npz:empty.npz"')
    (example / "empty.toml").write_text(text)
    assert "empty.npz" in str(cli("compress", "empty.toml").refused(2))
