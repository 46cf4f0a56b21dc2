import os
import subprocess
import sys

import pytest

from profiles.errors import DataError, ToolCrashError
from targets.quiet import Chatter, in_our_words, quiet


def everything(word):
    """Python's streams, the file descriptors behind them, and a child process."""
    print(f"{word} by Python")
    print(f"{word} as an error", file=sys.stderr)
    os.write(1, f"{word} by native code\n".encode())
    os.write(2, f"{word} by native code as an error\n".encode())
    subprocess.run(["echo", f"{word} by a child"], check=True)


def test_nothing_gets_out_and_all_of_it_is_kept(capfd):
    print("before")
    with quiet() as chatter:
        everything("inside")
    print("after")
    captured = capfd.readouterr()
    assert captured.out.split() == ["before", "after"]
    assert captured.err == ""
    lines = {line.strip() for line in chatter.text.splitlines()}
    ways = ("by Python", "as an error", "by native code", "by native code as an error", "by a child")
    assert lines == {f"inside {way}" for way in ways}


def test_streams_are_back_after_an_exception(capfd):
    with pytest.raises(ValueError, match="a failure"), quiet() as chatter:
        print("said before it failed")
        raise ValueError("a failure")
    everything("outside")
    captured = capfd.readouterr()
    assert "outside by native code" in captured.out
    assert "outside by native code as an error" in captured.err
    assert chatter.tail() == "said before it failed", "what was said is there to be shown with the error"


def test_no_descriptor_is_left_open():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with quiet():
            pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_bytes_that_are_no_text_do_not_hurt():
    with quiet() as chatter:
        os.write(1, b"\xff\xfe broken\n")
    assert "broken" in chatter.text


def test_the_tail_is_the_last_lines_that_say_something():
    chatter = Chatter()
    assert chatter.tail() == ""
    chatter.text = "one\n\n  two \n\nthree\nfour\n\n"
    assert chatter.tail() == "two | three | four"
    assert chatter.tail(1) == "four"


def test_a_librarys_exception_becomes_one_of_ours_with_its_last_words():
    class VendorError(Exception):
        pass

    with pytest.raises(ToolCrashError) as caught, in_our_words("the engine must do its work"):
        print("something about layer 7")
        raise VendorError("no\n  luck")
    assert caught.value.wanted == "the engine must do its work"
    assert caught.value.seen == "VendorError: no luck something about layer 7"
    assert isinstance(caught.value.__cause__, VendorError)


@pytest.mark.parametrize("error", [DataError("bad"), OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_is_not_the_librarys_fault_passes(error):
    with pytest.raises(type(error)) as caught, in_our_words("anything"):
        raise error
    assert caught.value is error


def test_what_goes_well_is_only_quiet(capfd):
    with in_our_words("anything"):
        everything("inside")
    assert capfd.readouterr() == ("", "")
