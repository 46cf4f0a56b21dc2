"""Firmware in a release: signed at publishing, with the release's version, beside the bundle."""

import dataclasses
import json
from types import SimpleNamespace

import fleet_boards as fb
import pytest

from profiles.errors import ConfigError, UnsupportedError
from toolchain.fleet.documents.release import Depends, File
from toolchain.fleet.gateway.image import IMAGE, check_image
from toolchain.fleet.gateway.publish import KEY, Firmware, with_image, with_images
from toolchain.fleet.publish.blobs import Blobs
from toolchain.fleet.publish.packing import pack
from toolchain.fleet.settings import BoardSlot, FirmwareKey


@pytest.fixture
def blobs(tmp_path):
    (tmp_path / "repository" / "blobs").mkdir(parents=True)
    return Blobs(tmp_path / "repository")


@pytest.fixture
def bundle(blobs):
    return pack(fb.bundle().folder, blobs, {})


def firmware(**changes):
    asked = []

    def passphrase(name):
        asked.append(name)
        return fb.PASSPHRASE

    return dataclasses.replace(Firmware(fb.keys()[0], passphrase, {fb.BOARD: fb.SLOT}), **changes), asked


def images(bundle):
    return [file for file in bundle.files if file.path == IMAGE]


def test_a_bundle_for_a_board_gets_an_image_of_the_releases_version(bundle, blobs):
    assert bundle.depends.board == fb.BOARD and not images(bundle)
    signer, asked = firmware()
    made = with_image(bundle, blobs, signer, 7)
    assert asked == [KEY] and made.builds, "the agent's build step is what flashes the board"
    assert check_image(blobs.path(images(made)[0].content), fb.keys()[1], fb.BOARD).release == 7
    assert [file for file in made.files if file.path != IMAGE] == list(bundle.files)
    assert with_image(bundle, blobs, signer, 7) == made, "Ed25519 signs the same bytes alike"


def test_a_repeated_release_is_signed_anew_because_boards_do_not_go_back(bundle, blobs):
    signer, _ = firmware()
    old = with_image(bundle, blobs, signer, 7)
    again = with_image(old, blobs, signer, 9)
    assert len(images(again)) == 1 and images(again) != images(old)
    assert check_image(blobs.path(images(again)[0].content), fb.keys()[1], fb.BOARD).release == 9


def test_a_bundle_for_no_board_stays_as_it_is(bundle, blobs):
    other = dataclasses.replace(bundle, depends=Depends("local-cpu"))
    assert with_image(other, blobs, firmware()[0], 7) is other


def fleet_with(firmware):
    """As much of a fleet as signing firmware asks for; ``firmware`` is the table of its ``fleet.toml``."""
    home = SimpleNamespace(settings=SimpleNamespace(firmware=firmware), folder=fb.keys()[0].parent)
    return SimpleNamespace(home=home, keys=SimpleNamespace(passphrase=lambda name: fb.PASSPHRASE))


def table(**slots):
    sizes = {name: BoardSlot(address=slot.address, size=f"{slot.size} B") for name, slot in slots.items()}
    return FirmwareKey(key=fb.keys()[0].name, slots=sizes)


def reached_by(bundle, blobs, reach):
    """The bundle of a device that is reached otherwise."""
    path = next(file for file in bundle.files if file.path == "bundle/manifest.json")
    manifest = json.loads(blobs.path(path.content).read_bytes())
    manifest["device"]["reach"] = reach
    other = File(path.path, blobs.add(json.dumps(manifest).encode()))
    return dataclasses.replace(bundle, files=tuple(other if file is path else file for file in bundle.files))


def without_firmware(bundle):
    return dataclasses.replace(
        bundle, files=tuple(file for file in bundle.files if not file.path.endswith("firmware.bin"))
    )


def test_firmware_for_a_real_board_is_not_published_without_a_key(bundle, blobs):
    """Every gateway would refuse it."""
    with pytest.raises(ConfigError, match=f"cannot sign firmware for {fb.BOARD}") as caught:
        with_images([reached_by(bundle, blobs, "serial")], blobs, fleet_with(None), 7)
    error = caught.value
    assert "no table [firmware]" in error.seen and f"[firmware.slots.{fb.BOARD}]" in error.allowed
    assert "fleet-microcontrollers.md" in error.next_step


def test_what_a_plain_agent_can_install_is_published_without_a_key(bundle, blobs):
    """Emulated boards, and boards whose bundles have no firmware, such as FPGAs."""
    fine = [bundle, reached_by(without_firmware(bundle), blobs, "serial")]
    assert with_images(fine, blobs, fleet_with(None), 7) == tuple(fine)


def test_a_fleet_with_a_firmware_key_publishes_bundles_of_fpgas_as_they_are(bundle, blobs):
    fpga = dataclasses.replace(without_firmware(bundle), depends=Depends("fpga", board="fpga"))
    found = with_images([bundle, fpga], blobs, fleet_with(table(**{fb.BOARD: fb.SLOT})), 7)
    assert images(found[0]) and found[1] is fpga


def test_without_slots_nothing_is_published(bundle, blobs):
    with pytest.raises(ConfigError, match="slots are unknown") as caught:
        with_image(bundle, blobs, firmware(slots={})[0], 7)
    assert f"[firmware.slots.{fb.BOARD}]" in caught.value.next_step


def test_a_bundle_without_firmware_is_not_for_a_board(bundle, blobs):
    with pytest.raises(UnsupportedError, match="has no firmware"):
        with_image(without_firmware(bundle), blobs, firmware()[0], 7)


def test_a_wrong_passphrase_signs_nothing(bundle, blobs):
    with pytest.raises(ConfigError, match="passphrase is wrong") as caught:
        with_image(bundle, blobs, firmware(passphrase=lambda name: "tr0ub4dor and three")[0], 7)
    assert "tr0ub4dor" not in str(caught.value)
