"""The limit: least recently used goes first, entries in use never."""

import os

import pytest

from toolchain.cache import Cache
from toolchain.cache.entry import MANIFEST


def produce(folder):
    (folder / "data").write_bytes(b"x" * 10_000)


def entry_size(root):
    with Cache(root) as cache:
        cache.folder("probe", {}, produce)
        return cache.size()


@pytest.fixture
def fill(tmp_path):
    """``fill(names, limit=entries)`` makes entries of one size in a cache with room for so many; gives their keys."""
    root = tmp_path / "cache"
    unit = entry_size(tmp_path / "probe")

    def make(names, limit):
        keys = {}
        for age, name in enumerate(names):
            with Cache(root, limit=(limit + 0.5) * unit) as cache:
                keys[name] = cache.folder("step", {"name": name}, produce).key
            os.utime(root / "entries" / keys[name] / MANIFEST, (1e9 + age, 1e9 + age))
        return root, keys, unit

    return make


def present(root, keys):
    return {name for name, key in keys.items() if (root / "entries" / key).exists()}


def test_the_oldest_goes_first(fill):
    root, keys, _ = fill("abcd", limit=2)
    assert present(root, keys) == {"c", "d"}
    assert {path.stem for path in (root / "locks").iterdir()} == {keys["c"], keys["d"]}, "locks go with their entries"
    assert list((root / "work").iterdir()) == []


def test_a_hit_makes_an_entry_young_again(fill):
    root, keys, unit = fill("abc", limit=3)
    with Cache(root, limit=3.5 * unit) as cache:
        assert cache.folder("step", {"name": "a"}, produce).hit
    with Cache(root, limit=3.5 * unit) as cache:
        cache.folder("step", {"name": "d"}, produce)
    assert present(root, keys) == {"a", "c"}, "'a' was used last but one, 'b' was not used since it was made"


def test_entries_in_use_stay_until_they_are_let_go(fill):
    root, keys, unit = fill("abc", limit=3)
    with Cache(root, limit=3.5 * unit) as user:
        held = user.folder("step", {"name": "a"}, produce)
        os.utime(root / "entries" / keys["a"] / MANIFEST, (1, 1))
        with Cache(root, limit=0) as other:
            assert other.clean() == 2
            assert present(root, keys) == {"a"}, "the entry in use was evicted"
        assert (held.path / "data").stat().st_size == 10_000
    with Cache(root, limit=0) as other:
        assert other.clean() == 1
        assert other.size() == 0
    assert list((root / "locks").iterdir()) == []


def test_entries_in_use_by_another_process_stay(fill, fork, exit_status):
    root, keys, _ = fill("ab", limit=2)
    ready, done = os.pipe(), os.pipe()

    def user():
        with Cache(root) as cache:
            cache.folder("step", {"name": "a"}, produce)
            os.write(ready[1], b"x")
            os.read(done[0], 1)
        return 0

    pid = fork(user)
    os.read(ready[0], 1)
    with Cache(root, limit=0) as cache:
        cache.clean()
    seen = present(root, keys)
    os.write(done[1], b"x")
    assert exit_status(pid) == 0
    assert seen == {"a"}


def test_an_entry_larger_than_the_limit_serves_its_own_build(tmp_path):
    with Cache(tmp_path, limit=0) as cache:
        step = cache.folder("step", {}, produce)
        assert (step.path / "data").stat().st_size == 10_000
        assert cache.folder("step", {}, produce).hit


def test_an_entry_without_a_manifest_can_be_evicted(fill):
    root, keys, _ = fill("ab", limit=2)
    (root / "entries" / keys["a"] / MANIFEST).unlink()
    with Cache(root, limit=0) as cache:
        assert cache.clean() == 2


def test_clean_removes_what_belongs_to_nobody(tmp_path):
    with Cache(tmp_path) as cache:
        cache.folder("step", {}, produce)
        (tmp_path / "locks" / f"{'0' * 64}.lock").write_bytes(b"")
        (tmp_path / "work" / "1-dead").mkdir()
        (tmp_path / "work" / "1-dead" / "half").write_bytes(b"x")
        assert cache.clean() == 2
        assert cache.clean() == 0, "nothing is left to clean"
        assert cache.folder("step", {}, produce).hit


def test_counting_and_clearing(fill):
    root, keys, _ = fill("abc", limit=3)
    with Cache(root) as cache:
        assert cache.count() == 3
        cache.folder("step", {"name": "b"}, produce)
        assert cache.clear() == 2, "the one in use stays"
        assert cache.count() == 1
    assert present(root, keys) == {"b"}


def test_peeking_makes_nothing(fill):
    root, *_ = fill("a", limit=1)
    with Cache(root) as cache:
        assert (cache.peek("step", {"name": "a"}) / "data").stat().st_size == 10_000
        assert cache.peek("step", {"name": "b"}) is None
        assert cache.count() == 1
        assert cache.clear() == 1, "a look does not hold an entry"
