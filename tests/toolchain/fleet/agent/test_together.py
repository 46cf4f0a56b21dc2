"""The agent with everything real around it: published releases, the bundle's own runtime, the server's code."""

import dataclasses
import json
import time

import numpy as np
import pytest

from targets.artifact import load_artifact, write_manifest
from targets.golden import Golden, save_golden
from targets.null.runner import null_outputs
from tests.toolchain.fleet.agent.fleet_device import Device
from tests.toolchain.fleet.agent.fleet_web import Web
from tests.toolchain.fleet.fleet_homes import DEVICE, a_plan, make_bundle, make_fleet, passphrase
from toolchain.fleet.agent.cli import TOKEN
from toolchain.fleet.documents.plan import Wave
from toolchain.fleet.publish import publish, repeat
from toolchain.fleet.server.checkin import CheckIn
from toolchain.fleet.store import Store
from toolchain.fleet.trust.rotation import rotate

BODY = np.random.default_rng(5).bytes(200_000)


def bundle_of(folder, number, *, wrong=False):
    """A bundle of the null target with golden outputs that are right, or not."""
    make_bundle(folder, device={**DEVICE, "cpu": {}}, files={"model.bin": BODY + b"%d" % number})
    artifact = load_artifact(folder)
    inputs = {"x": np.full((1, 1, 4), 0.5, np.float32)}
    outputs = null_outputs({"x": inputs["x"][0]}, artifact.compiled.outputs)["y"][None] + (1.0 if wrong else 0.0)
    save_golden(folder / "golden.npz", Golden(inputs, {"y": outputs}, {"y": outputs}))
    write_manifest(dataclasses.replace(artifact, golden={"tolerance": {"y": 1e-4}}))
    return folder


@pytest.fixture
def fleet(tmp_path):
    return make_fleet(tmp_path / "home")


@pytest.fixture
def served(fleet):
    web = Web(fleet.home.repository)
    yield web
    web.close()


@pytest.fixture
def follower(tmp_path, fleet, served):
    return Device(
        tmp_path / "device", served.url, fleet.home.root_metadata(), product="cam", measure_seconds=0.01
    )  # fmt: skip


def number_of(device):
    content = (device.folder / "current/bundle/model.bin").read_bytes()
    return int(content[len(BODY) :])


def put(fleet, folder, number, **more):
    release = publish(fleet.home, fleet, [bundle_of(folder, number, **more)], product="cam")
    fleet.set_plan(a_plan(release.version, release.version, soak=0.0, most_slower=1000.0))
    return release


def test_published_releases_are_installed_checked_and_refused_when_their_numbers_are_wrong(
    fleet, served, follower, tmp_path
):
    put(fleet, tmp_path / "one", 1)
    follower.once()
    assert number_of(follower) == 1 and follower.state.after > 0, "the bundle's own runtime has measured"
    put(fleet, tmp_path / "two", 2)
    follower.once()
    attempt = follower.state.attempt
    assert number_of(follower) == 2 and follower.state.before > 0
    assert attempt.fetched < 0.2 * attempt.full, f"{attempt.fetched} of {attempt.full} bytes: the delta was not used"
    put(fleet, tmp_path / "three", 3, wrong=True)
    text = follower.once(code=6)
    assert number_of(follower) == 2 and follower.state.attempt.reason == "parity", text
    repeat(fleet.home, fleet, "cam", 1)
    fleet.set_plan(a_plan(4, 4, soak=0.0))
    follower.once()
    assert number_of(follower) == 1 and follower.state.running == 4


def test_keys_are_rotated_and_the_device_follows(fleet, follower, tmp_path):
    put(fleet, tmp_path / "one", 1)
    follower.once()
    for role in ("timestamp", "snapshot", "rollouts", "releases", "root"):
        rotate(fleet, [role], passphrase)
    put(fleet, tmp_path / "two", 2)
    follower.once()
    assert number_of(follower) == 2


def test_a_device_is_enrolled_reports_and_is_revoked(fleet, served, follower, tmp_path, monkeypatch):
    put(fleet, tmp_path / "one", 1)
    store = Store(f"sqlite:///{tmp_path / 'fleet.db'}")
    checkin = CheckIn(store, time.time)

    def answers(path, body):
        status, text = checkin.handle(path, json.dumps(body).encode(), "127.0.0.1")
        return int(status), json.loads(text)

    served.answers = answers
    follower.configure(checkin=served.url, labels={"room": "hall"})
    monkeypatch.setenv(TOKEN, "no-such-token")
    assert follower.call("enroll")[0] == 8
    monkeypatch.setenv(TOKEN, store.make_token("cam", channel="stable", now=time.time(), lasts=60.0))
    code, text = follower.call("enroll")
    assert code == 0, text
    text = follower.once()
    assert "no report" not in text, text
    (facts,) = store.facts("cam", "stable")
    assert (facts.device, facts.running, facts.outcome) == ("bell-1", 1, "committed")
    store.revoke("bell-1", time.time())
    assert "was revoked" in follower.once(code=8)
    put(fleet, tmp_path / "two", 2)
    follower.once(code=8)
    assert number_of(follower) == 1


def test_the_wave_is_the_same_for_agent_and_server(fleet, follower, tmp_path):
    release = publish(fleet.home, fleet, [bundle_of(tmp_path / "one", 1)], product="cam")
    fleet.set_plan(a_plan(1, release.version, soak=0.0, waves=(Wave("first", devices=("other",)), Wave("rest", 100.0))))
    follower.once()
    assert not (follower.folder / "current").exists()
    fleet.set_plan(
        a_plan(
            2, release.version, soak=0.0, open_waves=2, waves=(Wave("first", devices=("other",)), Wave("rest", 100.0))
        )
    )
    follower.once()
    assert number_of(follower) == 1
