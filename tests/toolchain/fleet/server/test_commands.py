"""The commands of the operator, and the server as a process of its own."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from tests.toolchain.fleet.fleet_homes import PASSPHRASE, a_release, make_fleet
from tests.toolchain.fleet.fleet_people import Person, attempt
from toolchain.cli.main import main
from toolchain.fleet.publish.blobs import Blobs
from toolchain.fleet.store import Store

CHANNEL = ["--product", "cam"]


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    """A fleet with two releases; keys take a second to make, so one serves as the mould of all."""
    folder = tmp_path_factory.mktemp("mould") / "fleet"
    repository = make_fleet(folder)
    for version in (1, 2):
        repository.add_release(a_release(version))
    blob = repository.home.repository / a_release().bundles[0].files[0].content.url_path
    blob.parent.mkdir()
    blob.write_bytes(b"abc")
    return folder


@pytest.fixture
def home(founded, tmp_path):
    import shutil

    shutil.copytree(founded, tmp_path / "fleet")
    return tmp_path / "fleet"


@pytest.fixture
def fleet(home, capsys):
    """Run a command of the fleet: exit code, standard output, standard error."""

    def run(*words):
        capsys.readouterr()
        code = main(["fleet", "--home", str(home), *map(str, words)])
        return code, *capsys.readouterr()

    return run


def fine(result):
    code, out, err = result
    assert code == 0, f"exit code {code}: {err}"
    return out


@contextlib.contextmanager
def serving(home, *options):
    """The address of a server, which is ended by its own process id."""
    words = [sys.executable, "-m", "toolchain", "fleet", "--home", str(home), "serve", "--port", "0", *options]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, f"the server did not start: {line}{process.stderr.read() if process.poll() is not None else ''}"
        yield found[0], process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()
            process.stderr.close()


def post(url, body):
    request = urllib.request.Request(url, data=body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def until(what, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what.__name__} did not come true within {seconds:g} s")


def test_a_rollout_from_token_to_complete(home, fleet):
    token = fine(fleet("token", *CHANNEL, "--uses", "2")).strip()
    people = [Person(name, product="cam") for name in ("d1", "d2")]
    with serving(home, "--every", "0.1") as (url, process):
        for each in people:
            assert post(f"{url}/checkin/v1/enrol", each.enrolment(token))[0] == 200
            assert post(f"{url}/checkin/v1/report", each.said(1, running=1))[0] == 200
        fine(fleet("rollout", "start", *CHANNEL, "--wave", "canary=1", "--wave", "all=100%", "--soak", "0"))

        def state():
            return json.loads(fine(fleet("rollout", "status", "--json")))["rollouts"][0]

        def canary_open():
            return state()["waves"][0]["open"]

        until(canary_open)
        first = next(each for each in people if "may install" in explained(fleet, each.name))
        other = next(each for each in people if each is not first)
        assert explained(fleet, other.name).startswith("may not install: wave 'all' is not open yet")
        done = {"running": 2, "attempt": attempt(2, fetched=3, full=3)}
        assert post(f"{url}/v1/report", first.said(2, **done))[0] == 200

        def all_open():
            return state()["waves"][1]["open"]

        until(all_open)
        assert post(f"{url}/v1/report", other.said(2, **done))[0] == 200

        def complete():
            return state()["state"] == "complete" and state()["published"]

        until(complete)
        with urllib.request.urlopen(f"{url}/status", timeout=10) as page:
            assert "d1" in (text := page.read().decode()) or "cam" in text
        with urllib.request.urlopen(f"{url}/metadata/timestamp.json", timeout=10) as answer:
            assert json.load(answer)["signed"]["_type"] == "timestamp"
        assert process.poll() is None
    assert process.returncode == 143, "SIGTERM ends it in order"
    table = fine(fleet("devices"))
    assert "2: committed" in table


def explained(fleet, device):
    return fine(fleet("rollout", "explain", device)).splitlines()[0]


def test_a_server_that_is_killed_leaves_nothing_to_mend(home, fleet):
    with Store(f"sqlite:///{home / 'fleet.db'}") as store:
        token = store.make_token("cam", uses=1, now=time.time(), lasts=60)
    person = Person("d1", product="cam")
    with serving(home, "--every", "0.05") as (url, process):
        assert post(f"{url}/v1/enrol", person.enrolment(token))[0] == 200
        fine(fleet("rollout", "start", *CHANNEL))
        process.kill()
        process.wait(10)
    with serving(home, "--every", "0.05") as (url, _):

        def opened():
            shown = json.loads(fine(fleet("rollout", "status", "--json")))["rollouts"][0]
            return shown["waves"][0]["open"] and shown["published"]

        until(opened)
        assert post(f"{url}/v1/report", person.said(1))[0] == 200


def test_acts_of_an_operator(home, fleet):
    fine(fleet("rollout", "start", *CHANNEL, "--release", "1", "--approve-before", "all"))
    assert "is paused" in fine(fleet("rollout", "pause", *CHANNEL, "--why", "lunch"))
    assert "is running" in fine(fleet("rollout", "resume", *CHANNEL))
    fine(fleet("rollout", "approve", *CHANNEL, "all"))
    assert "is aborted" in fine(fleet("rollout", "abort", *CHANNEL))
    code, _, err = fleet("rollout", "resume", *CHANNEL)
    assert (code, "it is aborted" in err) == (2, True)
    shown = json.loads(fine(fleet("rollout", "status", "--json")))["rollouts"][0]
    assert [each["action"] for each in shown["decisions"]] == ["abort", "approve", "resume", "pause", "start"]
    assert "lunch" in [each["why"] for each in shown["decisions"]]


def test_windows_waves_and_gates_reach_the_plan_and_the_policy(home, fleet):
    from toolchain.fleet.documents.plan import Window
    from toolchain.fleet.home import open_home
    from toolchain.fleet.trust.repository import Repository

    gates = ["--committed", "0.8", "--errors", "0.1", "--tolerated", "2", "--parity", "0.02", "--slower", "0.3"]
    times = ["--soak", "10min", "--silent", "2h", "--timeout", "3d", "--device-soak", "90"]
    waves = ["--wave", "lab=site:berlin,room:3", "--wave", "tenth=12.5%", "--most-slower", "0.5"]
    fine(fleet("rollout", "start", *CHANNEL, *gates, *times, *waves, "--window", "22:00-04:00,sat,sun"))
    plan = Repository(open_home(home)).plan("cam", "stable")
    assert plan.windows == (Window("22:00", "04:00", ("sat", "sun")),)
    assert (plan.soak, plan.most_slower, plan.waves[1].percent) == (90.0, 0.5, 12.5)
    assert plan.waves[0].labels == {"site": "berlin", "room": "3"}
    with Store(f"sqlite:///{home / 'fleet.db'}") as store:
        policy = store.rollout("cam", "stable").rollout.policy
    assert (policy.committed, policy.errors, policy.tolerated, policy.parity, policy.slower) == (0.8, 0.1, 2, 0.02, 0.3)
    assert (policy.soak, policy.silent, policy.timeout) == (600.0, 7200.0, 3 * 86400.0)


def test_rollback_stops_repeats_and_starts(home, fleet, monkeypatch, tmp_path):
    from tests.toolchain.fleet.fleet_homes import make_bundle
    from toolchain.fleet.home import open_home
    from toolchain.fleet.publish import publish
    from toolchain.fleet.trust.repository import Repository

    repository = Repository(open_home(home), lambda name: PASSPHRASE)
    publish(repository.home, repository, [make_bundle(tmp_path / "bundle")], product="ears")
    Blobs(repository.home.repository)
    monkeypatch.setenv("EDGEWRIGHT_FLEET_PASSPHRASE", PASSPHRASE)
    fine(fleet("rollout", "start", "--product", "ears"))
    for wrong in (("--wave", "canary=5"), ("--approve-before", "nobody"), ("--most-slower", "nan")):
        code, out, _ = fleet("rollback", "--product", "ears", "--to", "1", *wrong)
        assert (code, out, repository.versions("ears")) == (2, "", [1]), f"{wrong} was noticed after the abort"
    assert repository.plan("ears", "stable").state == "running"
    out = fine(fleet("rollback", "--product", "ears", "--to", "1"))
    with Store(f"sqlite:///{home / 'fleet.db'}") as store:
        assert store.rollout("ears", "stable").rollout.policy.slower is None, "the bad release may be the faster one"
    assert "version 1 is aborted" in out
    assert "version 2 has the bundles of version 1" in out
    plan = repository.plan("ears", "stable")
    assert (plan.release, plan.state, plan.sequence) == (2, "running", 3)
    assert repository.release("ears", 2).repeats == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("token",), "no --product"),
        (("token", "--product", "No!"), "must be of a-z"),
        (("token", "revoke", "abcdef"), "no token"),
        (("devices", "show"), "name it"),
        (("devices", "revoke", "nobody"), "no device"),
        (("rollout", "start", "--product", "nothing"), "has no release"),
        (("rollout", "start", *CHANNEL, "--release", "9"), "no version 9"),
        (("rollout", "start", *CHANNEL, "--wave", "x=y"), "wanted a wave"),
        (("rollout", "start", *CHANNEL, "--wave", "x=5"), "wants 5 devices"),
        (("rollout", "start", *CHANNEL, "--errors", "2"), "allowed 0 to 1"),
        (("rollout", "start", *CHANNEL, "--window", "25:00-26:00"), "no time of day"),
        (("rollout", "start", *CHANNEL, "--soak", "soon"), "no time"),
        (("rollout", "pause", *CHANNEL), "there is no rollout"),
        (("rollout", "explain", "nobody"), "no device"),
        (("rollback", *CHANNEL, "--to", "9"), "go back to version 9"),
        (("serve", "--host", "256.1.1.1"), "wanted to listen"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "says",
)
def test_what_cannot_be_is_said_with_code_2_and_changes_nothing(home, fleet, words, says):
    code, out, err = fleet(*words)
    assert (code, out) == (2, ""), err
    assert says in err
    assert "Traceback" not in err
    assert fine(fleet("rollout", "status")) == "0 devices, 0 heard within the last hour, 0 never\n"


def test_a_token_is_shown_once_and_listed_without_itself(fleet):
    token = fine(fleet("token", *CHANNEL, "--lasts", "7d", "--note", "shelf 3")).strip()
    listed = fine(fleet("token", "list"))
    assert "shelf 3" in listed
    assert token not in listed
    row = json.loads(fine(fleet("token", "list", "--json")))[0]
    assert row["expires"] - row["made"] == 7 * 86400
    fine(fleet("token", "revoke", row["id"]))
    assert json.loads(fine(fleet("token", "list", "--json"))) == []


def test_devices_are_listed_shown_revoked_and_removed(home, fleet):
    from tests.toolchain.fleet.fleet_people import enrol, take_up

    with Store(f"sqlite:///{home / 'fleet.db'}") as store:
        person = enrol(store, Person("d1", product="cam", labels={"site": "lab"}))
        take_up(store, person, 1, running=1, attempt=attempt(2, "rolled-back", reason="health"))
    assert "2: rolled-back (health)" in fine(fleet("devices"))
    assert json.loads(fine(fleet("devices", "--json")))[0]["labels"] == {"site": "lab"}
    assert len(json.loads(fine(fleet("devices", "show", "d1", "--json")))["history"]) == 1
    assert "rolled-back" in fine(fleet("devices", "show", "d1"))
    fine(fleet("devices", "revoke", "d1"))
    assert "revoked" in fine(fleet("devices"))
    fine(fleet("devices", "remove", "d1"))
    assert json.loads(fine(fleet("devices", "--json"))) == []


def test_a_port_that_is_taken_is_said(home, fleet):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = fleet("serve", "--port", taken.getsockname()[1])
    assert (code, "choose another --port" in err) == (2, True)
