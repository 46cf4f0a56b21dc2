"""Attacks on updates, each against the whole agent: what runs must stay, whole, and the message must say what it was.

Names are those of the TUF specification (1.5.2) and of Uptane (Deployment Considerations).
"""

import datetime
import hashlib
import json
import shutil
import time

import pytest
import zstandard

from tests.toolchain.fleet.agent.fleet_device import Device, contents, packed, plan_of, release_of, ship, tree
from tests.toolchain.fleet.agent.fleet_repository import Mirror, in_days
from tests.toolchain.fleet.agent.fleet_web import Web, dripping, endless, slow_chunks, slow_head
from toolchain.fleet.documents.release import File
from toolchain.fleet.documents.strict import to_bytes


def holds(device, code, *words, runs=1):
    """A round ends with this code and these words, and what ran runs on, untouched."""
    slot = (device.folder / "current").resolve()
    before = tree(slot) if runs else {}
    text = device.once(code)
    assert device.running() == runs, f"another release runs now: {text}"
    assert (tree(slot) if runs else {}) == before, "what runs was touched"
    for word in words:
        assert word in text, f"'{word}' is missing in: {text}"
    return text


def test_arbitrary_installation(mirror, device, first, tmp_path):
    """Somebody in between serves a repository of their own, signed by keys of their own."""
    other = Mirror(tmp_path / "other")
    for version in (1, 2):
        ship(other, version)
    shutil.copytree(other.folder, mirror.folder, dirs_exist_ok=True)
    holds(device, 6, "not to be trusted", "timestamp")


def test_arbitrary_installation_on_a_new_device(mirror, tmp_path):
    other = Mirror(tmp_path / "other")
    ship(other, 1)
    web = Web(other.folder)
    try:
        device = Device(tmp_path / "device", web.url, mirror.first_root())
        holds(device, 6, "not to be trusted", runs=0)
    finally:
        web.close()


def test_arbitrary_installation_by_other_content_under_the_right_name(mirror, device, first):
    files = ship(mirror, 2)
    blob = mirror.blob(files["bundle/weights.bin"])
    (mirror.folder / blob.url_path).write_bytes(b"evil" + files["bundle/weights.bin"][4:])
    holds(device, 6, "must be what the release says", "another SHA-256")
    assert device.state.attempt.reason == "files"
    mirror.blob(files["bundle/weights.bin"])
    device.once()
    assert device.running() == 2, "a sound mirror helps at once"


def test_rollback(mirror, device, first):
    """Old metadata, once right, is served again."""
    old = {path: (mirror.folder / path).read_bytes() for path in ("metadata/timestamp.json",)}
    ship(mirror, 2)
    device.once()
    for path, content in old.items():
        mirror.put(path, content)
    holds(device, 6, "version", runs=2)


@pytest.mark.parametrize("lost", ["state", "metadata"])
def test_rollback_after_one_memory_was_lost(mirror, device, first, lost):
    """The floors in the state and python-tuf's metadata each refuse old metadata alone."""
    old = (mirror.folder / "metadata/timestamp.json").read_bytes()
    ship(mirror, 2)
    device.once()
    if lost == "metadata":
        shutil.rmtree(device.folder / "metadata")
    else:
        for name in ("state.json", "state.json.bak"):
            (device.folder / name).unlink()
    mirror.put("metadata/timestamp.json", old)
    holds(device, 6, "rollback" if lost == "metadata" else "version", runs=2)


def test_rollback_by_a_plan_with_a_smaller_sequence(mirror, device, first):
    """The online key of rollouts is stolen: it signs what it likes, but not backwards."""
    ship(mirror, 2, sequence=5)
    device.once()
    mirror.plan(plan_of(2, sequence=4))
    holds(device, 6, "sequence must not fall", "5 or more", runs=2)
    mirror.plan(plan_of(1, sequence=6))
    holds(device, 0, runs=2)


def test_rollback_by_a_plan_after_the_state_was_lost(mirror, device, first):
    ship(mirror, 2, sequence=5)
    device.once()
    for name in ("state.json", "state.json.bak"):
        (device.folder / name).write_bytes(b"{")
    mirror.plan(plan_of(1, sequence=4))
    text = holds(device, 6, "5 or more", runs=2)
    assert "the slots say that version 2 runs" in text
    assert device.state.running == 2


@pytest.mark.parametrize("rotated", [("snapshot", "timestamp"), ("snapshot",), ("timestamp",)], ids="-".join)
def test_fast_forward(mirror, device, first, rotated):
    """With stolen online keys all versions are set so high that nothing could follow; rotated keys bring it back."""
    honest = {role: (mirror.docs[role].version, dict(mirror.docs[role].targets)) for role in ("rollouts",)}
    versions = {role: mirror.docs[role].version for role in ("snapshot", "timestamp")}
    for role in ("rollouts", "snapshot", "timestamp"):
        mirror.docs[role].version = (1 << 31) - 10
    mirror.plan(plan_of(1, sequence=1 << 52))
    holds(device, 0)
    assert device.state.floors["sequence"] == 1 << 52
    for role in (*rotated, "rollouts"):
        mirror.keys[role] = mirror.new_keys(role)
    for role in ("snapshot", "timestamp"):
        mirror.grant(role)
        mirror.docs[role].version = versions[role]
    mirror.new_root()
    mirror.docs["rollouts"].version, mirror.docs["rollouts"].targets = honest["rollouts"]
    mirror.delegate()
    mirror.sign("targets", "rollouts")
    ship(mirror, 2, sequence=7)
    text = device.once()
    assert device.running() == 2, f"the device did not come back after the rotation: {text}"
    assert device.state.floors["sequence"] == 7


def test_indefinite_freeze(mirror, device, first):
    """A mirror that never shows anything new: its timestamp expires."""
    mirror.docs["timestamp"].expires = in_days(-1)
    mirror.sign_timestamp()
    holds(device, 6, "has expired", "timestamp.json", "clock")


def test_indefinite_freeze_of_a_clock_that_stands(mirror, device, first, monkeypatch):
    """Expiry says nothing to a clock that is far in the past."""
    ship(mirror, 2)
    past = time.time() - 400 * 86400
    monkeypatch.setattr(time, "time", lambda: past)
    holds(device, 2, "clock", "NTP")
    monkeypatch.undo()
    device.once()
    assert device.running() == 2


def test_a_clock_far_in_the_future(mirror, device, first, monkeypatch):
    """Everything has expired for it; what runs goes on."""
    ship(mirror, 2)

    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime(2060, 1, 1, tzinfo=tz)

    monkeypatch.setattr("tuf.ngclient._internal.trusted_metadata_set.datetime.datetime", Later)
    holds(device, 6, "has expired", "clock")


def test_mix_and_match(mirror, device, first):
    """Metadata that was right at another time each: an old plan beside a new snapshot."""
    old = (mirror.folder / f"metadata/{mirror.docs['rollouts'].version}.rollouts.json").read_bytes()
    ship(mirror, 2)
    mirror.put(f"metadata/{mirror.docs['rollouts'].version}.rollouts.json", old)
    holds(device, 6, "not to be trusted")


def test_mix_and_match_of_targets(mirror, device, first):
    """The plan of one channel under the name of another."""
    ship(mirror, 2)
    path = "rollouts/doorbell/stable.json"
    other = to_bytes(plan_of(2, sequence=9)).replace(b'"stable"', b'"canary"')
    mirror.target("rollouts", path, other)
    mirror.sign("rollouts")
    holds(device, 6, "for this product and channel", "canary")


@pytest.mark.parametrize("word", ["timestamp.json", "snapshot.json", "rollouts.json", "2.root.json"])
def test_endless_data_in_metadata(mirror, device, first, web, word):
    ship(mirror, 2)
    web.faults[word] = endless
    holds(device, 6, "has no end")


@pytest.mark.parametrize("word", ["blobs/", "targets/releases"])
def test_endless_data_in_targets_and_files(mirror, device, first, web, word):
    ship(mirror, 2)
    web.faults[word] = endless
    holds(device, 6, "has no end")
    kept = sum(path.stat().st_size for path in (device.folder / "partial").glob("*"))
    assert kept < 1 << 17, f"{kept} bytes of endless data were kept"


@pytest.mark.parametrize("fault", [dripping, slow_head, slow_chunks])
@pytest.mark.parametrize("word", ["timestamp.json", "blobs/"])
def test_slow_retrieval(mirror, device, first, web, fault, word):
    device.configure(limits={"patience": 0.3, "bytes_per_second_min": 5000.0, "total_seconds": 3.0})
    ship(mirror, 2)
    web.faults[word] = fault
    since = time.monotonic()
    words = {dripping: "bytes a second", slow_head: "no answer in time", slow_chunks: "takes too long"}
    holds(device, 7, "takes too long", words[fault])
    assert time.monotonic() - since < 10, "the agent waited for a server that wastes its time"


def test_slow_retrieval_that_keeps_the_rate_ends_with_the_total_time(mirror, device, first, web):
    device.configure(limits={"patience": 0.5, "bytes_per_second_min": 1.0, "total_seconds": 1.0})
    ship(mirror, 2)
    web.faults["blobs/"] = dripping
    since = time.monotonic()
    holds(device, 7, "takes too long")
    assert time.monotonic() - since < 10


def test_malicious_mirror(mirror, device, first, tmp_path):
    """Any one file of the mirror is changed, cut short, or gone: version 1 or 2 runs whole, and nothing else."""
    ship(mirror, 2, old=first)
    kept = tmp_path / "kept"
    shutil.copytree(device.folder, kept, symlinks=True)
    newest = {f"metadata/{mirror.docs[role].version}.{role}.json" for role in ("snapshot", "releases", "rollouts")}
    files = sorted(
        path for path in mirror.folder.rglob("*")
        if path.is_file() and (path.parent.name != "metadata" or path.name == "timestamp.json"
                               or path.relative_to(mirror.folder).as_posix() in newest)
    )  # fmt: skip
    assert len(files) > 10
    for number, path in enumerate(files):
        content = path.read_bytes()
        damage = (content[:-1] + bytes([content[-1] ^ 1]), content[: len(content) // 2], None)[number % 3]
        path.unlink() if damage is None else path.write_bytes(damage)
        shutil.rmtree(device.folder)
        shutil.copytree(kept, device.folder, symlinks=True)
        code, text = device.call("run", "--once")
        seen = device.whole(1, 2)
        assert (code == 0) == (seen == 2), f"{path.name} was damaged; code {code}, version {seen} runs: {text}"
        path.write_bytes(content)


def test_malicious_mirror_that_redirects_elsewhere(mirror, device, first, web, tmp_path):
    ship(mirror, 2)
    other = Web(mirror.folder)
    try:
        web.faults["blobs/"] = lambda handler, path: handler.answer(302, b"", [("Location", f"{other.url}/{path}")])
        holds(device, 6, "must stay on the same server")
        assert not other.asked
        web.faults["blobs/"] = lambda handler, path: handler.answer(302, b"", [("Location", f"/{path}")])
        holds(device, 7, "too many redirects")
        web.faults["blobs/"] = lambda handler, path: (
            "moved" not in handler.path and handler.answer(302, b"", [("Location", f"/{path}?moved")]) is None
        )
        device.once()
        assert device.running() == 2, "redirects within the server are followed"
    finally:
        other.close()


def test_malicious_mirror_that_claims_to_revoke(mirror, device, first, web):
    """Only the check-in may refuse a device: a mirror that says the same is a mirror without the file."""
    ship(mirror, 2)
    words = b'{"wanted": "this device was revoked"}'
    for path in ("blobs/", "metadata/timestamp.json"):
        web.faults = {path: lambda handler, _: handler.answer(403, words, [])}
        holds(device, 7, "this device was revoked" if path.startswith("metadata") else "of the release")
    web.faults = {}
    device.once()
    assert device.running() == 2, "it goes on when the mirror is sound again"


def test_key_compromise_below_threshold_of_root(mirror, device, first):
    """One of three root keys is stolen, two must sign: a root of the thief's own is refused."""
    thief = mirror.new_keys("timestamp")
    stolen, honest = mirror.keys["root"][0], mirror.keys["root"]
    mirror.root.add_key(thief[0].public_key, "timestamp")
    mirror.keys["root"] = [stolen]
    mirror.new_root()
    mirror.keys["root"] = honest
    holds(device, 6, "not to be trusted", "root was signed by 1/2 keys")


def test_key_compromise_below_threshold_of_releases(tmp_path):
    """Releases need both of two keys; one is stolen, together with all online keys."""
    mirror = Mirror(tmp_path / "mirror", {"releases": 2})
    web = Web(mirror.folder)
    try:
        device = Device(tmp_path / "device", web.url, mirror.first_root())
        ship(mirror, 1)
        device.once()
        mirror.release(release_of(2, packed(mirror, contents(2))), signers=mirror.keys["releases"][:1])
        mirror.plan(plan_of(2))
        holds(device, 6, "releases was signed by 1/2 keys")
    finally:
        web.close()


def test_key_compromise_of_rollouts_signs_no_releases(mirror, device, first):
    """Whoever has the online keys can move devices to what was released, and to nothing else."""
    release = release_of(2, packed(mirror, contents(2)))
    mirror.target("rollouts", release.target_path, to_bytes(release))
    mirror.plan(plan_of(2))
    holds(device, 6, "the repository has none under this number")


def test_expired_and_rotated_root(mirror, device, first):
    """A device that was off meanwhile goes from root to root, also over expired ones, each signed by the one before."""
    for expires in (in_days(-20), in_days(-10), in_days(300)):
        before = mirror.keys["root"]
        mirror.keys["root"] = mirror.new_keys("root")
        mirror.grant("root")
        mirror.new_root(extra=before, expires=expires)
    ship(mirror, 2)
    device.once()
    assert device.running() == 2
    mirror.new_root(expires=in_days(-1))
    holds(device, 6, "has expired", "root.json", runs=2)


def test_expired_and_rotated_root_that_leaves_out_a_version(mirror, device, first):
    before = mirror.keys["root"]
    mirror.keys["root"] = mirror.new_keys("root")
    mirror.grant("root")
    mirror.root.version += 1
    mirror.new_root(extra=before)
    (mirror.folder / "metadata/2.root.json").write_bytes((mirror.folder / "metadata/3.root.json").read_bytes())
    ship(mirror, 2)
    holds(device, 6, "Expected root version 2")


def test_partial_bundle(mirror, device, first):
    """A mirror lacks a file of the bundle."""
    files = ship(mirror, 2)
    blob = mirror.blob(files["bundle/weights.bin"])
    (mirror.folder / blob.url_path).unlink()
    holds(device, 7, "the mirror is incomplete")
    assert device.state.attempt.outcome == "underway", "the device must try again"
    mirror.blob(files["bundle/weights.bin"])
    device.once()
    assert device.running() == 2


def test_partial_bundle_that_is_signed(mirror, device, first):
    """The release leaves out a file that the bundle's manifest names, or names another manifest."""
    bundle = packed(mirror, contents(2))
    short = tuple(each for each in bundle.files if each.path != "bundle/golden.npz")
    for version, files, digest in ((2, short, bundle.digest), (3, bundle.files, hashlib.sha256(b"").hexdigest())):
        changed = type(bundle)(bundle.target, bundle.precision, digest, bundle.depends, files)
        mirror.release(release_of(version, changed))
        mirror.plan(plan_of(version))
        holds(device, 6, "golden.npz" if version == 2 else "digest")


@pytest.mark.parametrize(
    "name",
    [
        "../../evil",
        "/etc/evil",
        "bundle/../../evil",
        "bundle/./x",
        "bundle//x",
        "C:\\evil",
        "bundle/a\u0000b",
        "bundle/..",
    ],
)
def test_path_traversal(mirror, device, first, tmp_path, name):
    """A signed release whose file names lead out of its slot."""
    release = release_of(2, packed(mirror, contents(2)))
    data = json.loads(to_bytes(release))
    data["bundles"][0]["files"][0]["path"] = name
    mirror.target("releases", release.target_path, json.dumps(data).encode())
    mirror.sign("releases")
    mirror.plan(plan_of(2))
    holds(device, 6, "must be text" if "\0" in name else "is no path below a folder")
    assert not list(tmp_path.rglob("*evil*"))
    assert device.state.attempt.reason == "trust"


def test_path_traversal_by_links_on_the_disk(mirror, device, first, tmp_path):
    """Somebody left links where the agent will write; it writes beside them, never through them."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    files = ship(mirror, 2)
    blob = mirror.blob(files["bundle/weights.bin"])
    (device.folder / "partial").mkdir(exist_ok=True)
    (device.folder / "partial" / blob.sha256).symlink_to(victim)
    (device.folder / "slots" / "b.new").symlink_to(tmp_path)
    (device.folder / ".state.json.new").symlink_to(victim)
    device.once()
    assert device.running() == 2 and victim.read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["bomb", "garbage", "window", "other"])
def test_decompression_bomb_in_a_delta(mirror, device, first, kind):
    """A delta that grows without end, or is none: it is stopped at the promised size, and the whole file comes."""
    old, files = first["bundle/weights.bin"], contents(2)

    def patch(base, data):
        if kind == "garbage":
            return b"\x28\xb5\x2f\xfd" + bytes(range(200))
        parameters = zstandard.ZstdCompressionParameters(window_log=27 if kind == "window" else 18)
        body = bytes(200 << 20) if kind == "bomb" else data[:-1] + b"!" if kind == "other" else data
        compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        return compressor.compress(body) + compressor.flush()

    bundle = packed(mirror, files, old={"bundle/weights.bin": old}, patch=patch)
    assert any(isinstance(each, File) and each.deltas for each in bundle.files)
    mirror.release(release_of(2, bundle))
    mirror.plan(plan_of(2))
    device.once()
    assert device.running() == 2
    assert device.state.attempt.fetched > len(files["bundle/weights.bin"]), "the full file had to come"
