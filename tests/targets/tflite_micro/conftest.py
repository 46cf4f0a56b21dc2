"""Puts the harness of this folder on the path; without the cross compiler or QEMU, tests that need them say so."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from profiles.errors import MissingToolError
from targets.tflite_micro.target import TfliteMicroTarget

sys.path.insert(0, str(Path(__file__).parent))


def _or_skip(error: Exception):
    """Skip where a program is not installed; CI has them all, and must not."""
    programs = TfliteMicroTarget.programs
    absent = [name for name in programs if shutil.which(name) is None]
    if absent and not os.environ.get("CI"):
        wanted = " ".join(programs[name] for name in absent)
        pytest.skip(f"{', '.join(absent)} not installed; on Debian or Ubuntu run: sudo apt-get install {wanted}")
    raise error


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    try:
        return (yield)
    except (MissingToolError, FileNotFoundError) as error:
        _or_skip(error)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    except (MissingToolError, FileNotFoundError) as error:
        _or_skip(error)
