"""Documents of every kind, valid ones, for hypothesis."""

from hypothesis import strategies as st

from toolchain.fleet.documents.plan import DAYS, STATES, Plan, Wave, Window
from toolchain.fleet.documents.release import Blob, Delta, Depends, File, Limit, Packed, Release
from toolchain.fleet.documents.report import OUTCOMES, REASONS, STAGES, Answer, Attempt, Enrolment, Report

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?", fullmatch=True)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
PLAIN = st.text(max_size=20).filter(str.isprintable)
HASHES = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
NUMBERS = st.floats(-1e6, 1e6)
MAPS = st.dictionaries(WORDS, WORDS, max_size=3)
PLAIN_MAPS = st.dictionaries(PLAIN, PLAIN, max_size=3)

BLOBS = st.builds(Blob, HASHES, st.integers(1, 1000))
DELTAS = st.lists(st.builds(Delta, HASHES, BLOBS), max_size=2).map(tuple)
PARTS = st.from_regex(r"[a-z0-9_]{1,8}", fullmatch=True)


@st.composite
def files(draw):
    """Files of one bundle: no two of one name, and none with the name of a folder."""
    names = draw(st.lists(PARTS, min_size=1, max_size=4, unique=True))
    folders = draw(st.lists(st.sampled_from(["", "deep/", "de/ep/"]), min_size=len(names), max_size=len(names)))
    paths = [f"{folder}f-{name}" for folder, name in zip(folders, names, strict=True)]
    return tuple(File(path, draw(BLOBS), draw(st.booleans()), draw(DELTAS)) for path in paths)


TUPLES = st.lists(NAMES, max_size=3).map(tuple)
DEPENDS = st.builds(
    Depends, NAMES, WORDS, isa=TUPLES, sm=TUPLES, packages=MAPS, memory=st.integers(0, 1 << 40), board=WORDS
)
LIMITS = st.lists(st.builds(Limit, NAMES, NUMBERS), max_size=3).map(tuple)
PACKED = st.builds(Packed, NAMES, WORDS, HASHES, DEPENDS, files(), LIMITS, st.booleans())


@st.composite
def releases(draw):
    """Any release."""
    version = draw(st.integers(1, 1 << 31))
    bundles = tuple(draw(st.lists(PACKED, min_size=1, max_size=2)))
    repeats = draw(st.integers(0, version - 1))
    return Release(draw(NAMES), version, draw(WORDS), draw(WORDS), bundles, repeats, draw(WORDS))


TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
WINDOWS = st.lists(
    st.builds(Window, TIMES, TIMES, st.lists(st.sampled_from(DAYS), max_size=3).map(tuple)), max_size=2
).map(tuple)


def waves_of(name):
    """A wave of any kind."""
    return st.one_of(
        st.builds(Wave, st.just(name), st.floats(0.001, 100)),
        st.builds(Wave, st.just(name), devices=st.lists(NAMES, min_size=1, max_size=3).map(tuple)),
        st.builds(Wave, st.just(name), labels=st.dictionaries(WORDS, WORDS, min_size=1, max_size=3)),
    )


@st.composite
def plans(draw):
    """Any plan."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    waves = tuple(draw(waves_of(name)) for name in names)
    return Plan(
        draw(NAMES),
        draw(NAMES),
        draw(st.integers(1, 1 << 53)),
        draw(st.integers(1, 1 << 31)),
        draw(st.sampled_from(STATES)),
        draw(WORDS),
        waves,
        draw(st.integers(0, len(waves))),
        draw(st.floats(0, 30 * 86400)),
        draw(WINDOWS),
        draw(st.none() | st.floats(0, 1000)),
    )


SMALL = st.integers(0, 1 << 53)
ATTEMPTS = st.builds(
    Attempt,
    SMALL,
    SMALL,
    st.sampled_from(STAGES),
    st.sampled_from(OUTCOMES),
    st.sampled_from(REASONS),
    PLAIN,
    SMALL,
    SMALL,
)
LATENCIES = st.none() | st.just(0.0) | st.floats(1e-9, 1e6)
REPORTS = st.builds(
    Report,
    NAMES,
    st.integers(1, 1 << 53),
    NUMBERS,
    NAMES,
    NAMES,
    SMALL,
    PLAIN,
    ATTEMPTS,
    PLAIN_MAPS,
    PLAIN_MAPS,
    LATENCIES,
    LATENCIES,
)
ANSWERS = st.builds(Answer, st.floats(0, 7 * 86400), SMALL)
ENROLMENTS = st.builds(Enrolment, NAMES, WORDS, WORDS, NAMES, NAMES, PLAIN_MAPS)
DOCUMENTS = {
    Release: releases(),
    Plan: plans(),
    Report: REPORTS,
    Answer: ANSWERS,
    Enrolment: ENROLMENTS,
}
