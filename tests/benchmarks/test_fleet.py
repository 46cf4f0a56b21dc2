"""The fleet benchmark: a small fleet all the way, what counts as a missed goal, and the page."""

import copy
import random
import time

import pytest

from benchmarks import fleet, fleet_page, fleet_run
from benchmarks.fleet_devices import Device, Mirror, Network, Post, config_of
from benchmarks.fleet_postgres import Postgres, missing
from profiles.errors import UnreachableError
from toolchain.fleet.documents.release import Blob, Delta, Depends, File, Packed


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The story of 60 devices on SQLite."""
    folder = tmp_path_factory.mktemp("fleet")
    mould = fleet.founded(folder / "mould")
    row = fleet_run.one(f"sqlite:///{folder / 'fleet.db'}", 60, fleet._copy(mould, "SQLite", 60))
    return {"sizes": [60], "databases": {"SQLite": [row]}, "missing": {}}


def test_a_small_fleet_meets_every_goal(told):
    assert fleet.missed_goals(told) == []
    row = told["databases"]["SQLite"][0]
    assert row["good"]["committed"] == row["good"]["sound"] == 59
    assert 0 < row["bad"]["reached"] <= row["bad"]["canaries"] < 10
    assert row["statuses"] == {"200": row["requests"]}
    assert 0.05 < row["good"]["fetched"] / row["good"]["full"] < 0.5, "a delta is a fraction of the file"
    assert row["lost"] > 0, "nothing was lost on the way, so nothing is shown about losses"


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("good", "lost"), 1, "1 sound devices do not run the good release"),
        (("good", "faulty_kept"), 0, "faulty devices do not run what they ran before"),
        (("good", "disagree"), 2, "the server is wrong about 2 devices"),
        (("bad", "beyond"), 3, "reached 3 devices beyond the canary wave"),
        (("bad", "committed"), 1, "1 devices committed the bad release"),
        (("bad", "lost"), 1, "1 devices do not run what they ran before the bad release"),
        (("bad", "state"), "running", "was not stopped"),
        (("bad", "reached"), 0, "reached nobody"),
        (("refused",), 4, "4 reports of devices were refused"),
    ],
    ids=lambda each: ".".join(each) if isinstance(each, tuple) else None,
)
def test_a_goal_that_is_missed_is_said(told, place, value, says):
    changed = copy.deepcopy(told)
    row = changed["databases"]["SQLite"][0]
    for key in place[:-1]:
        row = row[key]
    row[place[-1]] = value
    (sentence,) = fleet.missed_goals(changed)
    assert says in sentence


def test_growth_and_a_missing_database_are_missed_goals(told):
    changed = copy.deepcopy(told)
    rows = changed["databases"]["SQLite"]
    rows.append({**rows[0], "checkin_us": 2.1 * rows[0]["checkin_us"]})
    changed["missing"]["PostgreSQL"] = "initdb is not installed"
    assert [sentence.partition(":")[0] for sentence in fleet.missed_goals(changed)] == [
        "PostgreSQL was not measured", "SQLite",
    ]  # fmt: skip


def test_the_page_says_what_was_found(told):
    facts = {"date": "2026-01-01", "machine": "a machine", "load": None, "tools": {"tuf": "7.0.1", "psycopg": None}}
    text = fleet_page.page("The claim.", told, [], facts)
    for words in (
        "The claim.",
        "| SQLite | 60 | 59 of 59 | 0 |",
        "No goal was missed",
        "The column of the database's processes is an upper bound",
        "tuf 7.0.1, psycopg not installed",
    ):
        assert words in text
    assert "**Goal missed**: too slow." in fleet_page.page("", told, ["too slow"], facts)


def packed(number):
    base = Delta(f"{number - 1:064x}", Blob(f"{number + 50:064x}", 10))
    files = (
        File("bundle/weights", Blob(f"{number:064x}", 100), deltas=(base,)),
        File("bundle/same", Blob("f" * 64, 7)),
    )
    return Packed("null", "fp32", f"{number:064x}", Depends("local-cpu"), files)


@pytest.mark.parametrize(
    ("running", "wanted", "bytes_"),
    [(0, 2, 107), (1, 2, 10), (1, 3, 100), (2, 2, 0)],
    ids=["all", "delta", "no base", "none"],
)
def test_bytes_to_fetch(running, wanted, bytes_):
    mirror = Mirror(None, {number: packed(number) for number in (1, 2, 3)}, frozenset())
    assert mirror.to_fetch(running, wanted) == bytes_


def test_a_network_loses_its_share_each_way():
    network = Network(0.25, random.Random(1))
    handled = []

    def handle(path, body, address):
        handled.append(body)
        return 200, b"fine"

    post, answers = Post(handle, network, "10.0.0.1"), 0
    for _ in range(4000):
        try:
            answers += post.post("v1/report", b"x") == b"fine"
        except UnreachableError:
            continue
    assert 0.70 < len(handled) / 4000 < 0.80
    assert 0.51 < answers / 4000 < 0.61, "both ways must be passed"


def test_a_device_without_a_server_still_follows_the_plan():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from tests.toolchain.fleet.fleet_homes import a_plan
    from toolchain.fleet.agent import events as ev
    from toolchain.fleet.agent.identity import Identity

    network = Network(0.0, random.Random(1))
    mirror = Mirror(a_plan(release=2, product="eyes"), {number: packed(number) for number in (1, 2)}, frozenset())
    post = Post(lambda *_: (503, b"{}"), network, "10.0.0.1")
    device = Device(config_of(1), Identity(Ed25519PrivateKey.generate()), post, mirror, network, fault="", speed=0.01)
    now, event = 1e9, ev.Due()
    while event is not None:
        later = device.happened(event, now)
        now, event = (now + later[0], later[1]) if later else (now, None)
    assert (device.state.running, device.pointed) == (2, "b")
    assert device.refused > 0


def test_the_processor_time_of_postgresql_grows_with_its_work():
    import os

    if absent := missing():
        assert not os.environ.get("CI"), f"{absent} must be there in CI"
        pytest.skip(f"needs {absent}")
    server = Postgres()
    try:
        before = server.processor_time()
        server.execute("SELECT sum(sqrt(n)) FROM generate_series(1, 2000000) AS n")
        end = (
            time.monotonic() + 10
        )  # a process that ends is nobody's for a moment: its parent has not yet taken its time over
        while not server.processor_time() > before and time.monotonic() < end:
            time.sleep(0.05)
        assert server.processor_time() > before
    finally:
        server.stop()
    assert server.process.returncode is not None
