"""Puts the harness of this folder on the path; without g++ or Verilator, tests that need them say so."""

import os
import sys
from pathlib import Path

import pytest

from profiles.errors import MissingToolError

sys.path.insert(0, str(Path(__file__).parent))


def _or_skip(error: MissingToolError):
    """Skip where a tool is not installed; CI has them all, and must not."""
    if os.environ.get("CI"):
        raise error
    pytest.skip(f"{error.seen}; {error.next_step}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    try:
        return (yield)
    except MissingToolError as error:
        return _or_skip(error)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    except MissingToolError as error:
        return _or_skip(error)
