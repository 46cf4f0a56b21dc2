"""The state of a fleet, on SQLite and on PostgreSQL alike."""

import concurrent.futures
import dataclasses
import stat
import subprocess
import sys
import threading

import pytest

from profiles.errors import ConfigError, OutputError, UnreachableError
from tests.toolchain.fleet.fleet_people import NOW, Person, attempt, enrol, take_up
from toolchain.fleet.documents.plan import Plan, Wave
from toolchain.fleet.rollout.engine import Decision
from toolchain.fleet.rollout.policy import Policy
from toolchain.fleet.store import Store
from toolchain.fleet.store.schema import MOST_HISTORY, SCHEMA, reports

KEY = ("id", "pem")


def plan(**changes):
    fields = {
        "product": "eyes", "channel": "stable", "sequence": 1, "release": 2, "state": "running", "salt": "s",
        "waves": (Wave("canary", percent=10.0), Wave("all", percent=100.0)), "open_waves": 0,
    }  # fmt: skip
    return Plan(**{**fields, **changes})


def add(store, name, token, now=NOW, product="eyes", channel="stable"):
    return store.enrol(name, product, channel, {}, key=(f"id-{name}", "pem"), token=token, now=now)


def test_a_token_is_good_for_as_many_devices_as_it_says(store):
    token = store.make_token("eyes", uses=2, now=NOW, lasts=60)
    assert [add(store, name, token) for name in ("a", "b", "c")] == ["", "", "token"]
    assert [each.device for each in store.devices()] == ["a", "b"]
    assert store.tokens()[0].left == 0


@pytest.mark.parametrize(
    "wrong",
    [{"now": NOW + 60}, {"product": "ears"}, {"channel": "beta"}],
    ids=["expired", "other product", "other channel"],
)
def test_a_token_is_good_for_what_it_was_made_for(store, wrong):
    token = store.make_token("eyes", channel="stable", uses=1, now=NOW, lasts=60)
    assert add(store, "a", token, **wrong) == "token"
    assert store.devices() == []
    assert add(store, "a", token, now=NOW + 59) == "", "the refused request must not have used it up"


def test_a_taken_name_uses_no_token_up(store):
    token = store.make_token("eyes", uses=2, now=NOW, lasts=60)
    assert add(store, "a", token) == ""
    assert add(store, "a", token) == "name"
    assert store.tokens()[0].left == 1


def test_the_last_use_of_a_token_goes_to_one_of_many(database_url):
    with Store(database_url) as store:
        token = store.make_token("eyes", uses=3, now=NOW, lasts=60)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda number: add(store, f"d{number}", token), range(8)))
        assert sorted(found) == ["", "", "", *["token"] * 5]


def test_tokens_that_are_of_no_use_are_forgotten(store):
    month = 30 * 86400.0
    used, old = (store.make_token("eyes", uses=1, now=NOW, lasts=lasts, note=str(lasts)) for lasts in (3 * month, 60.0))
    assert add(store, "a", used) == ""
    store.make_token("eyes", now=NOW + month, lasts=60, note="new")
    assert [each.note for each in store.tokens()] == ["60.0", "new"], "what expired lately is shown, used ones are not"
    store.make_token("eyes", now=NOW + month + 60, lasts=60, note="newer")
    assert [each.note for each in store.tokens()] == ["new", "newer"]
    assert add(store, "b", old) == "token"


def test_a_token_is_kept_as_a_hash_only(tmp_path):
    path = tmp_path / "fleet.db"
    with Store(f"sqlite:///{path}") as store:
        token = store.make_token("eyes", uses=2, now=NOW, lasts=60)
        assert token not in repr(store.tokens())
    assert all(token.encode() not in each.read_bytes() for each in tmp_path.iterdir())


def test_tokens_are_revoked_by_their_beginning(store):
    token = store.make_token("eyes", uses=2, now=NOW, lasts=60)
    with pytest.raises(ConfigError, match="no token"):
        store.revoke_token("")
    store.revoke_token(store.tokens()[0].id)
    assert add(store, "a", token) == "token"


def test_a_token_is_not_found_by_a_wildcard(store):
    store.make_token("eyes", uses=2, now=NOW, lasts=60)
    with pytest.raises(ConfigError, match="no token"):
        store.revoke_token("%%%%")
    assert len(store.tokens()) == 1


def test_a_counter_is_taken_up_once(store):
    person = enrol(store, Person("a"))
    assert take_up(store, person, 5)
    assert not take_up(store, person, 5), "the same report again"
    assert not take_up(store, person, 4), "an older one"
    assert take_up(store, person, 6)


def test_of_many_copies_of_a_report_one_is_taken_up(store):
    person = enrol(store, Person("a"))
    who, start = store.identity("a"), threading.Barrier(8)

    def send(_):
        start.wait()
        return store.take_up(who, person.report(7), NOW)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(send, range(8))) == [False] * 7 + [True]


def test_two_reports_with_one_reading_of_the_device_are_both_taken_up(store):
    person = enrol(store, Person("a"))
    stale = store.identity("a")
    for counter in (5, 6):
        assert store.take_up(stale, person.report(counter, running=counter), NOW)
    assert [each.running for each in store.history("a")] == [6, 5]


def test_reports_of_one_device_at_once_lose_nothing(store):
    person = enrol(store, Person("a"))
    stale, start = store.identity("a"), threading.Barrier(8)

    def send(counter):
        start.wait()
        return store.take_up(stale, person.report(counter, running=counter), NOW)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(send, range(1, 9)))
    assert taken == len(store.history("a")) == store.identity("a").entries
    assert store.devices()[0].running == 8, "the newest one wins, whatever their order"


@pytest.mark.parametrize("change", ["revoked", "removed", "another key"])
def test_a_device_that_changed_after_it_was_read_is_refused(store, change):
    person = enrol(store, Person("a"))
    stale = store.identity("a")
    if change == "revoked":
        store.revoke("a", NOW)
    else:
        store.remove("a")
    if change == "another key":
        enrol(store, Person("a"))
    assert not store.take_up(stale, person.report(5), NOW)
    assert all(not row.seen for row in store.devices())


def test_a_latency_that_an_older_version_kept_does_not_stop_the_page(store):
    from toolchain.fleet.page.render import render_page

    store.begin(Policy(), plan(), "", "", NOW)
    for name, before in (("a", 5e-324), ("b", 1.0)):
        take_up(store, enrol(store, Person(name)), 1, attempt=attempt(2), before=1.0, after=0.5)
        with store._database.writing() as connection:
            odd = reports.update().where(reports.c.device == name).values(before=before)
            connection.execute(odd)
    assert "eyes" in render_page(store.overview(NOW))
    assert [each.before for each in store.devices()] == [None, 1.0]
    assert {each.before for each in store.facts("eyes", "stable")} == {None, 1.0}


def test_many_devices_at_once_are_all_taken_up(store):
    people = [enrol(store, Person(f"d{number}")) for number in range(24)]

    def report(person):
        return [take_up(store, person, counter, running=counter) for counter in range(1, 11)]

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        assert all(all(found) for found in pool.map(report, people))
    assert {each.running for each in store.devices()} == {10}


def test_a_refused_report_changes_nothing(store):
    person = enrol(store, Person("a"))
    take_up(store, person, 5, running=1, attempt=attempt(1))
    before = store.devices(), store.history("a")
    take_up(store, person, 5, now=NOW + 9, running=9, attempt=attempt(9), labels={"x": "y"})
    assert (store.devices(), store.history("a")) == before


def test_what_a_report_says_is_found_again(store):
    person = enrol(store, Person("a", labels={"site": "lab"}))
    said = attempt(3, "rolled-back", reason="parity", detail="ümlaut '\";--", fetched=12, full=1 << 40)
    take_up(
        store, person, 1, NOW + 5, running=2, time=NOW - 895, attempt=said, before=0.25, after=None,
        provides={"machine": "x86_64"}, labels={"site": "roof"},
    )  # fmt: skip
    (row,) = store.devices("eyes", "stable", "a")
    wanted = {**dataclasses.asdict(said), "before": 0.25, "after": None, "running": 2, "seen": NOW + 5, "skew": -900.0}
    assert {name: getattr(row, name) for name in wanted} == wanted
    assert (row.provides, row.labels) == ({"machine": "x86_64"}, {"site": "roof"})
    assert store.facts("eyes", "stable") == [row.facts]
    assert store.facts("eyes", "beta") == []


def test_history_has_what_changed_and_is_bounded(store):
    person = enrol(store, Person("a"))
    for counter in range(1, 4):
        take_up(store, person, counter, running=1, attempt=attempt(1))
    assert len(store.history("a")) == 1, "the same thing three times is one entry"
    for counter in range(4, MOST_HISTORY + 20):
        take_up(store, person, counter, running=counter, attempt=attempt(counter))
    kept = store.history("a")
    assert len(kept) == MOST_HISTORY
    assert kept[0].running == MOST_HISTORY + 19, "the newest comes first"


def test_revoked_devices_are_shown_and_do_not_count(store):
    enrol(store, Person("a"))
    enrol(store, Person("b"))
    store.revoke("a", NOW)
    store.revoke("a", NOW + 5)
    assert [(each.device, each.revoked) for each in store.devices()] == [("a", NOW), ("b", None)]
    assert [each.device for each in store.facts("eyes", "stable")] == ["b"]
    assert store.identity("a").revoked == NOW
    with pytest.raises(ConfigError, match="no device 'c'"):
        store.revoke("c", NOW)


def test_a_removed_device_leaves_nothing_and_may_come_back(store):
    person = enrol(store, Person("a"))
    take_up(store, person, 5, running=1, attempt=attempt(1))
    store.remove("a")
    assert store.identity("a") is None
    with pytest.raises(ConfigError, match="no device"):
        store.history("a")
    enrol(store, person)
    assert store.history("a") == []


NASTY = ["a' OR '1'='1", "x'; DROP TABLE devices; --", "%", "_", "\\", "a\x00b", "ü", "", "a" * 5000]


@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
def test_names_are_values_and_never_sql(store, name):
    enrol(store, Person("a"))
    if "\x00" not in name:  # PostgreSQL has no such text; no document lets it through
        assert store.identity(name) is None
        assert [each.device for each in store.devices(product=name)] == ([] if name else ["a"])
        assert add(store, "b", name) == "token"
    assert [each.device for each in store.devices()] == ["a"]


def test_a_rollout_is_found_again(store):
    policy = Policy(approvals=("all",), slower=None)
    assert store.begin(policy, plan(), "why", "me", NOW)
    kept = store.rollout("eyes", "stable")
    assert (kept.rollout.plan, kept.rollout.policy, kept.published) == (plan(), policy, 0)
    assert kept.rollout.approved == frozenset()
    store.approve(kept, "all", "you", NOW)
    store.approve(kept, "all", "you", NOW)
    assert store.rollout("eyes", "stable").rollout.approved == {"all"}
    assert store.rollout("eyes", "beta") is None


def test_a_rollout_begins_once(store):
    assert store.begin(Policy(), plan(), "", "", NOW)
    assert not store.begin(Policy(), plan(release=3), "", "", NOW), "another one with the same sequence"
    assert store.begin(Policy(), plan(sequence=2, release=3), "", "", NOW)
    assert [each.rollout.plan.release for each in store.rollouts()] == [3], "the newer one replaces it"


def test_who_decides_on_an_old_plan_changes_nothing(store):
    store.begin(Policy(), plan(), "", "", NOW)
    kept = store.rollout("eyes", "stable")
    step = Decision("open", plan(sequence=2, open_waves=1), kept.rollout.progress, ("because",))
    other = Decision("stop", plan(sequence=2, state="aborted"), kept.rollout.progress, ("too",))
    assert store.decide(kept, step, NOW)
    assert not store.decide(kept, other, NOW)
    assert store.rollout("eyes", "stable").rollout.plan == step.plan
    assert [each.action for each in store.decisions(kept)] == ["open", "start"]


def test_what_was_published_only_grows(store):
    store.begin(Policy(), plan(sequence=4), "", "", NOW)
    kept = store.rollout("eyes", "stable")
    for sequence in (4, 3):
        store.was_published(kept, sequence)
    assert store.rollout("eyes", "stable").published == 4


def test_one_at_a_time_moves_rollouts(database_url):
    with Store(database_url) as one, Store(database_url) as two:
        with one.moving() as first, two.moving() as second:
            assert (first, second) == (True, False)
        with two.moving() as again:
            assert again, "it is free when the first one has ended"


def test_the_lock_is_waited_for(database_url):
    with Store(database_url) as one, Store(database_url) as two:
        free = threading.Event()

        def hold():
            with one.moving():
                free.wait(10)

        holder = threading.Thread(target=hold)
        holder.start()
        threading.Timer(0.2, free.set).start()
        with two.moving(10.0) as alone:
            assert alone
        holder.join()


HOLD = """
import sys, time
from toolchain.fleet.store import Store
with Store(sys.argv[1]).moving() as alone:
    print(alone, flush=True)
    time.sleep(600)
"""


def test_the_lock_ends_with_the_process_that_holds_it(database_url):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, database_url], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "True\n"
        with Store(database_url) as store:
            with store.moving() as alone:
                assert not alone
            holder.kill()
            holder.wait(10)
            with store.moving(10.0) as alone:
                assert alone, "a server that was killed keeps the others out"
    finally:
        holder.kill()
        holder.stdout.close()


def test_the_database_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "fleet.db"
    with Store(f"sqlite:///{path}") as store:
        enrol(store, Person("a"))
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_two_processes_may_make_the_tables_at_once(database_url):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for store in pool.map(lambda _: Store(database_url), range(4)):
            store.close()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("nonsense", ConfigError),
        ("mysql://secret:word@host/db", ConfigError),
        ("sqlite:////no/such/folder/fleet.db", OutputError),
        ("postgresql://me:secretword@/db?host=/no/such/folder", UnreachableError),
    ],
)
def test_a_url_that_cannot_be_is_said_without_its_password(url, error):
    with pytest.raises(error) as found:
        Store(url)
    assert "secret" not in str(found.value)


def test_a_database_of_another_version_is_refused(tmp_path):
    import sqlite3

    url = f"sqlite:///{tmp_path / 'fleet.db'}"
    Store(url).close()
    with sqlite3.connect(tmp_path / "fleet.db") as connection:
        connection.execute("UPDATE about SET value = '99'")
        connection.execute("DROP TABLE decisions")  # a newer version may have other tables
    before = tables(tmp_path / "fleet.db")
    with pytest.raises(ConfigError, match="another version") as caught:
        Store(url)
    assert (caught.value.seen, caught.value.allowed) == (
        "99",
        str(SCHEMA),
    ) and "that wrote it" in caught.value.next_step
    assert tables(tmp_path / "fleet.db") == before, "what a newer version keeps is not touched"


def tables(path):
    import sqlite3

    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def read_only(store):
    """What a disk that has become read-only does: SQLite refuses to write with the same words."""
    from sqlalchemy import event

    engine = store._database._engine
    engine.dispose()
    event.listen(engine, "connect", lambda connection, record: connection.execute("PRAGMA query_only=ON"))


def test_a_file_that_became_read_only_is_said_and_still_read(tmp_path):
    with Store(f"sqlite:///{tmp_path / 'fleet.db'}") as store:
        person = enrol(store, Person("a"))
        read_only(store)
        with pytest.raises(OutputError, match="cannot be written") as caught:
            take_up(store, person, 1)
        assert "readonly database" in caught.value.seen and "whose the file" in caught.value.next_step
        assert [each.device for each in store.devices()] == ["a"], "what is there can still be looked at"


def test_a_file_that_belongs_to_somebody_else_is_said(tmp_path, monkeypatch):
    def refuse(path, flags, mode=0o777):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("toolchain.fleet.store.database.os.open", refuse)  # a test may run as root, who may do anything
    with pytest.raises(OutputError, match="cannot be written") as caught:
        Store(f"sqlite:///{tmp_path / 'fleet.db'}")
    assert caught.value.seen == "Permission denied"


def test_a_file_that_is_no_database_is_said(tmp_path):
    (tmp_path / "fleet.db").write_bytes(b"not a database" * 100)
    with pytest.raises((OutputError, UnreachableError), match="database"):
        Store(f"sqlite:///{tmp_path / 'fleet.db'}")
