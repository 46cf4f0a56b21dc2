"""From ``publish`` to a board: real releases, a web server, the real agent, and a stand-in board with real firmware."""

import re

import fleet_boards as fb
import pytest

from profiles.errors import ConfigError
from tests.toolchain.fleet import fleet_homes
from tests.toolchain.fleet.agent.fleet_device import CHANNEL, PRODUCT, Device
from tests.toolchain.fleet.agent.fleet_web import Web
from toolchain.fleet.documents.plan import Plan, Wave
from toolchain.fleet.gateway import commands
from toolchain.fleet.gateway.image import IMAGE
from toolchain.fleet.home import open_home
from toolchain.fleet.publish import publish, repeat
from toolchain.fleet.trust.repository import Repository


def with_firmware_key(fleet, slot=fb.SLOT, board=fb.BOARD):
    """The fleet, whose fleet.toml names a firmware key now."""
    path = fleet.home.folder / "fleet.toml"
    (fleet.home.keys / "firmware.pem").write_bytes(fb.keys()[0].read_bytes())
    table = f'address = {slot.address}\nsize = "{slot.size >> 10} KiB"\n'
    path.write_text(path.read_text() + f'\n[firmware]\n[firmware.slots."{board}"]\n{table}')
    return Repository(open_home(fleet.home.folder), fleet_homes.passphrase)


@pytest.fixture
def fleet(tmp_path):
    return with_firmware_key(fleet_homes.make_fleet(tmp_path / "fleet"))


def roll_out(fleet, release, sequence):
    fleet.set_plan(
        Plan(PRODUCT, CHANNEL, sequence, release.version, "running", "s", (Wave("all", 100.0),), 1, soak=0.0)
    )


def held(board):
    slot = commands.status(board.place, None, print)["slots"][0]
    return slot["version"], slot["confirmed"]


def test_a_published_release_reaches_the_board_and_a_repeated_one_goes_back(fleet, boards, tmp_path):
    assert fb.PASSPHRASE == fleet_homes.PASSPHRASE
    board, web = boards(fb.signed(1, 1)), Web(fleet.home.repository)
    try:
        first = publish(fleet.home, fleet, [fb.bundle(1).folder], product=PRODUCT)
        second = publish(fleet.home, fleet, [fb.bundle(2).folder], product=PRODUCT)
        roll_out(fleet, second, 1)
        place = board.place
        device = Device(
            tmp_path / "gateway", web.url, fleet.home.root_metadata(),
            provides={"device": fb.BOARD, "board": fb.BOARD},
            gateway={"smp": place.smp, "line": place.line, "key": str(place.key), "boot": 20, "pause": 0.1},
        )  # fmt: skip
        said = device.once()
        assert held(board) == ("0.0.2", True) and device.state.running == 2, said
        assert device.state.after is not None, "latency was measured on the board"
        third = repeat(fleet.home, fleet, PRODUCT, first.version)
        roll_out(fleet, third, 2)
        said = device.once()
        assert held(board) == ("0.0.3", True), said
        assert commands.golden(place, device.folder / "current", print) == {"golden_error": 0.0}
        tried = re.findall(r"version 3: (\w+)", said)
        assert tried[-1] == "committed" and device.state.attempt.fetched < device.state.attempt.full
    finally:
        web.close()


def test_the_image_has_deltas_like_every_file(fleet):
    for seed in (1, 2):
        release = publish(fleet.home, fleet, [fb.bundle(seed).folder], product="mic")
    image = next(file for file in release.bundles[0].files if file.path == IMAGE)
    assert [delta.patch.size < image.content.size / 4 for delta in image.deltas] == [True]


def test_a_board_whose_slots_are_unknown_cannot_be_published_for(tmp_path):
    fleet = with_firmware_key(fleet_homes.make_fleet(tmp_path / "fleet"), board="stm32l4r5")
    with pytest.raises(ConfigError, match="cannot sign firmware for cortex-m4-an386"):
        publish(fleet.home, fleet, [fb.bundle(1).folder], product="mic")
    assert fleet.versions("mic") == []


def test_firmware_for_a_board_is_refused_by_a_fleet_without_a_firmware_key(tmp_path):
    fleet = fleet_homes.make_fleet(tmp_path / "fleet")
    board = {"name": "stm32l4r5", "title": "A board", "reach": "serial", "cpu": {"arch": "armv7e-m"}}
    bundle = fleet_homes.make_bundle(tmp_path / "b", device=board, target="tflite_micro", files={"firmware.bin": b"1"})
    with pytest.raises(ConfigError, match="cannot sign firmware for stm32l4r5: gateways install signed firmware only"):
        publish(fleet.home, fleet, [bundle], product="mic")
    assert fleet.versions("mic") == []
