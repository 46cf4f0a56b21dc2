"""Bundles become releases: packed, checked, signed; devices get every byte of them."""

import dataclasses
import os
import re
import stat
import time
import zipfile

import numpy as np
import pytest

from profiles.errors import ConfigError, OutputError, VerificationError
from targets.artifact import load_artifact
from targets.files import write_json
from tests.toolchain.fleet.fleet_homes import DEVICE, a_release, client_of, make_bundle, make_fleet
from toolchain.fleet.documents.release import Blob, Limit
from toolchain.fleet.publish import publish, repeat
from toolchain.fleet.publish.blobs import Blobs
from toolchain.fleet.publish.publishing import publish as publish_quietly
from toolchain.fleet.publish.savings import savings
from toolchain.fleet.trust import repository as signing

OTHER = {**DEVICE, "name": "raspberry-pi-5", "cpu": {"arch": "aarch64", "features": ["neon"]}}


@pytest.fixture
def fleet(tmp_path):
    return make_fleet(tmp_path / "home")


@pytest.fixture
def put(fleet):
    """Publishes bundles of the product ``cam``."""

    def put(*bundles, **settings):
        return publish(fleet.home, fleet, bundles, **{"product": "cam", **settings})

    return put


def test_a_release_has_every_file_of_its_bundle(fleet, put, tmp_path):
    bundle = make_bundle(tmp_path / "b", files={"model.bin": b"m" * 100, "deep/er/x.txt": b"", "run.sh": b"#!/bin/sh"})
    (bundle / "run.sh").chmod(0o755)
    (bundle / "profile.json").write_text("{}")
    release = put(bundle, title="first", notes="two\nlines")
    (packed,) = release.bundles
    assert (release.version, release.title, release.notes, release.repeats) == (1, "first", "two\nlines", 0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", release.created)
    artifact = load_artifact(bundle)
    names = [f"bundle/{name}" for name in ("manifest.json", *artifact.files)]
    assert sorted(file.path for file in packed.files) == sorted([*names, "runtime.pyz"])
    assert packed.digest == artifact.digest() and not packed.builds and packed.target == "null"
    assert [file.path for file in packed.files if file.executable] == ["bundle/run.sh"]
    blobs = Blobs(fleet.home.repository)
    for file in packed.files:
        blobs.check(file.content)
        if file.path != "runtime.pyz":
            assert blobs.path(file.content).read_bytes() == (tmp_path / "b" / file.path[7:]).read_bytes()
    assert "targets/null/runner.py" in zipfile.ZipFile(blobs.path(packed.files[-1].content)).namelist()
    assert client_of(fleet, tmp_path / "device").release() == release == fleet.release("cam", 1)


def test_what_is_done_to_a_bundle_afterwards_does_not_reach_the_release(fleet, put, tmp_path):
    bundle = make_bundle(tmp_path / "b", files={"model.bin": b"good" * 3000})
    release = put(bundle)
    with (bundle / "model.bin").open("r+b") as stream:
        stream.write(b"evil")
    for file in release.bundles[0].files:
        Blobs(fleet.home.repository).check(file.content)
    assert all(path.stat().st_nlink == 1 for path in fleet.home.repository.rglob("*") if path.is_file())


def test_versions_count_up_and_equal_files_are_kept_once(fleet, put, tmp_path):
    bundle = make_bundle(tmp_path / "b")
    assert [put(bundle).version for _ in range(3)] == [1, 2, 3]
    files = [path for path in (fleet.home.repository / "blobs").rglob("*") if path.is_file()]
    assert len(files) == len({file.content for file in fleet.release("cam", 3).bundles[0].files}) == 4
    assert put(bundle, product="door").version == 1


def test_several_kinds_of_devices_in_one_release(put, tmp_path):
    one, two = make_bundle(tmp_path / "a"), make_bundle(tmp_path / "b", device=OTHER)
    release = put(one, two)
    assert [(each.depends.device, each.depends.machine) for each in release.bundles] == [
        ("local-cpu", "x86_64"),
        ("raspberry-pi-5", "aarch64"),
    ]


def test_two_bundles_for_the_same_devices_are_refused(put, tmp_path):
    with pytest.raises(ConfigError, match="same devices") as caught:
        put(make_bundle(tmp_path / "a"), make_bundle(tmp_path / "b", precision="int8"))
    assert caught.value.seen == "null fp32 and null int8"


@pytest.mark.parametrize("harm", ["changed", "missing", "stranger", "manifest"])
def test_a_damaged_bundle_is_refused_before_anything_is_signed(fleet, put, tmp_path, harm):
    bundle = make_bundle(tmp_path / "b")
    if harm == "changed":
        (bundle / "model.bin").write_bytes(b"other")
    elif harm == "missing":
        (bundle / "model.bin").unlink()
    elif harm == "stranger":
        (bundle / "stranger").write_bytes(b"x")
    else:
        text = (bundle / "manifest.json").read_text()
        (bundle / "manifest.json").write_text(text.replace('"fp32"', '"int8"'))
    with pytest.raises(VerificationError):
        put(bundle)
    assert fleet.versions("cam") == []


def test_a_file_that_changes_while_it_is_published_is_noticed(put, tmp_path, monkeypatch):
    bundle = make_bundle(tmp_path / "b")
    real = Blobs.add_file

    def late(blobs, source, *, sha256=""):
        if source.name == "model.bin":
            source.write_bytes(b"changed just now")
        return real(blobs, source, sha256=sha256)

    monkeypatch.setattr(Blobs, "add_file", late)
    with pytest.raises(VerificationError, match="changed while it was published"):
        put(bundle)


NAMES = {
    "colon": "bad:name",
    "control": "a\tb",
    "long": f"{'x' * 200}/{'y' * 50}",
    "end": "trailing. ",
    "case": "MODEL.bin",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_that_no_device_takes_are_refused(fleet, put, tmp_path, name):
    bundle = make_bundle(tmp_path / "b", files={"model.bin": b"m", name: b"x"})
    with pytest.raises(ConfigError, match="cannot publish"):
        put(bundle)
    assert fleet.versions("cam") == []


def test_what_is_no_bundle_and_no_product(put, tmp_path):
    with pytest.raises(ConfigError, match="wanted a bundle"):
        put(tmp_path)
    with pytest.raises(ConfigError, match="name of a product"):
        put(make_bundle(tmp_path / "b"), product="Cam/era")
    with pytest.raises(ConfigError, match="wanted bundles"):
        put()


def test_a_full_disk_signs_nothing(fleet, put, tmp_path, monkeypatch):
    def full(source, target):
        target.write_bytes(b"part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("toolchain.fleet.publish.blobs._copy", full)
    with pytest.raises(OutputError, match="cannot write"):
        put(make_bundle(tmp_path / "b"))
    assert fleet.versions("cam") == []
    assert not [path for path in (fleet.home.repository / "blobs").rglob("*") if path.is_file()]


def test_a_damaged_blob_is_replaced_by_publishing_again(fleet, put, tmp_path):
    bundle = make_bundle(tmp_path / "b")
    release, blobs = put(bundle), Blobs(fleet.home.repository)
    first = release.bundles[0].files[0].content
    blobs.path(first).write_bytes(b"x" * first.size)
    with pytest.raises(VerificationError, match="missing, or damaged"):
        blobs.check(first)
    put(bundle)
    blobs.check(first)


def test_leftovers_of_killed_writers_are_swept(fleet):
    path = fleet.home.repository / "blobs" / ".1-ab.tmp"
    path.write_bytes(b"part")
    kept = Blobs(fleet.home.repository).add(b"content")
    Blobs(fleet.home.repository).sweep()
    assert path.exists(), "somebody may be writing it"
    os.utime(path, (time.time() - 90_000,) * 2)
    Blobs(fleet.home.repository).sweep()
    assert not path.exists() and Blobs(fleet.home.repository).has(kept)


def test_an_older_release_comes_back_under_a_new_version(fleet, put, tmp_path):
    random = np.random.default_rng(3)
    models = [random.bytes(50_000) for _ in range(2)]
    models[1] = models[0][:49_000] + models[1][:1000]
    for number, model in enumerate(models):
        put(make_bundle(tmp_path / f"b{number}", files={"model.bin": model}), title=f"number {number}")
    back = repeat(fleet.home, fleet, "cam", 1)
    assert (back.version, back.repeats, back.title) == (3, 1, "back to version 1: number 0")
    first = fleet.release("cam", 1)
    assert [file.content for file in back.bundles[0].files] == [file.content for file in first.bundles[0].files]
    assert back.bundles[0].digest == first.bundles[0].digest
    rows = {row.base: row for row in savings(fleet, back)}
    assert rows[1].fetch == 0, "who has that release fetches nothing"
    assert 0 < rows[2].fetch < rows[2].full / 20, "who has the newest gets a delta back"
    again = repeat(fleet.home, fleet, "cam", 3, title="mine", notes="n")
    assert (again.version, again.repeats, again.title, again.notes) == (4, 3, "mine", "n")


def test_what_cannot_come_back(fleet, put, tmp_path):
    with pytest.raises(ConfigError, match="wanted version 1 of cam"):
        repeat(fleet.home, fleet, "cam", 1)
    release = put(make_bundle(tmp_path / "b"))
    Blobs(fleet.home.repository).path(release.bundles[0].files[0].content).unlink()
    with pytest.raises(VerificationError, match="missing, or damaged"):
        repeat(fleet.home, fleet, "cam", 1)
    assert fleet.versions("cam") == [1]


def test_two_who_publish_at_once_get_two_versions(fleet, put, tmp_path, monkeypatch):
    """Another process takes the version while ours makes its deltas."""
    bundle, real, calls = make_bundle(tmp_path / "b"), signing.Repository.add_release_after, []

    def slow(repository, release, newest):
        if not calls:
            repository.add_release(a_release(newest + 1))
        calls.append(newest)
        return real(repository, release, newest)

    monkeypatch.setattr(signing.Repository, "add_release_after", slow)
    assert put(bundle).version == 2
    assert calls == [0, 1] and fleet.versions("cam") == [1, 2]


def test_progress_is_told(fleet, tmp_path):
    told = []
    bundle = make_bundle(tmp_path / "b")
    publish_quietly(fleet.home, fleet, [bundle], product="cam", on_progress=lambda *words: told.append(words))
    assert ("check and pack b", 0, 1) in told and ("deltas of runtime.pyz", 3, 4) in told
    assert all(0 <= done < total for _, done, total in told)


def test_the_budget_of_the_project_travels(fleet, put, tmp_path):
    bundle = make_bundle(tmp_path / "build" / "cpu")
    rows = [("latency_p50", 0.02), ("model_size", 1e6), ("accuracy_drop", 0.01)]
    budget = [{"metric": name, "limit": limit, "value": None, "met": None} for name, limit in rows]
    other = [{"metric": "latency_p50", "limit": 9.0, "value": 1.0, "met": True}]
    entries = [{"bundle": "cpu", "budget": budget}, {"bundle": "cpu2", "budget": other}]
    write_json(tmp_path / "build" / "summary.json", {"schema": 1, "entries": entries})
    assert put(bundle).bundles[0].budget == (Limit("latency_p50", 0.02), Limit("model_size", 1e6))
    assert put(bundle, limits={"latency_p50": 0.5}).bundles[0].budget[0] == Limit("latency_p50", 0.5)
    (tmp_path / "build" / "summary.json").write_text("{}")
    with pytest.raises(ConfigError, match="wanted the budget of cpu"):
        put(bundle)


def test_permissions_let_a_web_server_read(fleet, put, tmp_path):
    os.umask(0o022)
    put(make_bundle(tmp_path / "b"))
    for path in fleet.home.repository.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o444 == 0o444 and (path.is_file() or mode & 0o111 == 0o111), f"{path}: {mode:o}"


def test_a_release_with_too_many_files_is_refused(fleet, put, tmp_path, monkeypatch):
    monkeypatch.setattr("toolchain.fleet.documents.strict.MOST_BYTES", 500)
    with pytest.raises(ConfigError, match="too many files"):
        put(make_bundle(tmp_path / "b"))


def test_blobs_are_addressed_as_devices_do(fleet):
    blob = Blobs(fleet.home.repository).add(b"abc")
    assert blob == Blob("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 3)
    assert (fleet.home.repository / f"blobs/ba/{blob.sha256}").read_bytes() == b"abc"
    assert dataclasses.replace(blob, size=4) != blob and not Blobs(fleet.home.repository).has(
        dataclasses.replace(blob, size=4)
    )
