"""Firmware in a release: signed at publishing, with the release's version, beside the bundle."""

import dataclasses

import fleet_boards as fb
import pytest

from profiles.errors import ConfigError, UnsupportedError
from toolchain.fleet.documents.release import Depends
from toolchain.fleet.gateway.image import IMAGE, check_image
from toolchain.fleet.gateway.publish import KEY, Firmware, with_image
from toolchain.fleet.publish.blobs import Blobs
from toolchain.fleet.publish.packing import pack


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
    assert with_image(other, blobs, None, 7) is other


def test_without_a_firmware_key_or_slots_nothing_is_published(bundle, blobs):
    with pytest.raises(ConfigError, match="no firmware key"):
        with_image(bundle, blobs, None, 7)
    with pytest.raises(ConfigError, match="slots are unknown"):
        with_image(bundle, blobs, firmware(slots={})[0], 7)


def test_a_bundle_without_firmware_is_not_for_a_board(bundle, blobs):
    less = tuple(file for file in bundle.files if not file.path.endswith("firmware.bin"))
    with pytest.raises(UnsupportedError, match="has no firmware"):
        with_image(dataclasses.replace(bundle, files=less), blobs, firmware()[0], 7)


def test_a_wrong_passphrase_signs_nothing(bundle, blobs):
    with pytest.raises(ConfigError, match="passphrase is wrong") as caught:
        with_image(bundle, blobs, firmware(passphrase=lambda name: "tr0ub4dor and three")[0], 7)
    assert "tr0ub4dor" not in str(caught.value)
