"""A board from one firmware to the next, over SMP. The board is a stand-in; its firmware is real, under QEMU."""

import dataclasses
import os
import threading
import time

import fleet_boards as fb
import pytest

from profiles.errors import (
    ConfigError,
    EdgewrightError,
    UnreachableError,
    UnsupportedError,
    VerificationError,
)
from toolchain.fleet.gateway import commands
from toolchain.fleet.gateway.image import IMAGE
from toolchain.fleet.gateway.place import Place, from_table
from toolchain.fleet.gateway.sign import Slot


def quiet(text):
    pass


@pytest.fixture
def slots(tmp_path):
    return fb.agent_slot(tmp_path / "a", 1, 1), fb.agent_slot(tmp_path / "b", 2, 2)


def runs(board, slot):
    """Whether the board runs this slot, and whether it keeps it; it has to answer as that firmware, too."""
    status = commands.status(board.place, slot, quiet)
    if status["runs"]:
        assert commands.golden(board.place, slot, quiet) == {"golden_error": 0.0}
    return status["runs"], status["kept"]


def test_a_new_firmware_is_uploaded_tried_checked_measured_and_kept(boards, slots):
    old, new = slots
    board = boards(fb.signed(1, 1))
    assert runs(board, old) == (True, True) and runs(board, new) == (False, False)
    told = []
    assert commands.install_slot(board.place, new, told.append)["release"] == 2
    assert told[-2:] == ["restart", "the board runs it"] and "uploaded 9860 of 9860 bytes" in told
    assert runs(board, new) == (True, False), "it is on trial"
    figures = commands.latency(board.place, new, quiet)["figures"]
    assert 0 < figures["latency_p50"] < 0.1 and figures["cycles"] > 0
    commands.keep_slot(board.place, new, quiet)
    board.unplug()
    board.power()
    assert runs(board, new) == (True, True), "it stays when power fails after it was kept"


def test_a_firmware_that_was_not_kept_goes_with_the_next_restart(boards, slots):
    old, new = slots
    board = boards(fb.signed(1, 1))
    commands.install_slot(board.place, new, quiet)
    board.unplug()
    board.power()
    assert runs(board, old) == (True, True) and runs(board, new) == (False, False)


def test_going_back_ends_a_trial(boards, slots):
    old, new = slots
    board = boards(fb.signed(1, 1))
    commands.install_slot(board.place, new, quiet)
    commands.install_slot(board.place, old, quiet)
    assert runs(board, old) == (True, True)
    commands.install_slot(board.place, new, quiet)
    assert commands.back(board.place, None, quiet) == {"restarted": True}
    assert runs(board, old) == (True, True)
    assert commands.back(board.place, None, quiet) == {"restarted": False}


def test_wrong_numbers_are_found_on_the_board(boards, slots, tmp_path):
    board = boards(fb.signed(1, 1))
    bad = fb.agent_slot(tmp_path / "bad", 2, 2, spoiled=True)
    commands.install_slot(board.place, bad, quiet)
    with pytest.raises(VerificationError, match="golden"):
        commands.golden(board.place, bad, quiet)


def test_golden_samples_are_not_asked_of_other_firmware(boards, slots):
    board = boards(fb.signed(1, 1))
    with pytest.raises(VerificationError, match="runs other firmware"):
        commands.golden(board.place, slots[1], quiet)


def test_an_upload_goes_on_where_the_gateway_was_ended(boards, slots):
    """The board keeps in mind what it has as long as it has power."""
    _, new = slots
    board = boards(fb.signed(1, 1))

    class Ended(Exception):
        pass

    def end(text):
        if text.startswith("uploaded 6"):
            raise Ended

    with pytest.raises(Ended):
        commands.install_slot(board.place, new, end)
    told = []
    commands.install_slot(board.place, new, told.append)
    first = next(text for text in told if text.startswith("uploaded"))
    assert first == "uploaded 6001 of 9860 bytes", "it went on there, and did not begin again"
    assert runs(board, new) == (True, False)


def refused(board, slot, kind, match):
    """The install is refused, and the board runs what it ran."""
    before = commands.status(board.place, None, quiet)["slots"][0]
    with pytest.raises(kind, match=match) as caught:
        commands.install_slot(board.place, slot, quiet)
    assert caught.value.seen or caught.value.next_step, "an error says what was seen, or what to do"
    after = commands.status(board.place, None, quiet)["slots"][0]
    assert after == before and after["confirmed"], "the running firmware is untouched"
    return caught.value


def test_a_wrong_signature_is_refused_by_the_gateway(boards, slots, tmp_path):
    board = boards(fb.signed(1, 1))
    bad = fb.agent_slot(tmp_path / "bad", 2, 2, key="other")
    error = refused(board, bad, VerificationError, "not signed with the firmware key")
    assert commands.reason_of("install", error) == "trust"


def test_a_wrong_signature_is_refused_by_the_bootloader(boards, slots):
    """A gateway that was taken over has no say: the bootloader has a key of its own."""
    board = boards(fb.signed(1, 1, key="other"), key="other")
    refused(board, slots[1], VerificationError, "the board did not start the new firmware")


def test_an_image_for_another_board_is_refused_by_the_gateway(boards, slots):
    board = boards(fb.signed(1, 1))
    place = dataclasses.replace(board.place, board="stm32l4r5")
    with pytest.raises(UnsupportedError, match="for another board") as caught:
        commands.install_slot(place, slots[1], quiet)
    assert commands.reason_of("install", caught.value) == "depends"


def test_a_board_that_is_not_the_configured_one_is_refused(boards, slots):
    board = boards(fb.signed(1, 1))
    place = dataclasses.replace(board.place, platform="nucleo_l4r5zi")
    for act, slot in ((commands.install_slot, slots[1]), (commands.keep_slot, slots[0]), (commands.back, None)):
        with pytest.raises(VerificationError, match="is not the one of the configuration") as caught:
            act(place, slot, quiet)
        assert caught.value.seen == fb.BOARD
    assert len(commands.status(board.place, None, quiet)["slots"]) == 1


def test_an_image_that_is_too_large_for_the_slot_is_refused(boards, slots):
    board = boards(fb.signed(1, 1), slot=Slot(fb.SLOT.address, 16 << 10))
    image = slots[1] / IMAGE
    image.write_bytes(large(2))
    error = refused(board, slots[1], UnsupportedError, "the board refused the image")
    assert "too large" in error.seen and commands.reason_of("install", error) == "depends"


def large(release):
    """Properly signed, and larger than 12 KiB."""
    from toolchain.fleet.gateway.sign import sign_firmware

    return sign_firmware(
        fb.bundle(2).device, os.urandom(14 << 10), fb.SLOT, fb.keys()[0], fb.PASSPHRASE, release=release
    )


def test_older_firmware_is_refused(boards, slots):
    old, _ = slots
    board = boards(fb.signed(2, 2))
    error = refused(board, old, VerificationError, "newer firmware, and does not go back")
    assert "fleet rollback" in error.next_step


def test_older_firmware_is_refused_by_the_bootloader(boards, slots):
    """Whoever holds the gateway can put old, signed firmware into the slot; it is not started."""
    board = boards(fb.signed(2, 2))
    board.unplug()
    flash = board.folder / "flash.bin"
    data = bytearray(flash.read_bytes())
    old, size = fb.signed(1, 1), fb.SLOT.size
    data[size : size + len(old)] = old
    data[2 * size - 16 : 2 * size] = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")  # set to be tried
    flash.write_bytes(data)
    board.power()
    assert runs(board, slots[1]) == (True, True)


def test_a_lost_line_is_said(boards, slots):
    board = boards(fb.signed(1, 1))
    place = dataclasses.replace(board.place, answer=0.5)

    def pull(text):
        if text.startswith("uploaded 3"):
            board.unplug()

    with pytest.raises(UnreachableError, match="lost the board") as caught:
        commands.install_slot(place, slots[1], pull)
    assert "cable" in caught.value.next_step and commands.reason_of("install", caught.value) == "download"
    board.power()
    assert runs(board, slots[0]) == (True, True)
    commands.install_slot(board.place, slots[1], quiet)
    assert runs(board, slots[1]) == (True, False)


def test_a_line_that_nobody_answers_is_said(tmp_path, slots):
    ours, theirs = os.openpty()
    try:
        place = Place(fb.BOARD, f"serial://{os.ttyname(theirs)}", "serial:///dev/none", fb.keys()[1], answer=0.2)
        with pytest.raises(UnreachableError, match="lost the board"):
            commands.install_slot(place, slots[0], quiet)
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_port_that_is_not_there_is_said(tmp_path, slots):
    place = Place(fb.BOARD, f"serial://{tmp_path}/none", "serial:///dev/none", fb.keys()[1], answer=0.2)
    with pytest.raises(UnreachableError, match="lost the board"):
        commands.status(place, None, quiet)


def test_noise_on_the_line_does_no_harm(boards, slots):
    board = boards(fb.signed(1, 1))
    port, stop = os.open(board.folder / "smp", os.O_RDWR | os.O_NOCTTY), threading.Event()

    def hum():
        while not stop.wait(0.03):
            os.write(port, b"\x06\tnoise\n")

    thread = threading.Thread(target=hum)
    thread.start()
    try:
        commands.install_slot(dataclasses.replace(board.place, answer=1.0), slots[1], quiet)
    finally:
        stop.set()
        thread.join()
        os.close(port)
    assert runs(board, slots[1]) == (True, False)


def test_a_board_that_does_not_come_back_is_said(boards, slots, monkeypatch):
    board = boards(fb.signed(1, 1))
    place = dataclasses.replace(board.place, answer=0.2, boot=0.5)

    def freeze(text):
        if text == "restart":
            threading.Timer(0.02, board.unplug).start()
            time.sleep(0.01)

    with pytest.raises(EdgewrightError) as caught:
        commands.install_slot(place, slots[1], freeze)
    assert isinstance(caught.value, UnreachableError)


@pytest.mark.parametrize(
    ("table", "board", "words"),
    [
        ({}, "b", "lacks 'key'"),
        ({"smp": "serial:///a", "line": "serial:///b", "key": "k", "speed": 9}, "b", "unknown key"),
        ({"smp": "/dev/ttyACM0", "line": "serial:///b", "key": "k"}, "b", "address of a board"),
        ({"smp": "serial:///a", "line": "serial:///b", "key": "k"}, "", "name of the board"),
        ({"smp": "serial:///a", "line": "serial:///b", "key": "k", "boot": "long"}, "b", "wrong type"),
        ({"smp": "serial:///a", "line": "serial:///b", "key": "k", "boot": 0}, "b", "time in seconds"),
    ],
    ids=["nothing", "unknown", "address", "board", "type", "zero"],
)
def test_a_bad_configuration_is_refused(table, board, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        from_table(table, board, tmp_path)
