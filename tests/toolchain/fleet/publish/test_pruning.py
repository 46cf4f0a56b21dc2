"""Files of old releases go, and nothing that a device may still ask for does."""

import os
import pathlib

import pytest

from profiles.errors import ConfigError, OutputError, VerificationError
from tests.toolchain.fleet.fleet_homes import a_plan, client_of, make_fleet
from tests.toolchain.fleet.publish.fleet_pruning import a_day_later, fetch, files, go, has, put
from toolchain.fleet.publish import pruning, repeat
from toolchain.fleet.publish.pruning import check_whole, remove, survey
from toolchain.fleet.trust.state import TIMESTAMP


@pytest.fixture(scope="module")
def mould(tmp_path_factory):
    """Five releases; the plan went from the third to the fourth some days ago, and the fifth is new."""
    folder = tmp_path_factory.mktemp("mould")
    fleet = make_fleet(folder / "home")
    for number in range(1, 5):
        put(fleet, folder, number)
        go(fleet, number, number)
    put(fleet, folder, 5)
    a_day_later(fleet)
    fleet.refresh()
    return folder / "home"


@pytest.fixture
def fleet(mould, tmp_path):
    import shutil

    from tests.toolchain.fleet.fleet_homes import passphrase
    from toolchain.fleet.home import open_home
    from toolchain.fleet.trust.repository import Repository

    shutil.copytree(mould, tmp_path / "home")  # with the times of change
    return Repository(open_home(tmp_path / "home"), passphrase)


def prune(fleet, devices=(), keep=0, plans=()):
    with fleet.locked():
        found = survey(fleet, {"cam": dict.fromkeys(devices, 1)}, plans, keep)
        remove(found)
    return found


def test_what_no_plan_and_no_device_needs_goes_and_a_device_updates_right_after(fleet, tmp_path):
    device = client_of(fleet, tmp_path / "device")
    assert fetch(device, fleet) == 4
    before = files(fleet)
    found = prune(fleet, devices=[2])
    assert [(each.version, bool(each.stays)) for each in found.releases] == [
        (5, True), (4, True), (3, False), (2, True), (1, False),
    ]  # fmt: skip
    gone = before - files(fleet)
    assert gone and len(gone) == len(found.files) and sum(each.bytes for each in found.releases) == found.bytes > 0
    assert [has(fleet, version) for version in range(1, 6)] == [False, True, False, True, True]
    fresh = client_of(fleet, tmp_path / "new device")
    assert (fetch(device, fleet), fetch(fresh, fleet)) == (4, 4)
    go(fleet, 5, 5)
    assert (fetch(device, fleet), fetch(fresh, fleet)) == (5, 5)
    put(fleet, tmp_path, 6)
    go(fleet, 6, 6)
    assert fetch(device, fleet) == 6, "deltas are made from what is left"


def test_a_second_time_there_is_nothing_to_do(fleet, untouched):
    assert prune(fleet).files
    check = untouched(fleet.home.folder)
    assert not prune(fleet).files
    check()


def test_a_survey_changes_nothing(fleet, untouched):
    check = untouched(fleet.home.folder)
    assert survey(fleet, {}, (), 0).files
    check()


def test_older_releases_are_kept_when_asked(fleet):
    prune(fleet, keep=2)
    assert [has(fleet, version) for version in range(1, 6)] == [False, True, True, True, True]


def test_who_follows_a_plan_of_a_moment_ago_still_finds_everything(fleet, tmp_path):
    """A device reads the plan, then somebody moves the channel on and prunes, then the device fetches."""
    device = client_of(fleet, tmp_path / "device")
    updater, release = device.updater(), device.release(4)
    go(fleet, 5, 5)
    prune(fleet)
    assert updater.get_targetinfo("rollouts/cam/stable.json"), "it holds the metadata of before"
    assert device.release(4) == release and has(fleet, 4)
    a_day_later(fleet)
    fleet.refresh()
    prune(fleet)
    assert not has(fleet, 4), "nobody can be in the middle of that any more"
    assert fetch(device, fleet) == 5


def test_a_rollout_that_was_decided_on_and_not_published_counts(fleet):
    prune(fleet, plans=[a_plan(9, 1)])
    assert has(fleet, 1) and not has(fleet, 2)


def test_channels_and_products_are_apart(fleet, tmp_path):
    put(fleet, tmp_path, 9, product="ear")
    go(fleet, 2, 1, channel="beta")
    a_day_later(fleet)
    found = prune(fleet)
    assert [has(fleet, version) for version in (1, 2, 3)] == [False, True, False]
    assert has(fleet, 1, product="ear")
    stays = {(each.product, each.version): each.stays for each in found.releases}
    assert stays["cam", 2] == "rollout on beta" and stays["ear", 1] == "newer than every rollout"


def test_what_was_written_within_the_last_day_stays(fleet):
    """Somebody may be publishing a release that is not signed yet: with a new file, or with one that was there."""
    from toolchain.fleet.publish.blobs import Blobs

    blobs, packed = Blobs(fleet.home.repository), fleet.release("cam", 1).bundles[0]
    old = next(file.content for file in packed.files if file.path.endswith("model.bin"))
    new = blobs.add(b"a file of a release that is on its way")
    assert blobs.add(blobs.path(old).read_bytes()) == old
    found = prune(fleet)
    assert blobs.has(new) and blobs.has(old) and found.young == 2
    a_day_later(fleet)
    assert prune(fleet).files and not blobs.has(new)


def test_a_file_that_goes_while_a_release_is_made_is_noticed_before_it_is_signed(fleet, tmp_path, monkeypatch):
    real = pruning.blobs_of

    def removed(release):
        path = fleet.home.repository / next(iter(real(release))).url_path
        path.unlink(missing_ok=True)
        return real(release)

    monkeypatch.setattr("toolchain.fleet.publish.publishing.blobs_of", removed)
    with pytest.raises(VerificationError, match="wanted"):
        put(fleet, tmp_path, 7)
    assert max(fleet.versions("cam")) == 5


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_who_is_killed_has_removed_nothing_that_is_needed(fleet, tmp_path, monkeypatch, cut):
    real, count = pathlib.Path.unlink, []

    def killed(path, **options):
        if "blobs" in path.parts and len(count) == cut:
            raise KeyboardInterrupt
        count.append(path)
        real(path, **options)

    monkeypatch.setattr(pathlib.Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        prune(fleet)
    monkeypatch.undo()
    assert has(fleet, 4) and has(fleet, 5) and fetch(client_of(fleet, tmp_path / "device"), fleet) == 4
    prune(fleet)
    assert not [each for each in survey(fleet, {}, (), 0).releases if each.bytes]


def test_a_disk_that_refuses_is_said(fleet, monkeypatch):
    def refuse(path, **options):
        raise PermissionError(13, "Permission denied", str(path))

    found = survey(fleet, {}, (), 0)
    monkeypatch.setattr(pathlib.Path, "unlink", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        remove(found)


@pytest.mark.parametrize("folder", ["releases", "metadata"])
def test_a_damaged_repository_loses_nothing(fleet, folder, untouched):
    root = fleet.home.repository
    path = next((root / "targets" / "releases").rglob("*.json")) if folder == "releases" else root / TIMESTAMP
    path.write_bytes(b"{}")
    check = untouched(root / "blobs")
    with pytest.raises(VerificationError):
        prune(fleet)
    check()


def test_what_is_no_blob_is_left_alone(fleet):
    stray = fleet.home.repository / "blobs" / "ab" / "notes.txt"
    stray.parent.mkdir(exist_ok=True)
    stray.write_text("mine")
    (fleet.home.repository / "targets" / "rollouts" / "cam" / "x.y.json").write_text("no plan")
    os.utime(stray, (1, 1))
    prune(fleet)
    assert stray.read_text() == "mine"


def test_a_release_whose_files_are_gone_comes_back_by_publishing_it_again(fleet, tmp_path):
    prune(fleet)
    with pytest.raises(ConfigError, match="devices could not fetch version 1 of cam"):
        check_whole(fleet, "cam", 1)
    with pytest.raises(VerificationError, match="missing, or damaged"):
        repeat(fleet.home, fleet, "cam", 1)
    again = put(fleet, tmp_path, 1)
    check_whole(fleet, "cam", again.version)
    check_whole(fleet, "cam", 4)
