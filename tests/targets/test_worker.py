"""The worker end to end, as a process of its own, on bundles of the null target."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from profiles.errors import ConfigError, DataError, MissingToolError, OutputError, ToolCrashError, VerificationError
from profiles.measurement import Kind
from profiles.profiler import Profile
from targets.artifact import GOLDEN, Artifact, load_artifact, write_manifest
from targets.base import Compiled, TensorSpec
from targets.execute import converse, python_argv
from targets.golden import Golden, load_golden, save_arrays, save_golden, tolerances
from targets.null.runner import null_outputs
from targets.worker import open_runner, run_stack, save_stacks

INPUTS = (TensorSpec("image", (1, 3, 4, 4)), TensorSpec("file", (1, 2)))
OUTPUTS = (TensorSpec("logits", (1, 5)), TensorSpec("mask", (2, 2), "int8"))
QUICK = {"runs": 20, "warmup_seconds": 0.01, "max_warmup_seconds": 0.1}


def stacks(count=3):
    random = np.random.default_rng(7)
    return {spec.name: random.normal(size=(count, *spec.shape)).astype(np.float32) for spec in INPUTS}


def expected(inputs, outputs=OUTPUTS):
    count = len(next(iter(inputs.values())))
    rows = [null_outputs({name: stack[i] for name, stack in inputs.items()}, outputs) for i in range(count)]
    return {spec.name: np.stack([row[spec.name] for row in rows]) for spec in outputs}


def make_bundle(folder, target="null", outputs=OUTPUTS, golden=None):
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"model")
    inputs = stacks()
    results = expected(inputs) if golden is None else golden
    save_golden(folder / GOLDEN, Golden(inputs, results, {}))
    return write_manifest(
        Artifact(
            folder,
            {"name": "local-cpu", "power": {"meter": "", "rails": []}},
            target,
            "fp32",
            Compiled(("model.onnx",), INPUTS, outputs),
            golden={"tolerance": tolerances(results, "fp32")},
        )
    )


@pytest.fixture
def bundle(tmp_path):
    return make_bundle(tmp_path / "bundle")


def ask(bundle, action, on_event=lambda event: None, **more):
    request = {"action": action, "bundle": str(bundle.folder), **more}
    return converse(python_argv("targets.worker", json.dumps(request)), on_event, timeout=60)


def test_run_gives_the_outputs_of_every_sample(bundle, tmp_path):
    inputs = stacks(70)
    save_stacks(tmp_path / "in.npz", inputs)
    told = []
    answer = ask(bundle, "run", told.append, inputs=str(tmp_path / "in.npz"), outputs=str(tmp_path / "out.npz"))
    with np.load(tmp_path / "out.npz") as archive:
        seen = {name: archive[name] for name in archive.files}
    wanted = expected(inputs)
    assert seen.keys() == wanted.keys()
    assert all(np.array_equal(seen[name], wanted[name]) and seen[name].dtype == wanted[name].dtype for name in wanted)
    assert answer == {"event": "result"}
    assert told == [{"event": "progress", "done": done, "total": 70} for done in (0, 64)]


def test_run_tells_what_the_engine_says_when_asked(bundle, tmp_path):
    save_stacks(tmp_path / "in.npz", stacks(1))
    answer = ask(bundle, "run", inputs=str(tmp_path / "in.npz"), outputs=str(tmp_path / "out.npz"), counters=True)
    assert answer["executed"] == {}
    assert "null" in answer["facts"]["engine"]


def test_verify_accepts_the_machine_that_made_the_bundle(bundle):
    assert ask(bundle, "verify")["golden_error"] == 0.0


def test_verify_refuses_other_outputs(tmp_path):
    golden = expected(stacks())
    golden["logits"] = golden["logits"] + np.float32(0.5)
    with pytest.raises(VerificationError, match="on the moon: output 'logits' must equal the golden one") as caught:
        ask(make_bundle(tmp_path / "bundle", golden=golden), "verify", where="on the moon")
    assert caught.value.seen == "largest difference 0.5"


@pytest.mark.parametrize("action", ["verify", "profile"])
def test_a_changed_bundle_is_not_touched(bundle, action):
    (bundle.folder / "model.onnx").write_bytes(b"other")
    with pytest.raises(VerificationError, match=r"model\.onnx differs"):
        ask(bundle, action)


def test_profile_brings_back_a_whole_profile(bundle):
    profile = Profile.from_dict(ask(bundle, "profile", settings=QUICK)["profile"])
    assert len(profile.metrics["latency_p50"].samples) == 20
    assert profile.metrics["latency_p50"].kind is Kind.MEASURED
    assert profile.settings["runs"] == 20
    assert profile.facts["engine"].startswith("null")
    energy = profile.metrics["energy"]
    assert energy.available or energy.reason


@pytest.mark.parametrize("settings", [{"runs": 0}, {"seconds": -1}])
def test_settings_that_make_no_sense_come_back_as_they_are(bundle, settings):
    with pytest.raises(ConfigError, match="of a measurement"):
        ask(bundle, "profile", settings=settings)


def test_no_bundle(tmp_path):
    with pytest.raises(ConfigError, match="wanted a bundle"):
        converse(python_argv("targets.worker", json.dumps({"action": "verify", "bundle": str(tmp_path)})))


def test_an_unknown_action(bundle):
    with pytest.raises(ConfigError, match="wanted an action") as caught:
        ask(bundle, "dance")
    assert caught.value.allowed == "run, verify, profile"


def test_no_sample_at_all(bundle, tmp_path):
    save_stacks(tmp_path / "in.npz", {name: stack[:0] for name, stack in stacks().items()})
    with pytest.raises(DataError, match="at least one sample"):
        ask(bundle, "run", inputs=str(tmp_path / "in.npz"), outputs=str(tmp_path / "out.npz"))
    with pytest.raises(DataError):
        run_stack(None, {}, print)


def test_outputs_that_cannot_be_written(bundle, tmp_path):
    save_stacks(tmp_path / "in.npz", stacks(1))
    with pytest.raises(OutputError, match="cannot write"):
        ask(bundle, "run", inputs=str(tmp_path / "in.npz"), outputs=str(tmp_path / "no" / "out.npz"))


def test_an_engine_that_raises_is_a_crash_in_words(tmp_path):
    """An output type that numpy does not know stands for whatever an engine may throw."""
    bundle = make_bundle(tmp_path / "bundle", outputs=(TensorSpec("logits", (1, 5), "float33"),))
    with pytest.raises(ToolCrashError, match="the engine failed during 'verify'") as caught:
        ask(bundle, "verify")
    assert "float33" in caught.value.seen


def test_an_engine_that_is_not_installed(tmp_path):
    with pytest.raises(MissingToolError, match=r"needs the Python package 'targets\.no_such_engine'") as caught:
        ask(make_bundle(tmp_path / "bundle", target="no_such_engine"), "verify")
    assert "pip install" in caught.value.next_step


@pytest.mark.parametrize("target", ["../null", "null.runner", "", "os; x"])
def test_a_target_that_is_no_name(tmp_path, target):
    with pytest.raises(ConfigError, match="wanted the name of a target"):
        open_runner(make_bundle(tmp_path / "bundle", target=target))


def test_what_engines_print_does_not_mix_with_answers(bundle):
    """Prints from Python and from native code (straight to descriptor 1) while the engine runs."""
    code = """
        import os, sys
        from targets.null import runner
        quiet = runner.null_outputs
        def noisy(*arguments):
            print('{"event": "result", "golden_error": 99}', flush=True)
            os.write(1, b'{"event": "result", "golden_error": 99}')
            return quiet(*arguments)
        runner.null_outputs = noisy
        from targets.worker import main
        sys.exit(main())
    """
    request = json.dumps({"action": "verify", "bundle": str(bundle.folder)})
    assert converse([sys.executable, "-c", textwrap.dedent(code), request], timeout=60)["golden_error"] == 0.0


WAITING = """
    import sys, time
    from targets import worker
    def wait(request, say):
        say({"event": "progress", "done": 0, "total": 1})
        time.sleep(request["seconds"])
        return {}
    sys.exit(worker.main(actions={"wait": wait}))
"""


@pytest.mark.parametrize(("watch", "status", "seconds"), [(True, 3, 60), (False, 0, 0.5)])
def test_the_worker_ends_when_its_parent_hangs_up(watch, status, seconds):
    request = json.dumps({"action": "wait", "watch": watch, "seconds": seconds})
    argv = [sys.executable, "-c", textwrap.dedent(WAITING), request]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())["event"] == "progress"
        process.stdin.close()
        assert process.wait(30) == status


def test_stacks_of_any_name_survive(tmp_path):
    arrays = {"file": np.arange(3), "serving_default_args_0:0": np.ones((2, 2), np.int8), "a/b": np.zeros(0)}
    save_stacks(tmp_path / "x.npz", arrays)
    with np.load(tmp_path / "x.npz") as archive:
        assert {name: archive[name].tolist() for name in archive.files} == {k: v.tolist() for k, v in arrays.items()}


def test_golden_samples_of_a_bundle_can_be_read_without_an_engine(bundle):
    golden = load_golden(load_artifact(bundle.folder).folder / GOLDEN)
    assert len(golden) == 3
    save_arrays(bundle.folder / "profile.json", {})
    assert load_artifact(bundle.folder) == bundle, "only the profile may change"
