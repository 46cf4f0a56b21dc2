"""Standard output that is gone, full, or was never there."""

import os
import sys

import pytest

from profiles.errors import OutputError
from toolchain.streams import give_up, standard_streams, tell, write


@pytest.fixture
def stdout(monkeypatch):
    """``stdout(descriptor)`` takes the place of standard output."""
    made = []

    def replace(descriptor):
        made.append(os.fdopen(descriptor, "w"))
        monkeypatch.setattr(sys, "stdout", made[-1])
        return made[-1]

    yield replace
    for stream in made:
        stream.close()


def test_text_arrives_at_once(stdout):
    reader, writer = os.pipe()
    stdout(writer)
    write("now")
    assert os.read(reader, 10) == b"now"
    os.close(reader)


def test_a_reader_who_has_gone_is_no_error_now_or_later(stdout):
    reader, writer = os.pipe()
    stdout(writer)
    os.close(reader)
    write("x" * 100_000)
    write("more")
    sys.stdout.flush()


def test_a_full_disk_is_an_error_once(stdout):
    stdout(os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(OutputError, match="standard output") as caught:
        write("x")
    assert caught.value.seen == "No space left on device"
    sys.stdout.flush()


def test_without_a_standard_streams_text_goes_nowhere(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with standard_streams():
        write("nowhere")
    assert sys.stdout is None


def test_what_is_still_held_back_is_sent_at_the_end(stdout):
    reader, writer = os.pipe()
    stdout(writer)
    with standard_streams():
        sys.stdout.write("late")
    assert os.read(reader, 10) == b"late"
    os.close(reader)


def test_giving_up_leaves_no_descriptor_open(stdout):
    stream = stdout(os.open(os.devnull, os.O_WRONLY))
    before = len(os.listdir("/proc/self/fd"))
    give_up(stream)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_reader_of_standard_error_who_has_gone_is_no_error(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        tell("nobody hears this")
        tell("nor this")


def test_without_a_standard_error_nothing_lands_on_standard_output(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    tell("nowhere")
    with standard_streams():
        print("nowhere either", file=sys.stderr)
    assert capsys.readouterr().out == ""
