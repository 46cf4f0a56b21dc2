"""Frames, and the peer's patience, without any device."""

import itertools
import struct

import hypothesis.strategies as st
import pytest
from hypothesis import given

from profiles.errors import ToolCrashError, UnreachableError, VerificationError
from targets.tflite_micro.emulate.faults import fault
from targets.tflite_micro.emulate.info import Info
from targets.tflite_micro.emulate.protocol import Code, Frame, Parser, Peer, crc

frames = st.builds(Frame, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=60))


class Wire:
    """Answers a request as a function of its frame says; nothing takes time."""

    def __init__(self, answer, takes=1 << 20):
        self.answer, self.takes = answer, takes
        self.parser, self.waiting, self.written = Parser(), [], b""

    def write(self, data, timeout):
        del timeout
        taken = data[: self.takes]
        self.written += taken
        self.parser.feed(taken)
        while (frame := self.parser.next()) is not None:
            self.waiting += self.answer(frame)
        return len(taken)

    def read(self, timeout):
        del timeout
        return self.waiting.pop(0) if self.waiting else b""


def echo(frame):
    return [frame.encode()]


def parsed(chunks):
    parser, found = Parser(), []
    for chunk in chunks:
        parser.feed(chunk)
        while (frame := parser.next()) is not None:
            found.append(frame)
    return found


def test_the_crc_is_the_one_that_is_named():
    assert crc(b"123456789") == 0x29B1, "CRC-16/IBM-3740's check value"


@given(st.lists(frames, max_size=6), st.integers(1, 40))
def test_frames_come_back_however_they_are_cut(sent, step):
    stream = b"".join(frame.encode() for frame in sent)
    chunks = [stream[at : at + step] for at in range(0, len(stream), step)]
    assert parsed(chunks) == sent


@given(frames, st.binary(max_size=40))
def test_noise_before_a_frame_is_skipped(frame, noise):
    long_tail = bytes(1 << 16)  # whatever the noise announces comes to an end
    if b"EW" in noise + b"E":
        return
    assert parsed([noise, frame.encode(), long_tail])[0] == frame


@given(frames, st.data())
def test_a_flipped_bit_is_never_taken_for_the_frame(frame, data):
    stream = bytearray(frame.encode())
    at = data.draw(st.integers(16, 8 * len(stream) - 1))
    stream[at // 8] ^= 1 << at % 8
    assert frame not in parsed([bytes(stream)])
    assert not [found for found in parsed([bytes(stream)]) if found.tag == frame.tag and found.code == frame.code]


def test_a_length_beyond_reason_is_no_header():
    nonsense = b"EW" + struct.pack("<BBI", 1, 1, 1 << 30)
    good = Frame(1, 2, b"x")
    assert parsed([nonsense + good.encode()]) == [good]


def test_a_peer_gets_its_answer():
    wire = Wire(lambda frame: [Frame(frame.code, frame.tag, b"fine").encode()])
    assert Peer(wire, "it").ask(Code.INFO, timeout=1) == b"fine"


def test_answers_of_earlier_requests_are_not_taken():
    old = Frame(Code.RUN, 77, b"old").encode()
    wire = Wire(lambda frame: [old, Frame(Code.RUN, frame.tag + 1, b"other").encode(), *echo(frame)])
    assert Peer(wire, "it").ask(Code.RUN, b"mine", timeout=1) == b"mine"


def test_tags_differ_from_one_request_to_the_next():
    tags = []
    wire = Wire(lambda frame: [tags.append(frame.tag), frame.encode()][1:])
    peer = Peer(wire, "it")
    for _ in range(600):
        peer.ask(Code.INFO, timeout=1)
    assert all(a != b for a, b in itertools.pairwise(tags))


def test_silence_is_told_with_what_was_skipped():
    peer = Peer(Wire(lambda frame: [b"some noise"]), "the board")
    with pytest.raises(UnreachableError, match="the board does not answer") as caught:
        peer.ask(Code.STACK, timeout=0.5)
    assert "no answer to STACK, and 10 bytes that are no answer" in caught.value.seen
    assert caught.value.allowed == "0.5 s"


def test_a_line_that_takes_nothing_is_told():
    with pytest.raises(UnreachableError, match="does not answer") as caught:
        Peer(Wire(echo, takes=5), "it").ask(Code.RUN, bytes(100), timeout=0.5)
    assert "took 5 of 110 bytes of RUN" in caught.value.seen


@pytest.mark.parametrize(
    ("code", "words"), [(Code.BAD_CRC, "bad crc"), (Code.BAD_LENGTH, "bad length"), (99, "code 99")]
)
def test_a_refusal_is_told(code, words):
    peer = Peer(Wire(lambda frame: [Frame(code, frame.tag, b"").encode()]), "it")
    with pytest.raises(VerificationError, match="it did not take RUN") as caught:
        peer.ask(Code.RUN, b"x", timeout=1)
    assert words in caught.value.seen


def words_of(cfsr=0, stacked=(1, 2, 3, 4, 5, 0x123, 0x456, 7), mmfar=0, bfar=0, exception=3):
    return struct.pack(f"<{7 + len(stacked)}I", exception, 0x20000700, cfsr, 0x40000000, 0, mmfar, bfar, *stacked)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (words_of(cfsr=1 << 25), ["division by zero", "pc 0x00000456", "lr 0x00000123", "HardFault"]),
        (words_of(cfsr=0x8200, bfar=0xA0000004), ["data bus error at 0xa0000004"]),
        (words_of(cfsr=0x82, mmfar=0x10), ["no access allowed there at 0x00000010"]),
        (words_of(cfsr=1 << 20, stacked=()), ["faulted: stack overflow"]),
        (words_of(stacked=()), ["sp is outside of the stack", "cause unknown"]),
        (words_of(exception=11), ["exception 11"]),
        (b"", ["cause unknown"]),
    ],
)
def test_faults_in_words(payload, words):
    said = str(fault(payload, "it"))
    assert not [word for word in words if word not in said], said


def test_a_fault_is_raised_whoever_asked():
    peer = Peer(Wire(lambda frame: [Frame(Code.FAULT, 0, words_of(cfsr=1 << 16)).encode()]), "it")
    with pytest.raises(ToolCrashError, match="undefined instruction"):
        peer.ask(Code.RUN, timeout=1)


def info_of(version=1, inputs=(10,), outputs=(4, 5), cut=None):
    head = struct.pack("<9I", version, 25_000_000, 64, 2048, 3, 1, 2, len(inputs), len(outputs))
    return (head + struct.pack(f"<{len(inputs + outputs)}I", *inputs, *outputs))[:cut]


def test_info_is_read():
    info = Info.decode(info_of(), "it")
    assert (info.tick_hz, info.arena, info.stack, info.layers) == (25_000_000, 64, 2048, 3)
    assert (info.digest, info.inputs, info.outputs) == ("0000000100000002", (10,), (4, 5))


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (info_of(version=2), "another version of the protocol"),
        (info_of(cut=20), "a short answer to INFO"),
        (info_of(cut=-1), "a short answer to INFO"),
        (struct.pack("<9I", 1, 1, 1, 1, 1, 1, 1, 0xFFFFFFFF, 0xFFFFFFFF), "a short answer to INFO"),
        (b"", "a short answer to INFO"),
    ],
)
def test_info_that_is_wrong_is_refused(payload, words):
    with pytest.raises(VerificationError, match=words):
        Info.decode(payload, "it")
