"""Real agents, a real server process, a real repository: a good release, a bad one, a rollback, a revoked device."""

import hashlib
import json
import time

import pytest

from tests.toolchain.fleet.agent.fleet_device import PRODUCT, Device, contents, packed, release_of
from tests.toolchain.fleet.fleet_homes import PASSPHRASE, make_fleet
from tests.toolchain.fleet.server.test_commands import serving, until
from toolchain.cli.main import main
from toolchain.fleet.documents.release import Blob
from toolchain.fleet.store import Store


class Folder:
    """The blobs of a repository."""

    def __init__(self, repository):
        self.repository = repository

    def blob(self, data):
        blob = Blob(hashlib.sha256(data).hexdigest(), len(data))
        path = self.repository.home.repository / blob.url_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return blob


@pytest.fixture
def repository(tmp_path):
    made = make_fleet(tmp_path / "fleet")
    old = None
    for version, behaviour in ((1, {}), (2, {"wrong": True})):
        files = contents(version, **behaviour)
        made.add_release(release_of(version, packed(Folder(made), files, old=old)))
        old = files
    return made


def fleet(repository, *words):
    code = main(["fleet", "--home", str(repository.home.folder), *words])
    assert code == 0, f"{' '.join(words)}: exit code {code}"


def plan_state(repository):
    """State, open waves and version of the newest plan that was published."""
    plan = repository.plan(PRODUCT, "stable")
    return plan.state, plan.open_waves, plan.release


def test_from_enrolment_to_a_stopped_release_and_back(repository, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EDGEWRIGHT_FLEET_PASSPHRASE", PASSPHRASE)
    store = Store(repository.home.database_url)
    token = tmp_path / "token"
    token.write_text(store.make_token(PRODUCT, uses=2, now=time.time(), lasts=600))
    with serving(repository.home.folder, "--every", "0.1") as (url, _):
        devices = {
            name: Device(
                tmp_path / name, f"{url}/", repository.home.root_metadata(), device=name, checkin=f"{url}/checkin/"
            )
            for name in ("bell-1", "bell-2")
        }
        for each in devices.values():
            code, text = each.call("enroll", "--token-file", str(token))
            assert code == 0, text

        fleet(
            repository, "rollout", "start", "--product", PRODUCT, "--release", "1", "--soak", "0", "--device-soak", "0"
        )
        until(lambda: plan_state(repository) == ("running", 1, 1))
        for each in devices.values():
            each.once()
        until(lambda: plan_state(repository)[0] == "complete")

        fleet(
            repository, "rollout", "start", "--product", PRODUCT, "--wave", "canary=1", "--wave", "all=100%",
            "--soak", "0", "--device-soak", "0",
        )  # fmt: skip
        until(lambda: plan_state(repository) == ("running", 1, 2))
        (canary,) = repository.plan(PRODUCT, "stable").waves[0].devices
        other = next(name for name in devices if name != canary)
        devices[other].once()
        assert devices[other].state.attempt.release == 1, "it is not this device's turn"
        devices[canary].once(code=6)
        until(lambda: plan_state(repository) == ("aborted", 1, 2))
        assert [each.state.running for each in devices.values()] == [1, 1]

        (view,) = store.overview(time.time()).rollouts
        assert [(each.device, each.reason, each.running) for each in view.troubles] == [(canary, "parity", 1)]
        assert view.fetched < view.full / 5, "the update came as a delta"

        fleet(repository, "rollback", "--product", PRODUCT, "--to", "1", "--soak", "0", "--device-soak", "0")
        until(lambda: plan_state(repository) == ("running", 1, 3))
        for each in devices.values():
            each.once()
        until(lambda: plan_state(repository)[0] == "complete")
        assert [each.state.running for each in devices.values()] == [3, 3]

        fleet(repository, "devices", "revoke", other)
        devices[other].once(code=8)
        assert devices[other].state.running == 3, "a revoked device keeps what it runs"
        capsys.readouterr()
        fleet(repository, "devices", "--json")
        assert {each["device"]: each["running"] for each in json.loads(capsys.readouterr().out)} == {
            canary: 3,
            other: 3,
        }
    store.close()
