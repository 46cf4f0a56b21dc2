"""What is looked for, and where."""

import dataclasses
import importlib.metadata
import shutil
import sys
from pathlib import Path

import pytest

from targets.registry import TARGETS, load_target
from toolchain import doctor


def test_what_is_there_has_its_version_or_path():
    found = {finding.name: finding for finding in doctor.examine()}
    assert found["ssh"].found == (shutil.which("ssh") or "")
    for name in ("torch", "onnxruntime"):
        try:
            assert found[name].found == importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            assert found[name].found == ""


def test_what_every_target_needs_is_looked_for():
    names = {need.name for need in doctor.NEEDS}
    for target in map(load_target, TARGETS):
        assert set(target.packages) <= names, f"{target.name} needs {set(target.packages) - names}"


def test_names_are_unique_and_nothing_is_empty():
    assert len({need.name for need in doctor.NEEDS}) == len(doctor.NEEDS)
    for need in doctor.NEEDS:
        assert need.purpose and need.command.startswith(("pip install", "sudo apt-get install"))


def test_what_is_missing_is_empty(monkeypatch):
    need = doctor.Need("nothing-of-this-name", "tests", "pip install it", doctor.installed_version)
    monkeypatch.setattr(doctor, "NEEDS", (need, dataclasses.replace(need, find=doctor._program)))
    for finding in doctor.examine():
        assert finding.as_dict() == {
            "name": "nothing-of-this-name",
            "purpose": "tests",
            "command": "pip install it",
            "found": "",
        }


@pytest.mark.parametrize("path", ["", "/nowhere"])
def test_programs_beside_this_python_count_even_off_the_path(monkeypatch, path):
    monkeypatch.setenv("PATH", path)
    python = Path(sys.executable)
    assert doctor._program(python.name) == str(python.parent / python.name)
