"""Keys: equal for equal inputs, different for different ones, and nothing guessed."""

import dataclasses
import enum
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import ConfigError
from toolchain.cache.keys import file_digest, folder_digest, plain, source_digest, step_key

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
NAMES = st.text().filter(lambda name: not name.startswith("$"))
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=12)
INPUTS = st.dictionaries(NAMES, DATA, max_size=4)


class Colour(enum.Enum):
    RED = 1


class Shade(str, enum.Enum):
    RED = "red"


@dataclasses.dataclass(frozen=True)
class Recipe:
    epochs: int
    data: Path


def _same(first: object, second: object) -> bool:
    """Equality that tells 1 from 1.0 and True, and 0.0 from -0.0, but not a list from a tuple."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_same, first, second))
    return type(first) is type(second) and repr(first) == repr(second)


@given(INPUTS, INPUTS)
def test_keys_are_equal_exactly_when_the_inputs_are(first, second):
    assert (step_key("train", 1, first) == step_key("train", 1, second)) == _same(first, second)


@given(INPUTS)
def test_the_order_of_a_mapping_does_not_count(inputs):
    backwards = dict(reversed(list(inputs.items())))
    assert step_key("train", 1, inputs) == step_key("train", 1, backwards)


def test_name_version_and_list_order_count():
    keys = {
        step_key("train", 1, {"x": [1, 2]}),
        step_key("export", 1, {"x": [1, 2]}),
        step_key("train", 2, {"x": [1, 2]}),
        step_key("train", 1, {"x": [2, 1]}),
        step_key("train", 1, {"y": [1, 2]}),
    }
    assert len(keys) == 5, "name, version, order of a list and name of an input all belong to the key"


def test_a_key_is_the_same_in_another_process():
    inputs = {"b": [1, 2.5, None], "a": "é"}
    code = f"from toolchain.cache.keys import step_key; print(step_key('train', 1, {inputs!r}))"
    env = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.strip() == step_key("train", 1, inputs)


def test_a_path_stands_for_its_contents(tmp_path):
    one, two, three = tmp_path / "one", tmp_path / "two", tmp_path / "three"
    one.write_bytes(b"same")
    two.write_bytes(b"same")
    three.write_bytes(b"other")
    assert step_key("s", 1, {"f": one}) == step_key("s", 1, {"f": two})
    assert step_key("s", 1, {"f": one}) != step_key("s", 1, {"f": three})
    assert step_key("s", 1, {"f": one}) != step_key("s", 1, {"f": str(one)})


def test_a_folder_stands_for_names_and_contents(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.c").write_bytes(b"int a;")
    before = folder_digest(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"x")
    (tmp_path / ".hidden").write_bytes(b"x")
    assert folder_digest(tmp_path) == before, "byte code and hidden files do not count"
    (tmp_path / "sub" / "a.c").rename(tmp_path / "sub" / "b.c")
    renamed = folder_digest(tmp_path)
    assert renamed != before, "a file's name counts"
    (tmp_path / "sub" / "b.c").write_bytes(b"int b;")
    assert folder_digest(tmp_path) != renamed, "a file's contents count"


def test_rich_values_have_a_form(tmp_path):
    data = tmp_path / "data"
    data.write_bytes(b"x")
    distinct = [
        Colour.RED, Shade.RED, "red", "RED", b"red", Recipe(1, data), Recipe(2, data), data,
        np.array([1.0, 2.0]), np.array([1.0, 2.0], np.float32), np.array([[1.0, 2.0]]), np.array([2.0, 1.0]),
        [1.0, 2.0],
    ]  # fmt: skip
    keys = [step_key("s", 1, {"x": value}) for value in distinct]
    assert len(set(keys)) == len(keys), "values that differ must not share a key"
    assert step_key("s", 1, {"x": Recipe(1, data)}) == step_key("s", 1, {"x": Recipe(1, data)})
    transposed = np.arange(6).reshape(2, 3).T
    assert plain(transposed) == plain(transposed.copy()), "memory order does not count"
    assert plain(np.float64(0.5)) == 0.5


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1, 2}, object(), {1: 2}, {"$file": "x"}, np.array([{}])]
)
def test_what_has_no_exact_form_is_refused(value):
    with pytest.raises(TypeError, match="a step's inputs are"):
        step_key("s", 1, {"x": value})


def test_a_missing_file_is_an_error_in_words(tmp_path):
    with pytest.raises(ConfigError, match="wanted to read"):
        step_key("s", 1, {"x": tmp_path / "nothing"})


def test_sources_of_modules_and_packages():
    import profiles
    import toolchain.cache

    folder = Path(profiles.__file__).parent
    assert source_digest("profiles.units") == source_digest("profiles.units")
    assert source_digest("profiles.units") != source_digest("profiles.errors")
    assert source_digest("profiles") != source_digest("profiles", "profiles.units")
    assert plain({"x": folder})["x"]["$folder"] == folder_digest(folder)
    assert len(source_digest("toolchain.cache")) == len(file_digest(Path(toolchain.cache.__file__))) == 64


@pytest.mark.parametrize("name", ["no_such_package", "profiles.no_such_module", "profiles.units.deeper"])
def test_sources_of_an_unknown_module(name):
    with pytest.raises(ModuleNotFoundError, match="no module named"):
        source_digest(name)


def test_source_digest_follows_the_files_and_imports_nothing(tmp_path):
    package = tmp_path / "our_probe"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "part.py").write_text("x = 1")
    (package / "table.j2").write_text("{{ x }}")
    code = "from toolchain.cache.keys import source_digest as d; print(d('our_probe'), d('our_probe.part'))"

    def digests():
        env = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
        return done.stdout.split()

    whole, part = digests()
    (package / "table.j2").write_text("{{ y }}")
    assert digests()[0] != whole, "a template belongs to its package"
    assert digests()[1] == part, "a module does not depend on its neighbours"
