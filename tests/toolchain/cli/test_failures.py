"""What goes wrong after the start: crashes, other outputs, unreachable devices, missed budgets."""

import json

import pytest

from targets.artifact import load_artifact

NULL = ("--device", "local-cpu", "--target", "null", "--runs", "3")
ORT = ("--device", "local-cpu", "--target", "onnxruntime", "--runs", "3")
SEGFAULT = """
import os as _os, signal as _signal

def _crash(*args, **kwargs):
    print("about to fall over", file=__import__("sys").stderr, flush=True)
    _os.kill(_os.getpid(), _signal.SIGSEGV)

{name} = _crash
"""


#: Module and function that crash, and the words for what they were doing.
CRASHES = {
    ("targets.null.target", "NullTarget.compile"): "making the fp32 bundle with null ended",
    ("targets.null.runner", "NullRunner.run"): "the engine, asked to run a bundle, ended",
    ("targets.null.runner", "NullRunner.bind"): "the engine, asked to profile a bundle, ended",
}


@pytest.mark.parametrize("place", CRASHES)
def test_an_engine_that_crashes(cli, tiny, sabotage, place):
    sabotage(place[0], SEGFAULT.format(name=place[1]))
    refusal = cli("build", tiny.name, *NULL, "--out", "out").refused(1)
    assert CRASHES[place] in refusal.wanted
    assert "signal 11 (SIGSEGV)" in refusal.seen and "about to fall over" in refusal.seen
    assert refusal.next
    assert not (tiny.parent / "out").exists()


def test_a_reference_engine_that_crashes_on_the_file(cli, tiny, sabotage):
    """Then the file is at fault, not the target."""
    sabotage("targets.reference", SEGFAULT.format(name="OnnxReference.run"))
    refusal = cli("build", tiny.name, *NULL, "--out", "out").refused(3)
    assert "tiny.onnx" in refusal.wanted and "signal 11" in refusal.seen


RAISE = """
def _raise(*args, **kwargs):
    raise {error}

{name} = _raise
"""


@pytest.mark.parametrize(
    ("module", "name"), [("targets.null.target", "NullTarget.compile"), ("targets.null.runner", "NullRunner.run")]
)
def test_an_engine_that_raises_something_unforeseen(cli, tiny, sabotage, module, name):
    sabotage(module, RAISE.format(name=name, error="ZeroDivisionError('in the depths')"))
    refusal = cli("build", tiny.name, *NULL, "--out", "out").refused(1)
    assert refusal.seen == "ZeroDivisionError: in the depths"
    assert not (tiny.parent / "out").exists()


def test_debug_shows_the_worker_s_traceback_too(cli, tiny, sabotage):
    sabotage("targets.null.target", RAISE.format(name="NullTarget.compile", error="ZeroDivisionError('in the depths')"))
    outcome = cli("build", tiny.name, *NULL, "--out", "out", "--debug")
    assert outcome.status == 1
    assert "Traceback" in outcome.err and "in _raise" in outcome.err and "toolchain/pipeline.py" in outcome.err
    message = outcome.err[outcome.err.index("\nedgewright: ") :]
    assert "Traceback" not in message, "the message itself comes last"


def test_debug_shows_the_traceback_of_a_refusal(cli, here):
    outcome = cli("build", "no.onnx", *NULL, "--debug")
    assert outcome.status == 2 and "Traceback" in outcome.err and "edgewright: wanted the ONNX model" in outcome.err


def test_a_fault_of_ours_asks_for_a_report(cli, tiny, monkeypatch):
    monkeypatch.setattr("toolchain.pipeline.make_plans", lambda *_: 1 / 0)
    outcome = cli("build", tiny.name, *NULL, "--out", "out")
    assert outcome.status == 1 and "Traceback" not in outcome.err
    assert "our fault: ZeroDivisionError" in outcome.err and "--debug" in outcome.err
    with pytest.raises(ZeroDivisionError):
        cli("build", tiny.name, *NULL, "--out", "out", "--debug")
    assert not (tiny.parent / "out").exists()


OTHER_OUTPUTS = """
_run = OnnxRuntimeRunner.run
OnnxRuntimeRunner.run = lambda self, inputs: {name: values * 1.5 + 1 for name, values in _run(self, inputs).items()}
"""


def test_a_bundle_that_computes_something_else_is_not_delivered(cli, tiny, sabotage):
    sabotage("targets.onnxruntime.runner", OTHER_OUTPUTS)
    refusal = cli("build", tiny.name, *ORT, "--out", "out").refused(6)
    assert "'y' must follow the reference" in refusal.wanted
    assert "largest error" in refusal.seen and refusal.allowed.startswith("at most") and refusal.next
    assert not (tiny.parent / "out").exists()


def test_a_machine_that_computes_something_else_is_not_measured(cli, tiny, sabotage, untouched):
    cli("build", tiny.name, *ORT, "--out", "out").fine()
    whole = untouched(tiny.parent / "out")
    sabotage("targets.onnxruntime.runner", OTHER_OUTPUTS)
    refusal = cli("profile", "out/local-cpu", "--runs", "3").refused(6)
    assert "must equal the golden one" in refusal.wanted and refusal.allowed.startswith("at most")
    whole()


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "manifest.json"])
@pytest.mark.parametrize("how", ["changed", "cut off", "missing"])
def test_a_damaged_bundle(cli, tiny, name, how):
    cli("build", tiny.name, *NULL, "--out", "out", "--no-profile").fine()
    path = tiny.parent / "out" / "local-cpu" / name
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if how == "cut off" else content.replace(b"e", b"f", 1))
    status = 2 if (name, how) == ("manifest.json", "missing") else 6
    for command in (("profile", "--runs", "3"), ("compare",), ("diff",)):
        refusal = cli(command[0], "out/local-cpu", *command[1:]).refused(status)
        assert name in refusal.wanted + refusal.seen and refusal.next


TOML = """
[model]
source = "tiny.onnx"
[[device]]
profile = "local-cpu"
name = "here"
target = "null"
[[device]]
profile = "local-cpu"
name = "there"
target = "null"
via = "ssh://nobody@127.0.0.1:1"
"""


def test_a_device_that_does_not_answer(cli, tiny, untouched):
    (tiny.parent / "edge.toml").write_text(TOML)
    whole = untouched(tiny.parent)
    refusal = cli("build", "edge.toml", "--out", "out", "--runs", "3").refused(7)
    assert "cannot reach nobody@127.0.0.1:1" in refusal.wanted and "refused" in refusal.seen and refusal.next
    whole()
    cli("build", "edge.toml", "--out", "out", "--runs", "3", "--device", "here").fine()
    whole = untouched(tiny.parent)
    refusal = cli("profile", "out/here", "--via", "ssh://nobody@127.0.0.1:1").refused(7)
    assert "cannot reach" in refusal.wanted
    whole()


@pytest.mark.parametrize("via", ["here", "ssh://", "http://host", "ssh://user@host:port", "ssh://user:secret@host"])
def test_an_address_that_is_none(cli, tiny, via):
    cli("build", tiny.name, *NULL, "--out", "out", "--no-profile").fine()
    refusal = cli("profile", "out/local-cpu", "--via", via).refused(2)
    assert "ssh://[user@]host[:port]" in refusal.allowed and refusal.next
    assert "secret" not in refusal.seen


BUDGET = """
[model]
source = "tiny.onnx"
[budget]
latency = "1 ns"
size = "1 MiB"
energy = "1 mJ"
[[device]]
profile = "local-cpu"
name = "slow"
target = "null"
[[device]]
profile = "local-cpu"
name = "fine"
target = "null"
budget = { latency = "1 min", size = "1 MiB" }
"""


@pytest.fixture
def missed(cli, tiny):
    """A build that misses a budget."""
    (tiny.parent / "edge.toml").write_text(BUDGET)
    return lambda *words: cli("build", "edge.toml", "--out", "out", "--runs", "3", *words)


def test_a_missed_budget_comes_after_all_the_work(missed, tiny):
    outcome = missed()
    refusal = outcome.refused(4, quiet=False)
    assert refusal.seen.startswith("slow: latency_p50 ") and refusal.seen.endswith("limit 1 ns")
    assert "fine" not in refusal.seen and "out/report.html" in refusal.next
    assert "missed: latency_p50" in outcome.out, "the table says it too"
    for name in ("slow", "fine"):
        load_artifact(tiny.parent / "out" / name)
        assert (tiny.parent / "out" / name / "profile.json").is_file()
    assert (tiny.parent / "out" / "report.html").is_file()
    entries = json.loads((tiny.parent / "out" / "summary.json").read_text())["entries"]
    rows = {row["metric"]: row for row in entries[0]["budget"]}
    assert rows["latency_p50"]["met"] is False and rows["latency_p50"]["limit"] == 1e-9
    assert rows["model_size"]["met"] is True
    if rows["energy"]["value"] is None:  # as on every machine without a meter
        assert rows["energy"]["met"] is None, "what is not known is neither met nor missed"
    assert all(row["met"] for row in entries[1]["budget"] if row["metric"] != "energy")


def test_a_missed_budget_with_json(missed):
    outcome = missed("--json")
    outcome.refused(4, quiet=False)
    assert [entry["bundle"] for entry in json.loads(outcome.out)["entries"]] == ["slow", "fine"]
