"""Where the cache is, and what happens without one."""

import os
import stat
from pathlib import Path

import pytest

from profiles.errors import ConfigError, OutputError
from toolchain.cache import open_cache
from toolchain.cache.store import DEFAULT_LIMIT


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """A home, a folder for temporary files, and no wishes."""
    for name in ("EDGEWRIGHT_CACHE", "EDGEWRIGHT_CACHE_LIMIT", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))


def produce(folder):
    (folder / "data").write_bytes(b"x")


def test_the_order_of_places(tmp_path, monkeypatch):
    with open_cache() as cache:
        assert cache.root == tmp_path / "home" / ".cache" / "edgewright"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    with open_cache() as cache:
        assert cache.root == tmp_path / "xdg" / "edgewright"
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "mine"))
    with open_cache() as cache:
        assert cache.root == tmp_path / "mine"
        assert stat.S_IMODE(cache.root.stat().st_mode) == 0o700


def test_a_relative_xdg_folder_is_ignored(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    with open_cache() as cache:
        assert cache.root == tmp_path / "home" / ".cache" / "edgewright"


def test_home_is_understood_in_the_wish(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", "~/elsewhere")
    with open_cache() as cache:
        assert cache.root == tmp_path / "home" / "elsewhere"


def test_the_limit(monkeypatch, tmp_path):
    def kept():
        with open_cache() as cache:
            cache.folder("one", {}, produce)
        with open_cache() as cache:
            cache.clean()
            return cache.size()

    assert DEFAULT_LIMIT == 20e9
    assert kept() > 0
    monkeypatch.setenv("EDGEWRIGHT_CACHE_LIMIT", "1 B")
    assert kept() == 0
    monkeypatch.setenv("EDGEWRIGHT_CACHE_LIMIT", "20")
    with pytest.raises(ConfigError, match="EDGEWRIGHT_CACHE_LIMIT needs a number and a unit"):
        open_cache()


def test_no_cache_keeps_nothing(tmp_path):
    with open_cache() as cache:
        cache.folder("step", {}, produce)
    with open_cache(reuse=False) as cache:
        step = cache.folder("step", {}, produce)
        assert not step.hit, "an earlier build's result was used"
        assert cache.folder("step", {}, produce).hit, "within one build a step is done once"
        root = cache.root
    assert not root.exists()
    assert list((tmp_path / "tmp").rglob("*")) == [root.parent]


def test_what_a_killed_build_without_cache_left_is_removed_by_the_next(tmp_path, fork, exit_status):
    def build():
        cache = open_cache(reuse=False)
        cache.folder("step", {}, produce)
        os.kill(os.getpid(), 9)

    assert exit_status(fork(build)) == -9
    left = list((tmp_path / "tmp").rglob("data"))
    assert len(left) == 1, "the killed child left its cache behind, or this test shows nothing"
    with open_cache(reuse=False) as cache:
        assert not left[0].exists()
        assert cache.root.exists()


def test_a_temporary_folder_of_someone_else_is_refused(tmp_path):
    (tmp_path / "tmp" / f"edgewright-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(OutputError, match="cannot write the temporary folder"):
        open_cache(reuse=False)


def test_a_usual_place_that_cannot_be_written_means_no_cache_and_a_note(tmp_path, monkeypatch):
    (tmp_path / "home").write_bytes(b"a file in the way")
    notes = []
    with open_cache(note=notes.append) as cache:
        assert not cache.folder("step", {}, produce).hit
        assert Path(cache.root).is_relative_to(tmp_path / "tmp")
    assert len(notes) == 1
    assert "every step is done anew" in notes[0]
    assert "EDGEWRIGHT_CACHE" in notes[0]


def test_a_named_place_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot write the cache"):
        open_cache()
