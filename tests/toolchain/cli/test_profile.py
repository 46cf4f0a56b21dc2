"""``edgewright profile``: on this machine, and over ssh on one that is real though near."""

import json

import pytest

import toolchain
from profiles.profiler import Profile
from targets import remote
from targets.artifact import load_artifact


@pytest.fixture
def bundle(built, here):
    """A copy of the float bundle for this machine."""
    return built.bundle("local-cpu-onnxruntime-fp32", here)


def profile_of(bundle):
    return json.loads((bundle / "profile.json").read_text())


def test_it_updates_profile_json_and_nothing_else(cli, bundle):
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    outcome = cli("profile", bundle, "--runs", "7").fine()
    after = {path.name: path.read_bytes() for path in bundle.iterdir()}
    assert {name for name in after if before.get(name) != after[name]} == {"profile.json"}
    assert len(profile_of(bundle)["metrics"]["latency_p50"]["samples"]) == 7
    assert "latency_p50" in outcome.out and "measured" in outcome.out
    load_artifact(bundle)


def test_json_is_profile_json_and_nothing_else(cli, bundle):
    outcome = cli("profile", bundle, "--runs", "5", "--json", "--quiet").fine()
    assert json.loads(outcome.out) == profile_of(bundle) and not outcome.err
    profile = Profile.from_dict(json.loads(outcome.out))
    assert profile.metrics["latency_p50"].kind.value == "measured"
    assert profile.executed == {"fp32": 2}, "the precisions that really ran"


def test_the_time_limit_is_kept_to(cli, bundle):
    data = json.loads(cli("profile", bundle, "--seconds", "0", "--json").fine().out)
    assert data["settings"]["seconds"] == 0
    assert len(data["metrics"]["latency_p50"]["samples"]) >= data["settings"]["min_runs"]


def test_layers_are_shown_on_request(cli, bundle):
    assert "linear" not in cli("profile", bundle, "--runs", "3").fine().out
    outcome = cli("profile", bundle, "--runs", "3", "--layers").fine()
    for layer in profile_of(bundle)["layers"]:
        assert layer["name"] in outcome.out


def test_a_bundle_for_another_device_is_measured_as_a_stand_in(cli, built, here):
    bundle = built.bundle("raspberry-pi-5", here)
    cli("profile", bundle, "--runs", "5").fine()
    data = profile_of(bundle)
    for name in ("latency_p50", "latency_p99", "peak_memory", "cpu_time_p50", "throughput"):
        assert data["metrics"][name]["kind"] == "stand_in"
        assert data["machine"]["description"] in data["metrics"][name]["method"]
    assert {row["latency_p50"]["kind"] for row in data["layers"]} == {"stand_in"}


def test_the_same_from_python(built, here):
    bundle = built.bundle("nothing", here)
    found = toolchain.profile(bundle, runs=4)
    assert isinstance(found, Profile) and found.as_dict() == profile_of(bundle)
    assert len(found.metrics["latency_p50"].samples) == 4


@pytest.fixture
def near(device, monkeypatch):
    """A device that the command line can log in to; it must be clean afterwards."""
    monkeypatch.setenv("EDGEWRIGHT_SSH_CONFIG", str(device.options.config))
    yield device
    device.assert_clean()


def test_over_ssh(cli, built, here, near, numpy_python):
    """Golden outputs are checked there, the samples come back, nothing is left behind."""
    bundle = built.bundle("nothing", here)
    outcome = cli("profile", bundle, "--via", near.url(), "--python", numpy_python, "--runs", "6").fine()
    data = profile_of(bundle)
    assert len(data["metrics"]["latency_p50"]["samples"]) == 6
    assert data["metrics"]["latency_p50"]["kind"] == "measured", "loopback is this machine, the bundle's device"
    assert "check golden outputs" in outcome.err


def test_over_ssh_with_an_engine(cli, bundle, near, engine_python):
    words = ("profile", bundle, "--via", near.url(), "--python", engine_python, "--runs", "5", "--json")
    assert json.loads(cli(*words).fine().out)["executed"] == {"fp32": 2}


def test_over_ssh_without_the_engine(cli, bundle, near, numpy_python, untouched):
    whole = untouched(bundle)
    refusal = cli("profile", bundle, "--via", near.url(), "--python", numpy_python).refused(5)
    assert "onnxruntime" in refusal.wanted and refusal.next.startswith(f"on {near.url().removeprefix('ssh://')}: ")
    whole()


@pytest.fixture
def elsewhere(tiny, near, numpy_python, monkeypatch):
    """A project whose device is reached over ssh, and the requests that it was asked."""
    asked = []
    converse = remote.converse

    def listen(url, bundle, request, *more, **settings):
        asked.append(request["action"])
        return converse(url, bundle, request, *more, **{**settings, "python": str(numpy_python)})

    monkeypatch.setattr(remote, "converse", listen)
    entry = f'[[device]]\nprofile = "local-cpu"\ntarget = "null"\nvia = "{near.url()}"\n'
    (tiny.parent / "edge.toml").write_text(f'[model]\nsource = "tiny.onnx"\n{entry}')
    return asked


def test_a_build_that_measures_over_ssh_checks_the_outputs_there_first(cli, here, near, elsewhere):
    outcome = cli("build", "edge.toml", "--runs", "3").fine()
    assert elsewhere == ["verify", "profile"]
    assert f"profile local-cpu on {near.url()}" in outcome.err
    assert len(profile_of(here / "build" / "local-cpu")["metrics"]["latency_p50"]["samples"]) == 3
