"""``edgewright fleet init``, ``publish`` and ``keys``, as a user types them."""

import datetime
import json
import stat

import pytest

from tests.toolchain.fleet.fleet_homes import PASSPHRASE, Client, make_bundle
from toolchain.fleet.home import open_home
from toolchain.fleet.trust.passphrases import VARIABLE
from toolchain.fleet.trust.repository import Repository


@pytest.fixture
def fleet(cli, here, monkeypatch):
    """``fleet("publish", …)`` in a folder where ``init`` was."""
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    cli("fleet", "init").fine()

    def run(*words):
        return cli("fleet", *words)

    return run


def test_init_says_what_is_next(cli, here, monkeypatch):
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    told = cli(
        "fleet", "--home", "mine", "init", "--url", "https://files.example", "--checkin", "https://api.example"
    ).fine()
    assert f"serve this folder: {here / 'mine' / 'repository'}" in told.out
    assert "root, targets, releases" in told.out and "root.json" in told.out
    assert PASSPHRASE not in told.out + told.err
    home = open_home("mine")
    assert (
        home.settings.server.url == "https://files.example/" and home.settings.server.checkin == "https://api.example/"
    )


def test_init_with_other_thresholds(cli, here, monkeypatch):
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    cli("fleet", "init", "--keys", "root=3/5", "--keys", "releases=2/2").fine()
    found = Repository(open_home("fleet")).roles()
    assert [(row.role, row.threshold) for row in found if row.role in ("root", "releases")] == [
        *[("root", 3)] * 5,
        *[("releases", 2)] * 2,
    ]
    cli("fleet", "publish", make_bundle(here / "b"), "--product", "cam").fine()
    home = open_home("fleet")
    assert Client(here / "device", home.repository, home.root_metadata()).release() is not None
    next(home.keys.glob("releases-*")).unlink()
    refusal = cli("fleet", "publish", here / "b", "--product", "cam", "--quiet").refused(2)
    assert refusal.wanted == "wanted 2 of 2 keys to sign for releases"


def test_init_does_not_overwrite(fleet, here, untouched):
    check = untouched(here)
    refusal = fleet("init").refused(2)
    assert refusal.seen == "something is there already"
    check()


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (("init", "--url", "files.example"), "url is no address"),
        (("init", "--external", "rot", "hsm:1", "key.pem"), "rot"),
        (("init", "--external", "root", "hsm:1", "missing.pem"), "missing.pem"),
        (("init", "--external", "root", "hsm:1", "key.pem"), "key"),
        (("init", "--passphrase-file", "missing"), "missing"),
        (("init", "--keys", "root=3"), "not like root=2/3"),
        (("init", "--keys", "root=3/2"), "3 of 2 must sign"),
        (("init", "--keys", "root=0/2"), "0 of 2 must sign"),
        (("init", "--keys", "roto=1/2"), "roto"),
        (("init", "--passphrase", PASSPHRASE), "--passphrase"),
    ],
)
def test_what_init_refuses(cli, here, monkeypatch, words, seen):
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    (here / "key.pem").write_text("no key")
    told = cli("fleet", *words)
    refusal_of(told, 2)
    assert seen in told.err and not (here / "fleet").exists()


def test_without_a_passphrase_there_is_no_fleet(cli, here, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    refusal = cli("fleet", "init").refused(2)
    assert VARIABLE in refusal.allowed and "--passphrase-file" in refusal.allowed
    assert not list(here.iterdir())


def test_publish_tells_what_devices_will_fetch(fleet, here):
    bundle = make_bundle(here / "b", files={"model.bin": bytes(range(256)) * 100})
    first = fleet("publish", bundle, "--product", "cam", "--title", "first", "--budget", "latency=20 ms").fine()
    assert "cam version 1: first" in first.out and "rollout start --product cam" in first.out
    told = json.loads(fleet("publish", bundle, "--product", "cam", "--quiet", "--json").fine().out)
    assert told["version"] == 2 and told["title"] == "cam"
    assert [(row["base"], row["fetch"] == 0) for row in told["savings"]] == [(0, False), (1, True)]
    release = Repository(open_home("fleet")).release("cam", 1)
    assert [(limit.metric, limit.most) for limit in release.bundles[0].budget] == [("latency_p50", 0.02)]


def test_an_older_release_comes_back(fleet, here):
    for name in "ab":
        fleet("publish", make_bundle(here / name, files={"m": name.encode()}), "--product", "cam").fine()
    assert "cam version 3: mine" in fleet("publish", "--repeat", 1, "--product", "cam", "--title", "mine").fine().out
    assert Repository(open_home("fleet")).release("cam", 3).repeats == 1
    fleet("publish", "--repeat", 9, "--product", "cam").refused(2)
    fleet("publish", here / "a", "--repeat", 1, "--product", "cam").refused(2)


def test_publish_to_a_channel_begins_a_rollout(fleet, here, tmp_path):
    bundle = make_bundle(here / "b")
    words = ("--product", "cam", "--channel", "beta", "--wave", "canary=5%", "--wave", "all=100%")
    told = fleet("publish", bundle, *words).fine().out
    assert "cam/beta: version 1, waves: canary, all" in told
    home = open_home("fleet")
    plan = Client(tmp_path / "device", home.repository, home.root_metadata()).plan(channel="beta")
    assert (plan.release, [wave.percent for wave in plan.waves]) == (1, [5, 100])
    refused = fleet("publish", bundle, "--product", "cam", "--channel", "beta", "--wave", "canary").refused(2)
    assert refused and Repository(home).versions("cam") == [1], "nothing is signed for a rollout that makes no sense"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("publish", "nowhere", "--product", "cam"), 2),
        (("publish", "--product", "cam"), 2),
        (("publish", "b"), 2),
        (("publish", "b", "--product", "Cam!"), 2),
        (("publish", "b", "--product", "cam", "--budget", "speed=3"), 2),
        (("publish", "b", "--product", "cam", "--prodct", "x"), 2),
        (("publish", "damaged", "--product", "cam"), 6),
        (("--home", "elsewhere", "publish", "b", "--product", "cam"), 2),
        (("keys", "rotate", "roto"), 2),
        (("keys", "revoke", "12345678"), 2),
        (("keys", "add", "root", "hsm:1", "missing.pem"), 2),
        (("keys", "burn"), 2),
        (("keys",), 2),
        (("burn",), 2),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else str(value),
)
def test_what_is_refused(fleet, here, words, status, untouched):
    make_bundle(here / "b")
    (make_bundle(here / "damaged") / "model.bin").write_bytes(b"other")
    check = untouched(here / "fleet" / "keys")
    refusal_of(fleet(*words), status)
    assert Repository(open_home("fleet")).versions("cam") == []
    check()


def refusal_of(outcome, status):
    """What is missing altogether is told without a "seen"."""
    assert outcome.status == status and "Traceback" not in outcome.err and not outcome.out, outcome.err
    assert outcome.err.count("edgewright: ") == 1
    assert "allowed:" in outcome.err or "next:" in outcome.err, outcome.err


def test_a_wrong_passphrase(fleet, here, monkeypatch):
    monkeypatch.setenv(VARIABLE, "wrong but long enough")
    refusal = fleet("publish", make_bundle(here / "b"), "--product", "cam", "--quiet").refused(2)
    assert "passphrase" in refusal.seen and "wrong but long" not in str(refusal)
    debugged = fleet("--debug", "publish", here / "b", "--product", "cam", "--quiet")
    assert debugged.status == 2 and "Traceback" in debugged.err and "wrong but long" not in debugged.err


def test_a_passphrase_file(fleet, here, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    (here / "secret").write_text(PASSPHRASE + "\n")
    (here / "secret").chmod(0o600)
    fleet("publish", make_bundle(here / "b"), "--product", "cam", "--passphrase-file", "secret").fine()
    fleet("keys", "rotate", "root", "--passphrase-file", "secret").fine()
    (here / "secret").chmod(0o640)
    assert fleet("keys", "rotate", "root", "--passphrase-file", "secret").refused(2).seen == "mode 0640"


def rows(fleet):
    return json.loads(fleet("keys", "list", "--json").fine().out)


def test_keys_are_listed_replaced_and_revoked(fleet, here):
    before = rows(fleet)
    assert [row["role"] for row in before].count("root") == 3
    table = fleet("keys", "list").fine().out
    assert all(row["keyid"][:8] in table and row["expires"] in table for row in before) and "offline" in table
    assert "root, timestamp" in fleet("keys", "rotate", "root", "timestamp").fine().out
    after = rows(fleet)
    same = {row["keyid"] for row in before} & {row["keyid"] for row in after}
    assert len(same) == 4, "targets, snapshot, releases and rollouts have their keys still"
    victim = after[0]["keyid"]
    assert victim[:8] in fleet("keys", "revoke", victim[:10]).fine().out
    last = rows(fleet)
    assert victim not in {row["keyid"] for row in last} and len(last) == len(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (here / "fleet" / "keys").glob("*.pem")}
    assert modes == {0o600}


def test_keys_are_renewed(fleet):
    versions = {row["role"]: row["version"] for row in rows(fleet)}
    assert "snapshot, timestamp, rollouts" in fleet("keys", "renew").fine().out
    fleet("keys", "renew", "root", "targets").fine()
    after = {row["role"]: row["version"] for row in rows(fleet)}
    assert after == versions | {"root": 2, "targets": 2, "snapshot": 3, "timestamp": 3, "rollouts": 2}


def test_listing_needs_no_passphrase(fleet, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    assert rows(fleet)
    fleet("keys", "renew").fine()
    assert fleet("keys", "renew", "root").refused(2).seen == "none was given"


def test_a_repository_that_was_tampered_with(fleet, here):
    path = here / "fleet" / "repository" / "metadata" / "1.releases.json"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    for words in (("keys", "list"), ("publish", make_bundle(here / "b"), "--product", "cam", "--quiet")):
        assert "not whole" in fleet(*words).refused(6).wanted


def test_help_names_every_command(cli):
    told = cli("fleet", "--help")
    assert told.status == 0
    for name in ("init", "publish", "keys"):
        assert name in told.out
        assert cli("fleet", name, "--help").status == 0


def test_init_takes_no_password_from_its_arguments(cli, here, monkeypatch):
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    for url in ("postgresql+psycopg://u:hush@h/d", "postgresql+psycopg://h/d?user=u&password=hush"):
        outcome = cli("fleet", "init", "--database", url)
        assert outcome.status == 2 and "hush" not in outcome.err
        assert "PGPASSFILE" in outcome.err and "fleet.toml" in outcome.err
    assert not (here / "fleet").exists()
    cli("fleet", "init", "--database", "postgresql+psycopg://u@h:5432/d").fine()


def test_a_rollout_that_cannot_begin_is_refused_before_the_release_is_signed(fleet, here):
    bundle = make_bundle(here / "b")
    for wrong in (("--wave", "canary=5"), ("--approve-before", "nobody"), ("--most-slower", "nan")):
        words = ("publish", bundle, "--product", "cam", "--channel", "beta", "--quiet", *wrong)
        assert fleet(*words).status == 2
    assert Repository(open_home("fleet")).versions("cam") == []


def test_renew_says_what_is_still_expired(fleet, monkeypatch):
    from toolchain.fleet.trust import writing as module

    now = module.now()
    monkeypatch.setattr(module, "now", lambda: now - datetime.timedelta(days=364, hours=12))
    fleet("keys", "renew", "root").fine()
    monkeypatch.setattr(module, "now", lambda: now - datetime.timedelta(days=3650))
    fleet("keys", "renew", "targets").fine()
    monkeypatch.setattr(module, "now", lambda: now)
    assert "targets has expired, devices refuse it" in fleet("keys", "renew").fine().out
    assert "root ends within 1 day: edgewright fleet keys renew root" in fleet("keys", "list").fine().out
