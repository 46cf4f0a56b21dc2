"""Who may still ask for a release, by the database; and the command."""

import json
import os
import threading

import pytest

from profiles.errors import UnreachableError
from tests.toolchain.fleet.fleet_homes import PASSPHRASE, make_fleet
from tests.toolchain.fleet.fleet_people import NOW, Person, attempt, enrol, take_up
from tests.toolchain.fleet.publish.fleet_pruning import a_day_later, go, has, keep_plans, put
from toolchain.cli.main import main
from toolchain.fleet.server import retiring
from toolchain.fleet.store import Store


@pytest.fixture(scope="module")
def mould(tmp_path_factory):
    """Six releases, of which the channel went to the fifth, days ago."""
    folder = tmp_path_factory.mktemp("mould")
    fleet = make_fleet(folder / "home")
    for number in range(1, 6):
        put(fleet, folder, number)
        go(fleet, number, number)
    put(fleet, folder, 6)
    a_day_later(fleet)
    fleet.refresh()
    with Store(fleet.home.database_url) as store:
        keep_plans(store, fleet)
    return folder / "home"


@pytest.fixture
def repository(mould, tmp_path):
    import shutil

    from toolchain.fleet.home import open_home
    from toolchain.fleet.trust.repository import Repository

    shutil.copytree(mould, tmp_path / "home")
    return Repository(open_home(tmp_path / "home"))


@pytest.fixture
def store(repository):
    with Store(repository.home.database_url) as opened:
        yield opened


@pytest.fixture
def fleet(repository, capsys):
    def run(*words):
        capsys.readouterr()
        code = main(["fleet", "--home", str(repository.home.folder), *map(str, words)])
        return code, *capsys.readouterr()

    return run


def left(repository):
    return [version for version in range(1, 7) if has(repository, version)]


def device(store, name, **said):
    take_up(store, enrol(store, Person(name, product="cam")), 1, **said)


def test_what_devices_run_and_fetch_stays_those_of_revoked_ones_too(repository, store):
    device(store, "runs", running=2, attempt=attempt(3, "rolled-back", reason="health"))
    device(store, "fetches", running=2, attempt=attempt(4, "underway", "fetching", "download"))
    device(store, "revoked", running=1)
    store.revoke("revoked", NOW)
    assert retiring.in_use(store) == {"cam": {1: 1, 2: 2, 4: 1}}
    retiring.prune(store, repository, 0)
    assert left(repository) == [1, 2, 4, 5, 6]
    store.remove("revoked")
    retiring.prune(store, repository, 0)
    assert left(repository) == [2, 4, 5, 6], "who is forgotten is asked for nothing"


def test_nothing_goes_while_somebody_moves_the_rollouts(repository, store, monkeypatch):
    monkeypatch.setattr(retiring, "WAIT", 0.05)
    holds, done = threading.Event(), threading.Event()

    def move():
        with Store(repository.home.database_url) as other, other.moving() as alone:
            assert alone
            holds.set()
            done.wait(20)

    mover = threading.Thread(target=move)
    mover.start()
    holds.wait(20)
    try:
        with pytest.raises(UnreachableError, match="another process moves the rollouts"):
            retiring.prune(store, repository, 0)
    finally:
        done.set()
        mover.join()
    assert left(repository) == [1, 2, 3, 4, 5, 6]


def test_the_command_shows_first_and_removes_then(repository, fleet, untouched):
    check = untouched(repository.home.repository)
    code, out, _ = fleet("prune", "--keep", "1", "--dry-run")
    assert code == 0 and "rollout on stable" in out and "would go without --dry-run" in out
    shown = json.loads(fleet("prune", "--keep", "1", "--dry-run", "--json")[1])
    check()
    goes = [each["version"] for each in shown["releases"] if not each["stays"]]
    assert (goes, shown["removed"]) == ([3, 2, 1], False) and shown["bytes"] > 0 and shown["files"] > 0
    code, out, _ = fleet("prune", "--keep", "1")
    assert code == 0 and f"{shown['files']} files, {shown['bytes']} bytes, are gone" in out
    assert left(repository) == [4, 5, 6]
    assert "0 files, 0 bytes, are gone" in fleet("prune", "--keep", "1")[1]


def test_three_older_releases_stay_by_default(repository, fleet):
    assert fleet("prune")[0] == 0
    assert left(repository) == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("keep", ["-1", "some", "1.5"])
def test_a_number_that_is_none_is_refused(repository, fleet, keep, untouched):
    check = untouched(repository.home.repository)
    code, out, err = fleet("prune", "--keep", keep)
    assert (code, out) == (2, "") and "--keep" in err
    check()


def test_a_release_without_files_is_neither_rolled_out_nor_gone_back_to(repository, fleet, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_FLEET_PASSPHRASE", PASSPHRASE)
    fleet("prune", "--keep", "0")
    code, out, err = fleet("rollout", "start", "--product", "cam", "--release", "3")
    assert (code, out) == (2, "") and "devices could not fetch version 3 of cam" in err
    code, _, err = fleet("rollout", "start", "--product", "cam", "--release", "6")
    assert code == 0, err
    code, out, err = fleet("rollback", "--product", "cam", "--to", "3")
    assert (code, out) == (2, "") and "publish its bundles again" in err
    assert repository.plan("cam", "stable").state == "running", "nothing was stopped before that was said"
    assert max(repository.versions("cam")) == 6


def test_a_database_that_lags_behind_the_repository_removes_nothing(repository, fleet):
    """It was lost and made anew, or is an old copy: the devices that it does not know still run something."""
    go(repository, 6, 6)
    code, out, err = fleet("prune", "--keep", "0")
    assert (code, out) == (2, "") and "sequence 5 here, 6 in the repository" in err
    for path in repository.home.folder.glob("fleet.db*"):
        path.unlink()
    code, out, err = fleet("prune", "--keep", "0", "--dry-run")
    assert (code, out) == (2, "") and "sequence none here" in err and "restore the newest copy" in err
    assert left(repository) == [1, 2, 3, 4, 5, 6]


def test_old_files_of_a_fleet_without_a_database_server_stay(repository, fleet, monkeypatch):
    """Who does not know which devices there are removes nothing."""
    text = (repository.home.folder / "fleet.toml").read_text()
    url = 'url = "postgresql://nobody@127.0.0.1:1/none"'
    (repository.home.folder / "fleet.toml").write_text(text.replace('url = "sqlite:///fleet.db"', url))
    os.environ.setdefault("PGCONNECT_TIMEOUT", "5")
    assert fleet("prune", "--keep", "0")[0] != 0
    assert left(repository) == [1, 2, 3, 4, 5, 6]
