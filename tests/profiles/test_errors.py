"""Errors: what they say, and that nothing is lost between processes."""

import copy
import json
import pickle

import pytest

from profiles import errors
from profiles.errors import ConfigError, EdgewrightError, ToolCrashError, error_from_dict


class DetailedConfigError(ConfigError):
    """A subclass of a subclass, as a target may define one."""


def all_kinds(root=EdgewrightError):
    return [root] + [kind for child in root.__subclasses__() for kind in all_kinds(child)]


KINDS = [kind for kind in all_kinds() if kind.__module__ == errors.__name__ and kind is not EdgewrightError]
FIELDS = {"seen": "'5 MS'", "allowed": "ms, s", "next_step": 'write "5 ms"'}


def same(one, other):
    return type(one) is type(other) and one.as_dict() == other.as_dict() and str(one) == str(other)


def test_the_kinds_that_the_exit_codes_need_are_there():
    names = {kind.__name__ for kind in KINDS}
    assert names >= {"ConfigError", "DataError", "OutputError", "ModelError", "UnsupportedError", "BudgetMissedError"}
    assert names >= {"MissingToolError", "VerificationError", "UnreachableError", "ToolCrashError"}


def test_the_message_has_all_four_parts_in_order():
    text = str(ConfigError("[budget] latency needs a unit", **FIELDS))
    assert text.splitlines() == [
        "[budget] latency needs a unit",
        "  seen:    '5 MS'",
        "  allowed: ms, s",
        '  next:    write "5 ms"',
    ]


def test_parts_that_are_empty_are_not_shown():
    assert str(ConfigError("wanted a file")) == "wanted a file"
    assert str(ConfigError("wanted a file", next_step="make one")) == "wanted a file\n  next:    make one"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [*KINDS, EdgewrightError, DetailedConfigError])
def test_pickle_keeps_type_and_fields(kind, protocol):
    error = kind("wanted this", **FIELDS)
    back = pickle.loads(pickle.dumps(error, protocol))
    assert same(back, error), f"{kind.__name__} came back as {type(back).__name__}: {back.as_dict()}"


@pytest.mark.parametrize("kind", [*KINDS, EdgewrightError, DetailedConfigError])
def test_copies_are_equal(kind):
    error = kind("wanted this", **FIELDS)
    assert same(copy.copy(error), error)
    assert same(copy.deepcopy(error), error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_dict_through_json_keeps_type_and_fields(kind):
    error = kind("wanted this", **FIELDS)
    back = error_from_dict(json.loads(json.dumps(error.as_dict())))
    assert same(back, error), f"{kind.__name__} came back as {type(back).__name__}"


@pytest.mark.parametrize("kind", [EdgewrightError, DetailedConfigError])
def test_a_dict_keeps_the_type_of_the_root_and_of_a_nested_subclass(kind):
    error = kind("wanted this", **FIELDS)
    assert same(error_from_dict(error.as_dict()), error)


def test_an_unknown_type_loses_nothing_but_the_type():
    data = {"type": "MadeUpError", "wanted": "wanted this", **FIELDS}
    back = error_from_dict(data)
    assert type(back) is ToolCrashError
    assert {**back.as_dict(), "type": "MadeUpError"} == data


def test_a_dict_with_parts_missing_still_becomes_an_error():
    assert type(error_from_dict({})) is ToolCrashError
    assert error_from_dict({"type": "DataError", "wanted": "wanted data"}).as_dict() == {
        "type": "DataError",
        "wanted": "wanted data",
        "seen": "",
        "allowed": "",
        "next_step": "",
    }
