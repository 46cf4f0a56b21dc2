"""Signed images: what is in them, what is refused, and that the private key stays where it belongs."""

import bisect
import stat
import struct

import fleet_boards as fb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imgtool.image import IMAGE_MAGIC

from profiles.errors import ConfigError, UnsupportedError, VerificationError
from toolchain.fleet.gateway.image import Identity, check_image, class_of, read_image, release_of, version_of
from toolchain.fleet.gateway.sign import Slot, make_key, sign_firmware

RELEASES = st.integers(1, (1 << 31) - 1)


@given(RELEASES, RELEASES)
def test_versions_grow_as_releases_do(one, two):
    assert release_of(version_of(one)) == one
    assert (version_of(one) < version_of(two)) == (one < two), "MCUboot compares major, minor, revision in this order"
    major, minor, revision = version_of(one)
    assert major < 256 and minor < 256 and revision < 65536, "the header's fields have 8, 8 and 16 bits"


@pytest.mark.parametrize("release", [0, -1, 1 << 31])
def test_no_version_for_what_is_no_release(release):
    with pytest.raises(ValueError, match="a release is 1 to"):
        version_of(release)


def write(tmp_path, data):
    path = tmp_path / "image.bin"
    path.write_bytes(data)
    return path


def test_an_image_has_the_header_and_the_firmware_behind_it(tmp_path):
    image = fb.signed(70000)
    firmware = (fb.bundle().folder / "firmware.bin").read_bytes()
    magic, _, header, protected, size, _, major, minor, revision, _ = struct.unpack("<IIHHIIBBHI", image[:28])
    assert (magic, header, size) == (IMAGE_MAGIC, 0x200, len(firmware)) and IMAGE_MAGIC == 0x96F3B83D
    assert image[header : header + size] == firmware
    assert (major, minor, revision) == (0, 1, 4464) and protected > 0
    found = check_image(write(tmp_path, image), fb.keys()[1], fb.BOARD)
    assert found == Identity((0, 1, 4464), found.digest, class_of(fb.BOARD), len(image))
    assert found.release == 70000


def test_the_same_inputs_give_the_same_image():
    made = fb.bundle()
    firmware = (made.folder / "firmware.bin").read_bytes()
    again = [sign_firmware(made.device, firmware, fb.SLOT, fb.keys()[0], fb.PASSPHRASE, release=3) for _ in range(2)]
    assert again[0] == again[1]


@settings(max_examples=60)
@given(st.data())
def test_an_image_with_a_changed_byte_is_refused(tmp_path_factory, data):
    image = bytearray(fb.signed(1))
    unsigned = range(len(image) - 64 - 4 - 36, len(image) - 64 - 4)  # the key's hash only says which key to try
    at = data.draw(st.integers(0, len(image) - 1).filter(lambda each: each not in unsigned))
    image[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VerificationError):
        check_image(write(tmp_path_factory.mktemp("image"), bytes(image)), fb.keys()[1], fb.BOARD)


@pytest.mark.parametrize("size", [0, 31, 0x200, 5000, -1], ids=["empty", "header", "no-code", "half", "last-byte"])
def test_an_image_that_is_cut_off_is_refused(tmp_path, size):
    with pytest.raises(VerificationError):
        check_image(write(tmp_path, fb.signed(1)[:size]), fb.keys()[1], fb.BOARD)


def test_another_key_is_refused(tmp_path):
    with pytest.raises(VerificationError, match="not signed with the firmware key"):
        check_image(write(tmp_path, fb.signed(1, key="other")), fb.keys()[1], fb.BOARD)


def test_another_board_is_refused(tmp_path):
    with pytest.raises(UnsupportedError, match="is for another board"):
        check_image(write(tmp_path, fb.signed(1)), fb.keys()[1], "stm32l4r5")


def test_a_gateway_with_the_private_key_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds a private key"):
        check_image(write(tmp_path, fb.signed(1)), fb.keys()[0], fb.BOARD)


@pytest.mark.parametrize("text", [b"", b"no key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_key_is_refused(tmp_path, text):
    (tmp_path / "key.pem").write_bytes(text)
    with pytest.raises(ConfigError):
        read_image(write(tmp_path, fb.signed(1))) and check_image(
            tmp_path / "image.bin", tmp_path / "key.pem", fb.BOARD
        )


def test_firmware_for_another_place_is_not_signed():
    made = fb.bundle()
    with pytest.raises(ConfigError, match="not linked for its slot") as caught:
        sign_firmware(made.device, b"", Slot(0x10000, 48 << 10), fb.keys()[0], fb.PASSPHRASE, release=1)
    assert '"memory.ssram1.base" = 0x10200' in caught.value.next_step


def test_firmware_that_does_not_fit_is_not_signed():
    made, room = fb.bundle(), fb.SLOT.size - 0x200
    with pytest.raises(UnsupportedError, match="does not fit its slot"):
        sign_firmware(made.device, bytes(room), fb.SLOT, fb.keys()[0], fb.PASSPHRASE, release=1)


def test_firmware_of_just_the_size_that_fits_is_signed_and_one_byte_more_is_not():
    def sign(size):
        return sign_firmware(fb.bundle().device, bytes(size), fb.SLOT, fb.keys()[0], fb.PASSPHRASE, release=1)

    def fits(size):
        try:
            return len(sign(size)) < fb.SLOT.size
        except UnsupportedError:
            return False

    least = bisect.bisect_left(range(fb.SLOT.size), True, key=lambda size: not fits(size))
    assert least > fb.SLOT.size - 0x200 - 512 - 4096, "no room is wasted but for header, TLVs and trailer"
    assert fits(least - 1)
    with pytest.raises(UnsupportedError, match="does not fit its slot"):
        sign(least)


def test_what_a_project_overrides_leaves_room_for_everything():
    fitting = int(fb.SLOT.overrides("flash")["memory.flash.size"].split()[0])
    image = sign_firmware(fb.bundle().device, bytes(fitting), fb.SLOT, fb.keys()[0], fb.PASSPHRASE, release=1)
    assert len(image) < fb.SLOT.size


def test_the_private_key_is_encrypted_and_for_its_owner_only(tmp_path):
    private, public = tmp_path / "firmware.pem", tmp_path / "firmware.pub.pem"
    make_key(private, public, fb.PASSPHRASE)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert b"ENCRYPTED PRIVATE KEY" in private.read_bytes() and b"PRIVATE" not in public.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["firmware.pem", "firmware.pub.pem"]
    before = private.read_bytes()
    with pytest.raises(ConfigError, match="is there already"):
        make_key(private, public, fb.PASSPHRASE)
    assert private.read_bytes() == before
    with pytest.raises(ConfigError, match="too short"):
        make_key(tmp_path / "two.pem", public, "short")


@pytest.mark.parametrize("passphrase", ["", "wrong horse battery"], ids=["none", "wrong"])
def test_nothing_is_signed_without_the_passphrase(passphrase):
    firmware = (fb.bundle().folder / "firmware.bin").read_bytes()
    with pytest.raises(ConfigError, match="cannot sign") as caught:
        sign_firmware(fb.bundle().device, firmware, fb.SLOT, fb.keys()[0], passphrase, release=1)
    assert fb.PASSPHRASE not in str(caught.value) and "wrong horse" not in str(caught.value)


def test_nothing_is_signed_with_a_public_key():
    with pytest.raises(ConfigError, match="public key"):
        sign_firmware(fb.bundle().device, b"", fb.SLOT, fb.keys()[1], "", release=1)
