"""The signed repository, seen by python-tuf's own client."""

import datetime
import os
import shutil
import time

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, TargetFile

from profiles.errors import ConfigError, OutputError, VerificationError
from tests.toolchain.fleet.fleet_homes import Client, a_plan, a_release, client_of, make_fleet, passphrase
from toolchain.fleet.documents import strict
from toolchain.fleet.home import open_home
from toolchain.fleet.trust import journal
from toolchain.fleet.trust import writing as module
from toolchain.fleet.trust.pruning import KEEP
from toolchain.fleet.trust.repository import Repository


@pytest.fixture
def fleet(tmp_path):
    return make_fleet(tmp_path / "home")


@pytest.fixture
def server(fleet):
    """The same repository for a program that has online keys only."""
    return Repository(open_home(fleet.home.folder))


@pytest.fixture
def device(fleet, tmp_path):
    return client_of(fleet, tmp_path / "device")


def test_a_device_finds_what_was_signed(fleet, server, device):
    assert device.release() is None and device.plan() is None
    fleet.add_release(a_release(title="first «ü»"))
    server.set_plan(a_plan())
    assert device.release() == a_release(title="first «ü»") == server.release("cam", 1)
    assert device.plan() == a_plan() == server.plan("cam", "stable")
    assert (server.versions("cam"), server.versions("other"), server.plans()) == ([1], [], [a_plan()])


def test_products_and_channels_do_not_mix(fleet):
    for product in ("cam", "cam2", "c"):
        fleet.add_release(a_release(product=product, version=7))
    fleet.set_plan(a_plan(release=7, product="cam2", channel="beta"))
    assert [fleet.versions(product) for product in ("cam", "cam2", "c", "ca")] == [[7], [7], [7], []]
    assert fleet.plan("cam", "beta") is None and fleet.plan("cam2", "beta") is not None


def test_a_release_needs_an_offline_key(server):
    with pytest.raises(ConfigError, match="offline"):
        server.add_release(a_release())
    assert server.versions("cam") == []


def test_versions_only_grow(fleet):
    fleet.add_release(a_release(3))
    for version in (1, 3):
        with pytest.raises(ConfigError, match=f"wanted to add version {version}") as caught:
            fleet.add_release(a_release(version))
        assert caught.value.allowed.startswith("4 or more")
    assert fleet.add_release_after(a_release(4), newest=2) is False
    assert fleet.add_release_after(a_release(4), newest=3) is True
    assert fleet.versions("cam") == [3, 4]


def test_sequences_only_grow(fleet, server):
    fleet.add_release(a_release())
    server.set_plan(a_plan(5))
    for sequence in (4, 5):
        with pytest.raises(ConfigError, match="plan 5 is there"):
            server.set_plan(a_plan(sequence))
    server.set_plan(a_plan(6, state="paused"))
    assert server.plan("cam", "stable").state == "paused"


def test_a_plan_needs_its_release(fleet):
    with pytest.raises(ConfigError, match="wanted version 1 of cam") as caught:
        fleet.set_plan(a_plan())
    assert caught.value.allowed == "none was published"


def test_the_online_key_of_rollouts_can_sign_no_release(fleet, server, device):
    """Whoever has all online keys forges a release with them; devices do not find it."""
    forged = strict.to_bytes(a_release(9))
    info = TargetFile.from_data("releases/cam/9.json", forged, ["sha256"])
    with server.writing() as draft:
        draft.targets("rollouts").targets["releases/cam/9.json"] = info
    place = fleet.home.repository / "targets" / info.get_prefixed_paths()[0]
    place.parent.mkdir(parents=True)
    place.write_bytes(forged)
    assert device.release(9) is None


NAMES = ["timestamp.json", "2.snapshot.json", "1.targets.json", "2.releases.json", "1.rollouts.json"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("harm", ["changed", "gone", "no json", "unsigned"])
def test_nothing_is_signed_on_top_of_what_was_tampered_with(fleet, name, harm):
    fleet.add_release(a_release())
    path = fleet.home.repository / "metadata" / name
    text = path.read_bytes()
    changed = {"changed": text.replace(b'"expires":"20', b'"expires":"30'), "no json": b"{", "gone": b""}
    unsigned = Metadata.from_bytes(text)
    unsigned.signatures.clear()
    path.write_bytes({**changed, "unsigned": unsigned.to_bytes()}[harm])
    if harm == "gone":
        path.unlink()
    assert harm == "gone" or path.read_bytes() != text, "the test must change something"
    for act in (fleet.refresh, lambda: fleet.add_release(a_release(2)), lambda: fleet.versions("cam")):
        with pytest.raises(VerificationError):
            act()


def test_a_release_put_there_by_a_stranger_is_not_signed_anew(fleet):
    """A web server that was broken into replaces every file that leads to a release, with keys of its own."""
    fleet.add_release(a_release())
    folder, stranger = fleet.home.repository / "metadata", CryptoSigner.generate_ed25519()
    releases = Metadata.from_file(str(folder / "2.releases.json"))
    releases.signed.targets["releases/cam/2.json"] = TargetFile.from_data("releases/cam/2.json", b"evil", ["sha256"])
    releases.sign(stranger)
    snapshot = Metadata.from_file(str(folder / "2.snapshot.json"))
    snapshot.signed.meta["releases.json"] = MetaFile.from_data(2, releases.to_bytes(), ["sha256"])
    snapshot.sign(stranger)
    timestamp = Metadata.from_file(str(folder / "timestamp.json"))
    timestamp.signed.snapshot_meta = MetaFile.from_data(2, snapshot.to_bytes(), ["sha256"])
    timestamp.sign(stranger)
    for name, metadata in (("2.releases", releases), ("2.snapshot", snapshot), ("timestamp", timestamp)):
        metadata.to_file(str(folder / f"{name}.json"))
    with pytest.raises(VerificationError, match="not signed by this fleet"):
        fleet.refresh()


def test_a_root_that_only_signs_itself_is_refused(fleet):
    """The stranger's root leaves all else as it is: nothing but the old root's missing word speaks against it."""
    stranger = CryptoSigner.generate_ed25519()
    root = Metadata.from_bytes(fleet.home.root_metadata())
    root.signed.version = 2
    root.signed.add_key(stranger.public_key, "root")
    root.signed.roles["root"].threshold = 1
    root.sign(stranger)
    root.signed.verify_delegate("root", root.signed_bytes, root.signatures)
    root.to_file(str(fleet.home.repository / "metadata" / "2.root.json"))
    with pytest.raises(VerificationError, match="root was signed by 0/2 keys"):
        fleet.refresh()


def test_what_the_right_key_signed_elsewhere_does_not_mix_in(fleet, tmp_path):
    """Two states of one version, as two copies of the home would make them: the snapshot says which one is meant."""
    shutil.copytree(fleet.home.folder, tmp_path / "copy")
    other = Repository(open_home(tmp_path / "copy"), passphrase)
    fleet.add_release(a_release(title="ours"))
    other.add_release(a_release(title="theirs"))
    name = "repository/metadata/2.releases.json"
    shutil.copy(tmp_path / "copy" / name, fleet.home.folder / name)
    with pytest.raises(VerificationError, match="LengthOrHashMismatchError"):
        fleet.refresh()


def test_a_root_of_a_stranger_is_refused(fleet):
    root = Metadata.from_bytes(fleet.home.root_metadata())
    root.signed.version = 2
    root.sign(CryptoSigner.generate_ed25519())
    root.to_file(str(fleet.home.repository / "metadata" / "2.root.json"))
    with pytest.raises(VerificationError):
        fleet.refresh()


def test_a_repository_that_was_set_back_is_noticed(fleet, tmp_path):
    fleet.add_release(a_release(1))
    shutil.copytree(fleet.home.repository, tmp_path / "old")
    fleet.add_release(a_release(2))
    shutil.rmtree(fleet.home.repository)
    shutil.copytree(tmp_path / "old", fleet.home.repository)
    with pytest.raises(VerificationError, match="set back") as caught:
        fleet.add_release(a_release(3))
    assert "seen.json" in caught.value.next_step


def test_target_files_are_checked_when_they_are_read(fleet):
    fleet.add_release(a_release())
    path = next((fleet.home.repository / "targets").rglob("*.1.json"))
    path.write_bytes(path.read_bytes().replace(b'"t"', b'"u"'))
    with pytest.raises(VerificationError, match="not what was signed"):
        fleet.release("cam", 1)


def test_refresh_does_nothing_until_half_of_the_time_is_over(fleet, server, monkeypatch):
    def versions():
        return {role: each.signed.version for role, each in server.state().roles.items()}

    before = versions()
    server.refresh()
    assert versions() == before, "nothing is near its end"
    _later(monkeypatch, days=1.1)
    server.refresh()
    assert versions() == before | {"timestamp": 2}, "the timestamp is good for two days"
    _later(monkeypatch, days=4)
    server.refresh()
    assert versions() == before | {"timestamp": 3, "snapshot": 2}
    _later(monkeypatch, days=16)
    server.refresh()
    assert versions() == before | {"timestamp": 4, "snapshot": 3, "rollouts": 2}


def _later(monkeypatch, days):
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    monkeypatch.setattr(module, "now", lambda: now.replace(microsecond=0))


def test_what_expired_can_be_renewed(fleet, monkeypatch, tmp_path):
    """All signatures end; the fleet is opened a year later, and devices take it up again."""
    _later(monkeypatch, days=-3650)
    fleet.renew(list(fleet.home.settings.roles.model_fields))
    device = Client(tmp_path / "device", fleet.home.repository, fleet.home.root_metadata())
    with pytest.raises(Exception, match="expired"):
        device.updater()
    assert {row.role for row in fleet.roles() if row.expired} == set(fleet.home.settings.roles.model_fields)
    monkeypatch.undo()
    Repository(open_home(fleet.home.folder), passphrase).renew(["root", "targets", "releases"])
    Repository(open_home(fleet.home.folder)).refresh()
    device.updater()
    assert not any(row.expired for row in fleet.roles())


def test_replaced_metadata_goes_after_a_day(fleet, server, device):
    fleet.add_release(a_release())
    for sequence in range(1, 6):
        server.set_plan(a_plan(sequence))
    folder = fleet.home.repository
    before = set(folder.rglob("*.json"))
    server.refresh()
    assert set(folder.rglob("*.json")) == before, "devices may be reading them"
    for path in before:
        os.utime(path, (time.time() - KEEP - 60,) * 2)
    server.refresh()
    left = sorted(path.name.partition(".json")[0] for path in (folder / "metadata").iterdir())
    assert left == ["1.root", "1.targets", "2.releases", "6.rollouts", "7.snapshot", "timestamp"]
    assert len(list((folder / "targets" / "rollouts").rglob("*.json"))) == 1
    assert device.release() == a_release() and device.plan().sequence == 5


def test_another_writer_is_waited_for_and_then_named(fleet, monkeypatch):
    other = Repository(open_home(fleet.home.folder), passphrase)
    other._lock.timeout = 0.1
    with fleet.locked(), pytest.raises(ConfigError, match="another process is writing"):
        other.add_release(a_release())
    other.add_release(a_release())


def test_a_home_that_cannot_be_written_can_still_be_read(fleet, monkeypatch):
    fleet.add_release(a_release())

    def refuse(*given, **named):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(type(fleet._lock), "_acquire", refuse)
    with pytest.raises(OutputError, match="cannot write") as caught:
        fleet.refresh()
    assert caught.value.seen == "Read-only file system"
    assert fleet.versions("cam") == [1]


def test_roles_are_told(fleet):
    rows = fleet.roles()
    assert [(row.role, row.threshold, row.where) for row in rows] == [
        *[("root", 2, "offline")] * 3,
        ("targets", 1, "offline"),
        ("snapshot", 1, "online"),
        ("timestamp", 1, "online"),
        ("releases", 1, "offline"),
        ("rollouts", 1, "online"),
    ]
    fleet.keys.path(rows[0].uri).unlink()
    assert fleet.roles()[0].where == "away"


def test_what_is_signed_has_lengths_and_hashes(fleet, server):
    """So that a device stops reading in time whatever a server sends."""
    fleet.add_release(a_release())
    state = server.state()
    metas = [state.timestamp.snapshot_meta, *state.snapshot.meta.values()]
    assert all(meta.length and set(meta.hashes) == {"sha256"} for meta in metas)
    assert set(state.snapshot.meta) == {"targets.json", "releases.json", "rollouts.json"}
    assert state.root.consistent_snapshot and state.targets().targets == {}


def test_what_was_just_replaced_stays_however_old_it_is(fleet, server):
    fleet.add_release(a_release())
    server.set_plan(a_plan(1))
    folder = fleet.home.repository
    for path in folder.rglob("*.json"):
        os.utime(path, (time.time() - KEEP - 60,) * 2)
    server.refresh()
    before = set(folder.rglob("*.json"))
    server.set_plan(a_plan(2))
    server.refresh()
    assert before <= set(folder.rglob("*.json")), "a device may be in the middle of reading the generation before"


def test_ends_of_offline_signatures_are_told_in_time(fleet, server, monkeypatch, caplog):
    server.refresh()
    assert not caplog.records
    _later(monkeypatch, days=-330)
    fleet.renew(["targets"])
    monkeypatch.undo()
    server.refresh()
    assert [record.getMessage() for record in caplog.records] == [
        "targets ends within 35 days: edgewright fleet keys renew targets"
    ]
    assert {row.role for row in fleet.roles() if row.ends_soon} == {"targets"}


def test_settings_and_journal_are_for_the_owner_only(fleet, monkeypatch):
    settings, written = fleet.home.folder / "fleet.toml", fleet.home.folder / "journal.json"
    assert settings.stat().st_mode & 0o777 == 0o600
    settings.chmod(0o644)
    modes = []
    replay = journal.replay

    def looked_at(home):
        if written.exists():
            modes.append(written.stat().st_mode & 0o777)
        return replay(home)

    monkeypatch.setattr(journal, "replay", looked_at)
    fleet.rotate("timestamp")
    assert settings.stat().st_mode & 0o777 == 0o600 and modes == [0o600]
    assert (fleet.home.repository / "metadata" / "timestamp.json").stat().st_mode & 0o044, "a web server reads it"
