"""Puts this folder on the path; without TVM, a cross compiler or QEMU, tests that need them say so."""

import functools
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from profiles.errors import MissingToolError
from targets.registry import installed_version
from targets.tvm_cpu import compile_worker
from targets.tvm_cpu.machine import FAMILIES


def _skip(what, how):
    """CI has everything, and must not skip."""
    assert not os.environ.get("CI"), f"{what}; run: {how}"
    pytest.skip(f"{what}; run: {how}")


@pytest.fixture(scope="session", autouse=True)
def tvm_there():
    if installed_version("apache-tvm") is None:
        _skip("the target tvm_cpu needs apache-tvm", "pip install 'edgewright[tvm-cpu]'")


@pytest.fixture
def toolchain_of():
    """Skips where this machine cannot build and run programs of an architecture."""

    def check(arch):
        family = FAMILIES[arch]
        absent = [name for name in (f"{family.prefix}g++", family.emulator) if shutil.which(name) is None]
        if absent:
            _skip(f"needs {', '.join(absent)}", f"sudo apt-get install {family.package} qemu-user")

    return check


@pytest.fixture
def compiled_here(monkeypatch):
    """TVM in this process: starting one for every build takes longer than building."""
    actions = {"compile": compile_worker.do_compile, "ask": compile_worker.do_ask}
    monkeypatch.setattr(compile_worker, "_ask", functools.partial(_answer, actions))


def _answer(actions, request, limit):
    return json.loads(json.dumps(actions[request["action"]](request, lambda event: None)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    except MissingToolError as error:
        _skip(error.seen, error.next_step)
