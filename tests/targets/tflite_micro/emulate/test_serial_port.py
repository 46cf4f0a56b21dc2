"""Boards over a serial port: a peer on a pseudo-terminal, and real firmware behind QEMU's."""

import contextlib
import os
import re
import struct
import sys
import threading
import tty

import pytest
from stub_build import built, inputs, plus_one

from profiles.device import load_device
from profiles.errors import ConfigError, MissingToolError, ToolCrashError, UnreachableError, VerificationError
from targets.execute import spawn
from targets.serial_address import SerialAddress, parse_serial
from targets.tflite_micro.emulate import qemu
from targets.tflite_micro.emulate.protocol import Code, Frame, Parser
from targets.tflite_micro.emulate.serial_port import board

DIGEST = "0123456789abcdef"
HANG, NOISE, FAULT = b"hang", b"nois", b"falt"


class Board(threading.Thread):
    """Plays the firmware: one input and one output of four bytes, two layers; does as the input says."""

    def __init__(self, fd):
        super().__init__(daemon=True)
        self.fd, self.parser, self.runs = fd, Parser(), 0

    def run(self):
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(self.fd, 4096):
                self.parser.feed(data)
                while (frame := self.parser.next()) is not None:
                    os.write(self.fd, self.answer(frame))

    def answer(self, frame):
        answers = {
            Code.INFO: struct.pack("<11I", 1, 1_000_000, 64, 1024, 2, 0x01234567, 0x89ABCDEF, 1, 1, 4, 4),
            Code.RUN: struct.pack("<I", 77) + frame.payload[::-1],
            Code.LAYERS: struct.pack("<2I", 30, 47),
            Code.STACK: struct.pack("<I", 300),
            Code.INIT: struct.pack("<I", 5),
        }  # fmt: skip
        whole = Frame(frame.code, frame.tag, answers[frame.code]).encode()
        if frame.payload == HANG:
            return b"EW"
        if frame.payload == FAULT:
            return Frame(Code.FAULT, 0, struct.pack("<7I", 3, 0x1000, 1 << 25, 0, 0, 0, 0)).encode()
        return b"boot: hello\r\nE" + whole if frame.payload == NOISE else whole


@pytest.fixture
def port():
    """The place of a board that answers."""
    ours, theirs = os.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    Board(ours).start()
    yield f"serial://{os.ttyname(theirs)}?baud=115200"
    os.close(theirs)
    os.close(ours)


def test_a_board_answers(port):
    with board(port, digest=DIGEST) as session:
        assert session.info.digest == DIGEST
        assert (session.info.inputs, session.info.outputs, session.info.layers) == ((4,), (4,), 2)
        result = session.run([b"abcd"])
        assert (result.outputs, result.ticks) == ((b"dcba",), 77)
        assert session.layers([b"abcd"]) == (30, 47)
        assert (session.stack(), session.reset()) == (300, 5)


def test_what_a_board_prints_besides_is_skipped(port):
    with board(port) as session:
        assert session.run([NOISE]).outputs == (NOISE[::-1],)


def test_a_board_that_stops_answering_and_then_goes_on(port):
    with board(port, timeout=0.2, patience=2) as session:
        with pytest.raises(UnreachableError, match="the board at /dev/pts/"):
            session.run([HANG])
        assert session.run([b"abcd"]).outputs == (b"dcba",), "the line was brought into step"


def test_a_fault_on_a_board_is_told(port):
    with board(port) as session, pytest.raises(ToolCrashError, match=r"the firmware on the board at .* faulted"):
        session.run([FAULT])


def test_other_firmware_on_the_board(port):
    with pytest.raises(VerificationError, match="runs other firmware"), board(port, digest="f" * 16):
        pass


def test_nobody_answers():
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    try:
        place = f"serial://{os.ttyname(theirs)}"
        with pytest.raises(UnreachableError, match="does not answer"), board(place, patience=0.5):
            pass
    finally:
        os.close(ours)
        os.close(theirs)


def test_the_board_is_unplugged():
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    name = os.ttyname(theirs)
    peer = Board(os.dup(ours))
    peer.start()
    with board(f"serial://{name}", timeout=1, patience=2) as session:
        os.close(theirs)
        os.close(peer.fd)
        os.close(ours)
        with pytest.raises(UnreachableError, match=f"lost the board at {name}|does not answer"):
            session.run([HANG])


def test_no_such_port():
    with (
        pytest.raises(UnreachableError, match="wanted to open /dev/no-such-port") as caught,
        board("serial:///dev/no-such-port"),
    ):
        pass
    assert "dialout" in caught.value.next_step


def test_without_pyserial(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(MissingToolError, match="pip install pyserial"), board("serial:///dev/ttyACM0"):
        pass


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("serial:///dev/ttyACM0?baud=115200", ("/dev/ttyACM0", 115200)),
        ("serial:///dev/ttyUSB1", ("/dev/ttyUSB1", 115200)),
        ("serial:///dev/serial/by-id/usb-STM%20link?baud=921600", ("/dev/serial/by-id/usb-STM link", 921600)),
        ("serial://COM3?baud=9600", ("COM3", 9600)),
    ],
)
def test_places_of_boards(url, wanted):
    assert parse_serial(url) == SerialAddress(*wanted)


@pytest.mark.parametrize(
    "url",
    [
        "/dev/ttyACM0",
        "serial://",
        "ssh://host",
        "serial:///dev/x?baud=fast",
        "serial:///dev/x?baud=1",
        "serial:///dev/x?speed=9600",
    ],
)
def test_what_is_no_place(url):
    with pytest.raises(ConfigError, match="wanted the address of a board") as caught:
        parse_serial(url)
    assert "serial:///dev/PORT?baud=N" in caught.value.allowed


@pytest.mark.parametrize("name", ["cortex-m4-an386", "cortex-m55-an547"])
def test_real_firmware_behind_a_real_terminal(name):
    """QEMU's serial line on a pseudo-terminal is as close to a board as one gets without one."""
    firmware, device = built(name), load_device(name)
    argv = [
        word.replace("stdio,id=uart,signal=off", "pty,id=uart") for word in qemu.argv(device, firmware.elf, line="uart")
    ]
    with spawn(argv) as talk:
        said = b""
        while not (found := re.search(rb"redirected to (/dev/\S+)", said)):
            said += talk.read(10)
        with board(f"serial://{found[1].decode()}", digest=firmware.digest) as session:
            for number in (1, 2):
                given = inputs()
                result = session.run(given)
                assert result.outputs == (plus_one(given[0]), number.to_bytes(4, "little"))
            assert abs(sum(session.layers(given)) - result.ticks) <= 4
            assert 32 < session.stack() < 500
