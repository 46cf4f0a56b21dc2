"""What documents refuse to be made of: names, hashes, paths, counts, words."""

import dataclasses
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toolchain.fleet.documents.fleet_documents import PACKED
from tests.toolchain.fleet.fleet_homes import a_plan, a_release
from toolchain.fleet.documents import checks
from toolchain.fleet.documents.plan import Wave, Window, plan_path
from toolchain.fleet.documents.release import (
    MOST_FILE,
    Blob,
    Delta,
    Depends,
    File,
    Limit,
    Packed,
    Release,
    release_path,
)
from toolchain.fleet.documents.report import Answer, Attempt, Enrolment, Report

BAD_NAMES = {
    "empty": "",
    "upper": "Cam",
    "space": "a b",
    "slash": "a/b",
    "dots": "..",
    "leading dot": ".a",
    "trailing hyphen": "a-",
    "long": "x" * 65,
    "line": "a\n",
    "umlaut": "ä",
    "nul": "a\0",
    "star": "*",
}
BAD_HASHES = {
    "short": "a" * 63,
    "long": "a" * 65,
    "upper": "A" * 64,
    "other": "g" * 64,
    "line": "a" * 63 + "\n",
    "empty": "",
}
BAD_PATHS = {
    "empty": "",
    "absolute": "/etc/passwd",
    "up": "../x",
    "up inside": "a/../../x",
    "here": "./x",
    "double": "a//b",
    "folder": "a/",
    "backslash": "a\\..\\b",
    "drive": "c:x",
    "nul": "a\0b",
    "line": "a\nb",
    "delete": "a\x7f",
    "star": "a*",
    "home": "~/x",
    "trailing dot": "a./b",
    "trailing space": "a /b",
    "long": "x" * 241,
}
BLOB = Blob("a" * 64, 3)


@pytest.mark.parametrize("bad", BAD_NAMES.values(), ids=BAD_NAMES)
def test_names(bad):
    makers = [
        lambda: Depends(bad),
        lambda: Limit(bad, 1.0),
        lambda: a_release(product=bad),
        lambda: a_plan(product=bad),
        lambda: a_plan(channel=bad),
        lambda: Wave(bad, 5.0),
        lambda: Packed(bad, "int8", "a" * 64, Depends("d"), (File("x", BLOB),)),
        lambda: Report(bad, 1, 0.0, "p", "c", 0, "1"),
        lambda: Report("d", 1, 0.0, bad, "c", 0, "1"),
        lambda: Report("d", 1, 0.0, "p", bad, 0, "1"),
        lambda: Enrolment(bad, "k", "t", "p", "c"),
        lambda: Enrolment("d", "k", "t", bad, "c"),
        lambda: Enrolment("d", "k", "t", "p", bad),
    ]
    for make in makers:
        with pytest.raises(ValueError, match="must be of a-z 0-9"):
            make()


@pytest.mark.parametrize("good", ["a", "0", "a.b_c-d", "x" * 64, "9-9"])
def test_good_names(good):
    checks.name(good, "a name")
    assert plan_path(good, good) == f"rollouts/{good}/{good}.json"
    assert release_path(good, 3) == f"releases/{good}/3.json"


@pytest.mark.parametrize("bad", BAD_HASHES.values(), ids=BAD_HASHES)
def test_hashes(bad):
    for make in (
        lambda: Blob(bad, 1),
        lambda: Delta(bad, BLOB),
        lambda: Packed("null", "int8", bad, Depends("d"), (File("x", BLOB),)),
    ):
        with pytest.raises(ValueError, match="is no SHA-256"):
            make()


@pytest.mark.parametrize("bad", BAD_PATHS.values(), ids=BAD_PATHS)
def test_paths(bad):
    with pytest.raises(ValueError, match="is no path below a folder"):
        File(bad, BLOB)


@given(st.text(max_size=30))
def test_a_path_that_is_taken_stays_below_its_folder(text):
    """Whatever is taken leads to a place below the folder, by the rules of the system itself."""
    try:
        checks.path(text, "it")
    except ValueError:
        return
    root = pathlib.Path("/nowhere/at/all")
    place = pathlib.Path(*(root / text).parts)
    assert place.is_relative_to(root) and place != root and ".." not in place.parts
    assert place.relative_to(root).as_posix() == text, "it means one place, and is spelled in one way"


@given(PACKED)
def test_the_size_of_a_bundle_is_that_of_its_files(packed):
    assert packed.size == sum(file.content.size for file in packed.files)


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (("a", "a"), "one name"),
        (("a", "A"), "one name"),
        (("a/b", "a"), "name of a folder"),
        (("a/b/c", "A/B"), "name of a folder"),
    ],
)
def test_files_that_would_be_one_on_some_file_system(paths, words):
    with pytest.raises(ValueError, match=words):
        Packed("null", "int8", "a" * 64, Depends("d"), tuple(File(path, BLOB) for path in paths))


def packed(**changes):
    return dataclasses.replace(Packed("null", "int8", "a" * 64, Depends("d"), (File("x", BLOB),)), **changes)


LIMITS = {
    "a blob below 0": lambda: Blob("a" * 64, -1),
    "a blob too large": lambda: Blob("a" * 64, MOST_FILE + 1),
    "a bundle of nothing": lambda: packed(files=()),
    "a bundle of empty files": lambda: packed(files=(File("x", Blob("a" * 64, 0)),)),
    "a bundle too large": lambda: packed(files=tuple(File(f"f{n}", Blob("a" * 64, MOST_FILE)) for n in range(3))),
    "too many files": lambda: packed(files=tuple(File(f"f{n}", BLOB) for n in range(10_001))),
    "memory": lambda: Depends("d", memory=-1),
    "version 0": lambda: a_release(0),
    "a version too large": lambda: a_release((1 << 31) + 1),
    "no bundles": lambda: a_release(bundles=()),
    "too many bundles": lambda: a_release(bundles=(packed(),) * 101),
    "it repeats itself": lambda: a_release(3, repeats=3),
    "it repeats less than nothing": lambda: a_release(3, repeats=-1),
    "sequence 0": lambda: a_plan(0),
    "release 0": lambda: a_plan(1, 0),
    "no waves": lambda: a_plan(waves=(), open_waves=0),
    "too many waves": lambda: a_plan(waves=tuple(Wave(f"w{n}", 1.0) for n in range(101))),
    "more open than there are": lambda: a_plan(open_waves=2),
    "fewer than none open": lambda: a_plan(open_waves=-1),
    "soak": lambda: a_plan(soak=-1.0),
    "soak for ever": lambda: a_plan(soak=1e9),
    "an unknown state": lambda: a_plan(state="runing"),
    "two waves of a name": lambda: a_plan(waves=(Wave("w", 1.0), Wave("w", 2.0))),
    "a wave of nobody": lambda: Wave("w"),
    "a wave of two kinds": lambda: Wave("w", 5.0, devices=("d",)),
    "a wave of all kinds": lambda: Wave("w", 5.0, ("d",), {"a": "b"}),
    "a wave above 100 %": lambda: Wave("w", 100.1),
    "a wave below 0": lambda: Wave("w", -1.0),
    "a wave of no number": lambda: Wave("w", float("nan")),
    "counter 0": lambda: Report("d", 0, 0.0, "p", "c", 0, "1"),
    "a latency below 0": lambda: Report("d", 1, 0.0, "p", "c", 0, "1", before=-1.0),
    "a long label": lambda: Report("d", 1, 0.0, "p", "c", 0, "1", labels={"a" * 65: ""}),
    "a long value": lambda: Report("d", 1, 0.0, "p", "c", 0, "1", provides={"a": "x" * 1001}),
    "an unknown stage": lambda: Attempt(stage="x"),
    "an unknown outcome": lambda: Attempt(outcome="x"),
    "an unknown reason": lambda: Attempt(reason="x"),
    "a long detail": lambda: Attempt(detail="x" * 1001),
    "a detail of two lines": lambda: Attempt(detail="a\nb"),
    "a latency that divides by zero": lambda: Report("d", 1, 0.0, "p", "c", 0, "1", after=5e-324),
    "a running version too large": lambda: Report("d", 1, 0.0, "p", "c", (1 << 53) + 1, "1"),
    "a running version below 0": lambda: Report("d", 1, 0.0, "p", "c", -1, "1"),
    "a huge counter": lambda: Report("d", 10**400, 0.0, "p", "c", 0, "1"),
    "an attempt's release": lambda: Attempt(release=1 << 63),
    "an attempt's sequence": lambda: Attempt(sequence=-1),
    "an attempt's bytes": lambda: Attempt(fetched=10**400),
    "an attempt's size": lambda: Attempt(full=1 << 54),
    "an answer's counter": lambda: Answer(1.0, 10**400),
    "an answer's counter below 0": lambda: Answer(1.0, -1),
    "a long label of an enrolment": lambda: Enrolment("d", "k", "t", "p", "c", {"a" * 65: ""}),
    "an answer in the past": lambda: Answer(-1.0, 0),
    "an answer never": lambda: Answer(1e9, 0),
}


@pytest.mark.parametrize("make", LIMITS.values(), ids=LIMITS)
def test_what_is_out_of_bounds(make):
    with pytest.raises(ValueError, match=r".{8}"):
        make()


ODD = {"escape": "\x1b[2J", "c1": "\x9b2J", "delete": "\x7f", "direction": "\u202e", "line": "a\nb", "half": "\ud800"}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_a_terminal_would_obey(odd):
    makers = [
        lambda: Attempt(detail=odd),
        lambda: Report("d", 1, 0.0, "p", "c", 0, odd),
        *(lambda pairs=pairs: Report("d", 1, 0.0, "p", "c", 0, "1", labels=pairs) for pairs in ({odd: ""}, {"": odd})),
        *(
            lambda pairs=pairs: Report("d", 1, 0.0, "p", "c", 0, "1", provides=pairs)
            for pairs in ({odd: ""}, {"": odd})
        ),
        *(lambda pairs=pairs: Enrolment("d", "k", "t", "p", "c", pairs) for pairs in ({odd: ""}, {"": odd})),
    ]
    for make in makers:
        with pytest.raises(ValueError, match="cannot be printed") as caught:
            make()
        assert str(caught.value).isprintable(), "the refusal itself is shown to people"


def test_what_is_just_within_bounds():
    assert Blob("a" * 64, MOST_FILE).url_path == f"blobs/aa/{'a' * 64}"
    assert a_release(1 << 31, repeats=(1 << 31) - 1).version == 1 << 31
    assert a_plan(waves=tuple(Wave(f"w{n}", 1.0) for n in range(100)), open_waves=100).open_waves == 100
    assert isinstance(a_release(bundles=(packed(),) * 100), Release)


@pytest.mark.parametrize(
    "text",
    ["", "1:00", "24:00", "12:60", "12.30", "12:3", "12:300", " 2:30", "+2:30", "１２:30", "ab:cd", "12:30\n", "-1:30"],
)
def test_times_of_day(text):
    for make in (lambda: Window(text, "12:00"), lambda: Window("12:00", text)):
        with pytest.raises(ValueError, match="is no time of day"):
            make()


def test_days():
    with pytest.raises(ValueError, match="unknown days: Mon, sunday"):
        Window("00:00", "23:59", ("sun", "sunday", "Mon"))
