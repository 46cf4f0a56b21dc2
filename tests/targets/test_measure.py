"""Bundles in a process of their own: outputs, verification, and whose figures they are."""

import dataclasses
import json

import numpy as np
import pytest

from profiles.errors import ConfigError, MissingToolError, VerificationError
from profiles.machine import snapshot
from profiles.measurement import Kind
from profiles.sampling import Settings
from targets.artifact import GOLDEN, PROFILE, TIMELINE, load_artifact, write_manifest
from targets.golden import Golden, load_golden, save_golden
from targets.measure import (
    ask_worker,
    profile_bundle,
    run_bundle,
    state_is_device,
    verify_bundle,
    write_profile,
)
from targets.null.runner import null_outputs

QUICK = Settings(seconds=0.05, min_runs=20, warmup_seconds=0.01, max_warmup_seconds=0.1)


def test_every_entry_of_a_stack_is_one_inference(bundle):
    artifact = load_artifact(bundle)
    stacked = {"x": np.random.default_rng(3).standard_normal((5, 1, 4)).astype(np.float32)}
    outputs, event = run_bundle(bundle, stacked)
    expected = [null_outputs({"x": one}, artifact.compiled.outputs)["y"] for one in stacked["x"]]
    assert np.array_equal(outputs["y"], np.stack(expected))
    assert event["event"] == "result"


def test_progress_is_passed_on(bundle):
    seen = []
    run_bundle(
        bundle, {"x": np.zeros((130, 1, 4), np.float32)}, progress=lambda done, total: seen.append((done, total))
    )
    assert seen, "a long run says how far it is"
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {130}


def test_verification_gives_the_largest_error(bundle):
    assert verify_bundle(load_artifact(bundle)) == 0.0


def test_other_outputs_than_the_recorded_ones_are_refused(bundle):
    golden = load_golden(bundle / GOLDEN)
    save_golden(bundle / GOLDEN, Golden(golden.inputs, {"y": golden.outputs["y"] + 1}, golden.reference))
    write_manifest(load_artifact(bundle, verify=False))
    with pytest.raises(VerificationError, match="output 'y'"):
        verify_bundle(load_artifact(bundle))


def test_a_bundle_whose_engine_is_missing_names_it(make_bundle, tmp_path):
    strange = make_bundle(tmp_path / "strange", target="quantum")
    with pytest.raises(MissingToolError, match="quantum"):
        ask_worker(strange, {"action": "verify"})


def test_figures_from_another_machine_are_stand_ins_that_name_it(bundle):
    profile = profile_bundle(load_artifact(bundle), QUICK)
    latency = profile.metrics["latency_p50"]
    assert latency.kind is Kind.STAND_IN
    assert profile.machine["description"] in latency.method
    assert latency.value > 0


def test_figures_from_the_device_itself_are_measured(bundle):
    artifact = load_artifact(bundle)
    here = {"arch": snapshot().arch, "model_contains": []}
    own = dataclasses.replace(artifact, device={**artifact.device, "identity": here})
    write_manifest(own)
    assert profile_bundle(own, QUICK).metrics["latency_p50"].kind is Kind.MEASURED


@pytest.mark.parametrize("identity", [{}, {"arch": "riscv64"}, {"arch": "", "model_contains": ["no such processor"]}])
def test_this_machine_is_no_device_that_it_does_not_look_like(identity):
    assert not state_is_device({"identity": identity}, snapshot())


def test_profiles_survive_json(bundle):
    profile = profile_bundle(load_artifact(bundle), QUICK)
    assert json.loads(json.dumps(profile.as_dict()))["metrics"]["latency_p50"]["unit"] == "s"


def test_what_lies_beside_a_profile_is_of_the_same_measurement(bundle):
    profile = profile_bundle(load_artifact(bundle), QUICK)
    assert not profile.files, "the null engine leaves none"
    write_profile(bundle, dataclasses.replace(profile, files={TIMELINE: "[]"}))
    assert (bundle / TIMELINE).read_text() == "[]"
    assert json.loads((bundle / PROFILE).read_text()) == profile.as_dict()
    load_artifact(bundle)  # neither has a hash
    write_profile(bundle, profile)
    assert not (bundle / TIMELINE).exists(), "that of an earlier measurement is gone"


def test_an_engine_leaves_no_file_of_another_name(bundle, monkeypatch):
    profile = profile_bundle(load_artifact(bundle), QUICK)
    files = {TIMELINE: "[]", "../evil": "x", "manifest.json": "x"}
    monkeypatch.setattr("targets.measure.ask_worker", lambda *a, **k: {"profile": profile.as_dict(), "files": files})
    assert profile_bundle(load_artifact(bundle), QUICK).files == {TIMELINE: "[]"}


def test_a_machine_with_an_operating_system_has_no_serial_port(bundle):
    with pytest.raises(ConfigError, match="cannot be reached like this") as caught:
        verify_bundle(load_artifact(bundle), via="serial:///dev/ttyACM0")
    assert caught.value.allowed.startswith("ssh://")
