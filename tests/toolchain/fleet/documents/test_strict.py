"""Documents go to JSON and back, and whatever is not exactly one is refused."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import EdgewrightError, VerificationError
from tests.toolchain.fleet.documents.fleet_documents import DOCUMENTS
from tests.toolchain.fleet.fleet_homes import a_plan, a_release
from toolchain.fleet.documents import strict
from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.documents.release import Release
from toolchain.fleet.documents.report import Answer, Attempt, Enrolment, Report

KINDS = {kind.__name__: kind for kind in DOCUMENTS}
EXAMPLES = {
    Release: a_release(notes="n"),
    Plan: a_plan(most_slower=0.1),
    Report: Report("d", 1, 2.0, "cam", "stable", 3, "1", Attempt(detail="x"), {"a": "b"}, {"c": "d"}, 0.1),
    Answer: Answer(60.0, 1),
    Enrolment: Enrolment("d", "pem", "token", "cam", "stable", {"a": "b"}),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@given(data=st.data())
def test_what_is_written_is_read_back(kind, data):
    document = data.draw(DOCUMENTS[kind])
    text = strict.to_bytes(document)
    assert strict.from_bytes(kind, text) == document
    assert strict.to_bytes(strict.from_bytes(kind, text)) == text, "one document has one text"
    assert json.loads(text)["schema"] == strict.SCHEMA


def changed(kind, change):
    """The example with its JSON changed in place, as bytes."""
    body = json.loads(strict.to_bytes(EXAMPLES[kind]))
    change(body)
    return json.dumps(body).encode()


def refused(kind, text, words, **settings):
    with pytest.raises(VerificationError) as caught:
        strict.from_bytes(kind, text, **settings)
    assert words in str(caught.value), str(caught.value)
    return caught.value


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_unknown_field_is_refused(kind):
    error = refused(kind, changed(kind, lambda body: body.update(extra=1)), "unknown fields")
    assert error.seen == "extra"
    assert ("counter" if kind is Answer else "product") in error.allowed


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_needed_field_is_missed(kind):
    needed = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    assert needed
    for name in needed:
        error = refused(kind, changed(kind, lambda body, name=name: body.pop(name)), "lacks fields")
        assert error.seen == f"no {name}"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_fields_with_a_default_may_be_missing(kind):
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            read = strict.from_bytes(kind, changed(kind, lambda body, name=field.name: body.pop(name)))
            assert getattr(read, field.name) == field.default


WRONG = {"text": "text", "number": 1.5, "whole": 7, "truth": True, "list": [1], "object": {"a": 1}, "null": None}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("wrong", [pytest.param(value, id=name) for name, value in WRONG.items()])
def test_every_field_refuses_other_types(kind, wrong):
    """No 1 for true, no "1" for 1, no 1.0 for 1, no null for nothing; a whole number may stand for a real one."""
    tried = 0
    for name, value in json.loads(strict.to_bytes(EXAMPLES[kind])).items():
        field = next((each for each in dataclasses.fields(kind) if each.name == name), None)
        optional = field is not None and "None" in str(field.type)
        number = field is not None and "float" in str(field.type)
        if name == "schema" or type(wrong) is type(value) or (wrong is None and optional):
            continue
        if number and type(wrong) in (int, float):
            continue
        tried += 1
        refused(kind, changed(kind, lambda body, name=name: body.update({name: wrong})), "")
    assert tried or kind is Answer, "at least one field has another type"


def test_a_whole_number_may_stand_for_a_real_one_and_not_the_other_way():
    text = changed(Answer, lambda body: body.update(next=60))
    assert strict.from_bytes(Answer, text) == Answer(60.0, 1)
    refused(Answer, changed(Answer, lambda body: body.update(counter=1.0)), "must be of type int")
    refused(Answer, changed(Answer, lambda body: body.update(counter=True)), "must be of type int")
    refused(Answer, changed(Answer, lambda body: body.update(next=True)), "must be of type float")


@pytest.mark.parametrize(
    "text", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999"], ids=lambda text: text.decode()
)
def test_numbers_that_are_none(text):
    good = strict.to_bytes(Answer(60.0, 1))
    assert b"60.0" in good
    error = refused(Answer, good.replace(b"60.0", text), "")
    assert "is no JSON" in str(error) or "finite" in str(error)


def test_numbers_that_are_none_are_not_written():
    with pytest.raises(ValueError, match="JSON"):
        strict.to_bytes(dataclasses.replace(EXAMPLES[Report], time=float("nan")))


@pytest.mark.parametrize("level", ["top", "inside"])
def test_a_key_that_is_there_twice(level):
    text = strict.to_bytes(EXAMPLES[Report])
    old = b'"counter":1' if level == "top" else b'"detail":"x"'
    assert old in text
    refused(Report, text.replace(old, old + b"," + old), "twice")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b'"x"',
        b"\xff",
        b'{"schema":1}',
        b'{"schema":1,}',
        b"{'a':1}",
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda text: repr(text)[2:-1] or "empty",
)
def test_what_is_no_document(text):
    for kind in DOCUMENTS:
        refused(kind, text, "")


@pytest.mark.parametrize("schema", [0, 2, "1", 1.0, True, None])
def test_another_schema(schema):
    for kind in DOCUMENTS:
        refused(kind, changed(kind, lambda body: body.update(schema=schema)), "schema")
        refused(kind, changed(kind, lambda body: body.pop("schema")), "schema")


def test_what_is_too_large_is_not_even_parsed(monkeypatch):
    text = strict.to_bytes(EXAMPLES[Answer])
    assert strict.from_bytes(Answer, text, most=len(text)) == EXAMPLES[Answer]
    monkeypatch.setattr(json, "loads", lambda *given, **named: pytest.fail("it was parsed"))
    error = refused(Answer, text, "too large", most=len(text) - 1)
    assert (error.seen, error.allowed) == (f"{len(text)} bytes", f"{len(text) - 1} bytes")
    refused(Answer, bytes(strict.MOST_BYTES + 1), "too large")


@pytest.mark.parametrize("depth", [20, 100_000])
def test_what_is_nested_too_deeply(depth):
    """Neither our levels nor the parser's own stack give way."""
    nested = b"[" * depth + b"]" * depth
    text = strict.to_bytes(EXAMPLES[Plan]).replace(b'"waves":[', b'"waves":[' + nested + b",")
    refused(Plan, text, "")


@pytest.mark.parametrize("escape", [r"\ud800", r"x\udfff", r"\u0000"])
def test_text_that_nobody_could_write_down(escape):
    """JSON's escapes allow halves of characters, which fail where they are hashed, and NUL, which databases refuse."""
    for old in ("token", "stable", '"a"', '"b"'):
        text = strict.to_bytes(EXAMPLES[Enrolment])
        bare = old.strip('"').encode()
        assert b'"%s"' % bare in text
        refused(Enrolment, text.replace(b'"%s"' % bare, b'"%s"' % escape.encode()), "")
    refused(
        Plan, strict.to_bytes(EXAMPLES[Plan]).replace(b'"salt":"s"', b'"salt":"%s"' % escape.encode()), "must be text"
    )
    good = strict.to_bytes(EXAMPLES[Plan]).replace(b'"salt":"s"', rb'"salt":"\ud83d\ude00\\u0000"')
    assert strict.from_bytes(Plan, good).salt == "😀\\u0000"


def test_levels_are_counted():
    @dataclasses.dataclass(frozen=True)
    class Box:
        inner: tuple["Box", ...] = ()

    globals()["Box"] = Box
    box = Box()
    for _ in range(strict.MOST_LEVELS // 2 - 1):
        box = Box((box,))
    assert strict.from_bytes(Box, strict.to_bytes(box)) == box
    refused(Box, strict.to_bytes(Box((Box((box,)),))), "nested too deeply")


def test_errors_name_the_place():
    text = changed(Plan, lambda body: body["waves"][0].update(percent="5"))
    assert "plan.waves[0].percent" in str(refused(Plan, text, "float"))
    text = changed(Release, lambda body: body["bundles"][0]["files"][0]["content"].update(size=-1))
    assert "release.bundles[0].files[0].content" in str(refused(Release, text, "makes no sense"))
    text = changed(Report, lambda body: body["labels"].update(c=3))
    assert "report.labels.c" in str(refused(Report, text, "str"))


@given(st.data())
def test_damage_is_refused_or_gives_a_sound_document(data):
    """Bytes changed at random: one error of ours, or a document that says of itself that it is valid."""
    kind = data.draw(st.sampled_from(list(DOCUMENTS)))
    text = bytearray(strict.to_bytes(EXAMPLES[kind]))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at] = data.draw(st.integers(0, 255))
    try:
        read = strict.from_bytes(kind, bytes(text))
    except EdgewrightError as error:
        assert type(error) is VerificationError and error.seen
        return
    assert strict.from_bytes(kind, strict.to_bytes(read)) == read


@pytest.mark.parametrize("thing", [3, "x", {"a": 1}, Answer], ids=lambda thing: type(thing).__name__)
def test_only_documents_are_written(thing):
    with pytest.raises(TypeError, match="no document"):
        strict.to_bytes(thing)


HUGE = 10**400


@pytest.mark.parametrize(
    ("kind", "field"),
    [(Answer, "next"), (Answer, "counter"), (Report, "time"), (Report, "counter"), (Report, "running"),
     (Report, "before"), (Plan, "sequence"), (Plan, "soak"), (Release, "version")],
)  # fmt: skip
def test_a_number_that_is_no_float_is_refused(kind, field):
    error = refused(kind, changed(kind, lambda body: body.update({field: HUGE})), kind.__name__.lower())
    assert len(str(error)) < 500, "the whole number is repeated"


def test_a_float_that_is_huge_is_not_finite():
    refused(Answer, changed(Answer, lambda body: body.update(next=HUGE)), "must be finite")
