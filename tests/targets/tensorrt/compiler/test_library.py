"""Which library is loaded, and what is said where it is missing, empty, broken or too old."""

import sys
import types

import hypothesis
import hypothesis.strategies as st
import pytest

from profiles.errors import ConfigError, MissingToolError
from targets.tensorrt.compiler.library import (
    LIBRARIES,
    check_version,
    library_version,
    load_library,
    networks_are_always_typed,
    version_numbers,
)


def stand_in(name, version="10.3.0.26", **content):
    module = types.ModuleType(name)
    vars(module).update({"__version__": version, "ICudaEngine": object, **content})
    return module


def test_the_real_one_is_loaded():
    real = pytest.importorskip("tensorrt_rtx")
    assert load_library("tensorrt_rtx") is real
    assert library_version("tensorrt_rtx") == real.__version__
    check_version("tensorrt_rtx", real.__version__, LIBRARIES["tensorrt_rtx"].least_version)


def test_an_unknown_library_is_an_error_with_the_known_ones():
    with pytest.raises(ConfigError, match="tensorrt_rtx, tensorrt"):
        load_library("tensorflow")


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_missing_library_tells_how_to_install_it(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingToolError, match=LIBRARIES[name].title) as caught:
        load_library(name)
    assert "install" in caught.value.next_step


def test_a_broken_library_is_told_from_a_missing_one(monkeypatch, tmp_path):
    (tmp_path / "tensorrt.py").write_text("raise OSError('libnvinfer.so.10: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    with pytest.raises(MissingToolError, match=r"libnvinfer\.so\.10"):
        load_library("tensorrt")


def test_the_empty_package_of_the_public_index_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", types.ModuleType("tensorrt"))
    with pytest.raises(MissingToolError, match="empty package"):
        load_library("tensorrt")


@pytest.mark.parametrize(
    ("version", "good"), [("8.6.1", False), ("10.2.9", False), ("10.3", True), ("10.16.2.10", True)]
)
def test_old_versions_are_refused(version, good):
    if good:
        check_version("tensorrt", version, "10.3")
    else:
        with pytest.raises(MissingToolError, match=version):
            check_version("tensorrt", version, "10.3")


@hypothesis.given(*[st.lists(st.integers(0, 200), min_size=1, max_size=4)] * 2)
def test_versions_are_compared_as_numbers(one, two):
    texts = [".".join(map(str, numbers)) for numbers in (one, two)]
    assert (version_numbers(texts[0]) < version_numbers(texts[1])) == (one < two)
    assert version_numbers(texts[0] + "rc1") == version_numbers(texts[0])


def test_from_which_version_on_networks_are_always_typed():
    assert not networks_are_always_typed(stand_in("tensorrt", "10.16.2.10"))
    assert networks_are_always_typed(stand_in("tensorrt", "11.0.0.1"))
    assert not networks_are_always_typed(stand_in("tensorrt_rtx", "12.0"))
