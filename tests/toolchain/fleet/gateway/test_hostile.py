"""Boards that answer anything at all, and lines that are pulled between any two steps: our error, or the goal."""

import asyncio

import cbor2
import fleet_memory_boards as mb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from profiles.errors import EdgewrightError, UnreachableError, UnsupportedError, VerificationError
from toolchain.fleet.gateway.board import go_back, keep
from toolchain.fleet.gateway.commands import reason_of
from toolchain.fleet.gateway.flash import install
from toolchain.fleet.gateway.smp_errors import plain

SLOT = 24 << 10
_SIMPLE = st.none() | st.booleans() | st.integers(-(1 << 63), 1 << 63) | st.floats() | st.text() | st.binary()
#: What CBOR can say, with some of the words that SMP knows.
_WORDS = st.sampled_from(
    ["images", "slot", "version", "hash", "active", "off", "rc", "err", "group", "buf_size", "output"]
)
_VALUES = st.recursive(
    _SIMPLE, lambda inner: st.lists(inner) | st.dictionaries(_WORDS | st.text(), inner), max_leaves=12
)


def a_board(folder):
    """It runs version 1, and keeps it."""
    return mb.MemoryBoard(folder / "flash.bin", mb.wanted(1, 1)[1], SLOT)


@pytest.fixture
def board(tmp_path):
    return a_board(tmp_path)


async def whole(line, place):
    """The way of a release, and back."""
    new, image = mb.wanted(2, 2)
    await install(line, place, new, image)
    await go_back(line, place)
    await install(line, place, new, image)
    await keep(line, new)


def head_of(request, size):
    """The header of an answer to this request, for ``size`` bytes of content."""
    return bytes([request[0] + 1, request[1]]) + size.to_bytes(2, "big") + bytes(request[4:8])


def answering(content):
    """A board that answers every request with this content."""
    body = content if isinstance(content, bytes) else cbor2.dumps(content)
    return lambda data, answer: head_of(data, len(body)) + body


@settings(max_examples=300)
@given(st.binary(max_size=64))
@example(b"")
@example(bytes(8))
@example(bytes(7) + b"\x00\xa0")
def test_bytes_that_are_no_answer_give_an_error_of_ours(data):
    line, place = mb.line(None, lambda request, answer: data)
    with pytest.raises(EdgewrightError):
        asyncio.run(whole(line, place))


@settings(max_examples=300)
@given(st.binary(max_size=64) | _VALUES)
@example(b"\x81" * 60)
@example([])
@example({"images": []})
@example({"images": [{"slot": 0, "version": "9" * 5000 + ".0.0", "hash": b"", "active": True, "confirmed": True}]})
@example({"rc": 5})
@example({"err": {"group": 1, "rc": 10_000}})
def test_answers_that_make_no_sense_give_an_error_of_ours(content):
    line, place = mb.line(None, answering(content))
    with pytest.raises(EdgewrightError):
        asyncio.run(whole(line, place))


@pytest.mark.parametrize(
    "next_offset",
    [lambda at, size: 0, lambda at, size: -5, lambda at, size: size + 1, lambda at, size: 1 << 40,
     lambda at, size: 100 if at == 0 else 0],
    ids=["never-more", "negative", "behind-the-end", "far-behind", "to-and-fro"],
)  # fmt: skip
def test_a_board_that_never_has_the_image_is_given_up(board, next_offset):
    asked = []

    def hostile(data, answer):
        if data[4:6] == b"\0\1" and data[7] == 1:
            content = cbor2.loads(data[8:])
            asked.append(content["off"])
            assert len(asked) < 1000, "the upload goes on for ever"
            body = cbor2.dumps({"off": next_offset(content["off"], 9860)})
            return head_of(data, len(body)) + body
        return answer(data)

    line, place = mb.line(board, hostile)
    with pytest.raises(VerificationError, match="does not take the image"):
        asyncio.run(whole(line, place))


def test_what_a_board_says_does_no_harm_to_a_terminal():
    assert plain("\x1b[2J\x07 nucleo\r\nroot@gateway:~# \u202e") == "[2J nucleo root@gateway:~#"
    assert len(plain("x" * 10_000)) == 200


def counted(board):
    """Requests of the whole way."""
    seen = []

    def watch(data, answer):
        seen.append(data)
        return answer(data)

    asyncio.run(whole(*mb.line(board, watch)))
    return len(seen)


class Pulled:
    """The line is pulled at request ``number``, before or after the board got it, for ``times`` requests."""

    def __init__(self, number, is_heard, times):
        self.number, self.is_heard, self.left, self.seen = number, is_heard, times, 0

    def __call__(self, data, answer):
        self.seen += 1
        if self.seen < self.number or not self.left:
            return answer(data)
        self.left -= 1
        if self.is_heard:
            answer(data)
        raise TimeoutError("nobody answers")


@pytest.mark.parametrize("is_heard", [False, True], ids=["request-lost", "answer-lost"])
def test_a_line_that_is_pulled_between_any_two_steps(tmp_path, is_heard):
    """An error that says so; the board runs old or new firmware; and the same again, with the line, gets there."""
    new, old = mb.wanted(2, 2)[0].digest, mb.wanted(1, 1)[0].digest
    for number in range(1, counted(a_board(tmp_path)) + 1):
        board = a_board(tmp_path)
        with pytest.raises(UnreachableError):
            asyncio.run(whole(*mb.line(board, Pulled(number, is_heard, 1 << 20))))
        assert board.running in (old, new), f"pulled at request {number}"
        asyncio.run(whole(*mb.line(board)))
        assert board.running == new and board.server.images()[0]["confirmed"], f"pulled at request {number}"


@pytest.mark.parametrize("is_heard", [False, True], ids=["request-lost", "answer-lost"])
def test_a_line_that_is_lost_for_a_moment_is_not_noticed(tmp_path, is_heard):
    """Nobody has to begin anew because of a single lost frame, but where a restart was never heard of."""
    new = mb.wanted(2, 2)[0].digest
    for number in range(1, counted(a_board(tmp_path)) + 1):
        board = a_board(tmp_path)
        try:
            asyncio.run(whole(*mb.line(board, Pulled(number, is_heard, 1), boot=0.3)))
        except UnreachableError as error:
            assert not is_heard and error.seen == "it answers, and has not restarted", f"request {number}: {error}"
            continue
        assert board.running == new and board.server.images()[0]["confirmed"], f"lost at request {number}"


def test_an_image_of_just_the_slots_size_is_taken_and_one_byte_more_is_not(board):
    async def upload(line, place, size):
        await line.upload(image[:20] + b"\0\0\2\0" + bytes(size - 24), lambda done, full: None)

    image = mb.wanted(2, 2)[1]
    full = SLOT - 4096  # the last sector is the trailer's
    asyncio.run(upload(*mb.line(board), full))
    with pytest.raises(UnsupportedError, match="the board refused the image") as caught:
        asyncio.run(upload(*mb.line(board), full + 1))
    assert caught.value.seen == "invalid image too large" and board.running == mb.wanted(1, 1)[0].digest


def test_other_firmware_of_the_same_version_is_refused_by_the_board(board):
    """Two releases never have the same version; two fleets may."""
    new, image = mb.wanted(1, 2)
    with pytest.raises(VerificationError, match="the board refused the image") as caught:
        asyncio.run(install(*mb.line(board), new, image))
    assert caught.value.seen == "current version is newer" and board.running == mb.wanted(1, 1)[0].digest


def test_an_image_for_another_board_is_refused_by_the_bootloader(board):
    """Whoever holds the gateway can bring it there; it is not started."""
    other, image = mb.wanted(2, 2, board="cortex-m3-an385")
    with pytest.raises(VerificationError, match="did not start the new firmware") as caught:
        asyncio.run(install(*mb.line(board), other, image))
    assert reason_of("install", caught.value) == "crash", "it is not tried again: each time wears the board's flash"
    assert board.running == mb.wanted(1, 1)[0].digest and board.server.images()[0]["confirmed"]


def test_the_images_of_a_second_core_are_left_alone(board):
    """It runs, is newer, and is waited for by nobody: image 0 is ours."""
    other = {"slot": 0, "image": 1, "hash": b"o" * 32, "version": "9.9.9", "active": True, "confirmed": False}

    def two_cores(data, answer):
        said = answer(data)
        if data[4:6] != b"\0\1" or data[7] != 0:
            return said
        body = cbor2.dumps({"images": [other, *cbor2.loads(said[8:])["images"]]})
        return head_of(data, len(body)) + body

    asyncio.run(whole(*mb.line(board, two_cores)))
    assert board.running == mb.wanted(2, 2)[0].digest and board.server.images()[0]["confirmed"]
