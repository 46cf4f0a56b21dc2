"""Engines kept on the device: found again, never used where they do not fit, whole or not there at all."""

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import ConfigError, MissingToolError, OutputError, VerificationError
from targets.tensorrt.gpu.gpu import Gpu
from targets.tensorrt.plan import BuildPlan
from targets.tensorrt.store import engine_lock
from targets.tensorrt.store.engine_files import default_root, find, keep, timing_cache
from targets.tensorrt.store.engine_key import EngineKey, Site, driver_words, key_of, site_of
from targets.tensorrt.store.engine_store import list_engines, prune_engines
from tests.targets.tensorrt.engine_shelf import GPU, MODEL, PLAN, Compiler, Shelf

RTX = BuildPlan("tensorrt_rtx", "fp16", ("8.6", "8.9"))
ADA = Gpu("NVIDIA GeForce RTX 4070", "8.9", "580.65.06", "13.0", 12 << 30)


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path)


def test_an_engine_is_built_once_and_found_again(shelf):
    first = shelf.get()
    assert first.read_bytes().startswith(b"engine 1 of ")
    assert shelf.get() == first
    assert shelf.compiler.builds == 1, "the second time nothing may be compiled"
    assert shelf.reason() == "no engine of this bundle is kept here yet"
    assert f"kept as {first}" in shelf.told[-1]


def test_every_batch_size_has_an_engine_of_its_own_graph(shelf):
    one, eight = shelf.get(batch=1), shelf.get(batch=8)
    assert one != eight and shelf.compiler.builds == 2
    assert b"batch 8" in eight.read_bytes()
    assert one.read_bytes().split()[3] != eight.read_bytes().split()[3], "batch 8 must be built from its own graph"


@pytest.mark.parametrize(
    ("gpu", "plan", "version", "there", "here"),
    [
        (dataclasses.replace(GPU, driver="535.1"), PLAN, "10.3.0", "driver 540.4.0", "driver 535.1"),
        (GPU, PLAN, "10.7.0", "tensorrt 10.3.0", "tensorrt 10.7.0"),
        (dataclasses.replace(GPU, name="Thor", compute_capability="11.0"), PLAN, "10.3.0", "Orin (8.7)", "Thor (11.0)"),
        (dataclasses.replace(GPU, name="Orin NX"), PLAN, "10.3.0", "Orin (8.7)", "Orin NX (8.7)"),
        (dataclasses.replace(GPU, multiprocessors=4), PLAN, "10.3.0", "Orin (8.7)", "Orin, 4 multiprocessors (8.7)"),
        (dataclasses.replace(GPU, driver="535.1"), PLAN, "10.7.0", "tensorrt 10.3.0 and driver 540.4.0",
         "tensorrt 10.7.0 and driver 535.1"),
    ],
)  # fmt: skip
def test_an_engine_of_another_machine_is_not_used_and_the_reason_is_told(shelf, gpu, plan, version, there, here):
    old = shelf.get()
    new = shelf.get(gpu=gpu, plan=plan, compiler=Compiler(version))
    assert new != old
    assert shelf.reason() == f"the kept engine was built for {there}; this machine has {here}"
    assert shelf.get() == old, "the old one is still there for whoever goes back"
    assert shelf.compiler.builds == 1


@pytest.mark.parametrize(
    "change", [{"optimization_level": 5}, {"workspace": 1 << 20}, {"dla_core": 0}, {"sparse_weights": True}]
)
def test_another_plan_is_another_engine(shelf, change):
    assert shelf.get() != shelf.get(plan=dataclasses.replace(PLAN, **change))
    assert shelf.compiler.builds == 2


def test_another_model_is_another_engine(shelf):
    first = shelf.get()
    (shelf.folder / "model.onnx").write_bytes(MODEL + b"!")
    assert shelf.get() != first
    assert shelf.reason() == "no engine of this bundle is kept here yet"


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "a flipped bit": (flip, "its SHA-256 differs"),
    "half a file": (lambda path: path.write_bytes(path.read_bytes()[:20]), "20 bytes instead of"),
    "an empty file": (lambda path: path.write_bytes(b""), "0 bytes instead of"),
    "no engine": (Path.unlink, "No such file"),
    "no description": (lambda path: path.with_suffix(".json").unlink(), ""),
    "half a description": (lambda path: path.with_suffix(".json").write_text('{"schema": 1, "key": {'), ""),
    "no object": (lambda path: path.with_suffix(".json").write_text("[1]"), ""),
    "another schema": (lambda path: path.with_suffix(".json").write_text('{"schema": 2}'), ""),
    "bytes": (lambda path: path.with_suffix(".json").write_bytes(b"\xff\x00"), ""),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_engine_is_built_again(shelf, name):
    harm, words = DAMAGE[name]
    path = shelf.get()
    whole = path.read_bytes()
    harm(path)
    assert shelf.get() == path
    assert shelf.compiler.builds == 2, f"{name}: must be built again"
    assert path.read_bytes() == whole.replace(b"engine 1", b"engine 2")
    if words:
        assert shelf.reason().startswith("the kept engine is damaged") and words in shelf.reason()
    assert shelf.get() == path and shelf.compiler.builds == 2, "now it is whole"


def test_the_description_of_another_engine_is_not_believed(shelf):
    """Two engines whose file names collide stay apart, because the whole key is compared."""
    path, other = shelf.get(), shelf.get(batch=8)
    path.write_bytes(other.read_bytes())
    path.with_suffix(".json").write_bytes(other.with_suffix(".json").read_bytes())
    shelf.get()
    assert shelf.compiler.builds == 3


def test_building_again_when_asked(shelf):
    path = shelf.get()
    assert shelf.get(rebuild=True) == path
    assert shelf.compiler.builds == 2 and shelf.reason() == "asked to"


def test_a_writer_that_died_between_its_two_files_leaves_nothing_that_is_used(shelf, monkeypatch):
    real = engine_lock.write_bytes

    def stop(path, content):
        if path.suffix == ".json":
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(engine_lock, "write_bytes", stop)
    with pytest.raises(KeyboardInterrupt):
        shelf.get()
    monkeypatch.undo()
    assert list_engines(shelf.root) == []
    assert b"engine 2" in shelf.get().read_bytes()


def wait_until(happened):
    end = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < end, "nobody waited for the build of another"
        time.sleep(0.01)


def test_two_at_once_build_one_engine(shelf):
    compiler = shelf.compiler
    compiler.gate = threading.Event()
    found = []
    threads = [threading.Thread(target=lambda: found.append(shelf.get())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert compiler.started.wait(20)
    wait_until(lambda: sum("waiting" in text for text in shelf.told) == 3)
    compiler.gate.set()
    for thread in threads:
        thread.join(20)
    assert len(found) == 4 and len(set(found)) == 1
    assert compiler.builds == 1, "whoever waited must find the engine of the first"


def test_builds_of_different_engines_wait_for_each_other(shelf):
    """Kernels are timed while an engine is built: two builds on one GPU would disturb each other."""
    compiler = shelf.compiler
    compiler.gate = threading.Event()
    threads = [threading.Thread(target=shelf.get, kwargs={"batch": batch}) for batch in (1, 8)]
    for thread in threads:
        thread.start()
    assert compiler.started.wait(20)
    wait_until(lambda: any("waiting" in text for text in shelf.told))
    compiler.gate.set()
    for thread in threads:
        thread.join(20)
    assert (compiler.builds, compiler.most_inside) == (2, 1)


KILLED = """
    import sys
    from pathlib import Path
    from tests.targets.tensorrt.engine_shelf import Compiler, Shelf
    shelf = Shelf.__new__(Shelf)
    shelf.root, shelf.folder, shelf.told = Path(sys.argv[1]), Path(sys.argv[2]), []
    class Endless(Compiler):
        def build(self, *arguments, **options):
            print("building", flush=True)
            sys.stdin.read()
    shelf.compiler = Endless()
    shelf.get()
"""


def test_a_killed_builder_holds_nobody_up(shelf, repository):
    argv = [sys.executable, "-c", textwrap.dedent(KILLED), str(shelf.root), str(shelf.folder)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=repository) as process:
        assert process.stdout.readline() == b"building\n"
        process.send_signal(signal.SIGKILL)
    assert shelf.get().is_file()
    assert not [text for text in shelf.told if "waiting" in text], "the kernel must have let go of the lock"


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_built(shelf):
    shelf.root.write_text("a file is in the way")
    with pytest.raises(OutputError, match="cannot keep an engine in") as caught:
        shelf.get()
    assert "EDGEWRIGHT_ENGINES" in caught.value.next_step and caught.value.seen
    assert shelf.compiler.builds == 0, "minutes of compiling must not be lost"


def test_a_kept_engine_is_found_where_nothing_can_be_written(shelf):
    path = shelf.get()
    (shelf.root / "build.lock").unlink()
    (shelf.root / "build.lock").mkdir()  # as good as a read-only file system, which root cannot have from chmod
    assert shelf.get() == path
    with pytest.raises(OutputError):
        shelf.get(batch=8)


def test_a_full_disk(shelf, monkeypatch):
    def full(path, content):
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        raise OutputError("cannot write") from error

    monkeypatch.setattr(engine_lock, "write_bytes", full)
    with pytest.raises(OutputError) as caught:
        shelf.get()
    assert caught.value.seen == "No space left on device"
    assert "edgewright-runtime engines prune" in caught.value.next_step
    monkeypatch.undo()
    assert list_engines(shelf.root) == []


# engines that come with the bundle


def ship(shelf, version="1.7.1.116", plan=RTX):
    (shelf.folder / "batch1.engine").write_bytes(b"from the bundle")
    tools = {"tensorrt-rtx-cu13": version, "onnx": "1.23"}
    (shelf.folder / "manifest.json").write_text(json.dumps({"tools": tools}))
    return shelf.folder / "batch1.engine"


def test_an_engine_of_the_bundle_is_used_as_it_is(shelf):
    shipped = ship(shelf)
    compiler = Compiler("1.7.1.116")
    assert shelf.get(plan=RTX, gpu=ADA, compiler=compiler) == shipped
    assert (compiler.builds, shelf.told, shelf.root.exists()) == (0, [], False)


@pytest.mark.parametrize(
    ("gpu", "made", "here", "words"),
    [
        (dataclasses.replace(ADA, compute_capability="12.0"), "1.7.1.116", "1.7.1.116",
         "is for compute capability 8.6 and 8.9; NVIDIA GeForce RTX 4070 has 12.0"),
        (ADA, "1.7.1.116", "1.8.0.2", "was built with tensorrt_rtx 1.7.1.116; here is 1.8.0.2"),
    ],
)  # fmt: skip
def test_an_engine_of_the_bundle_that_does_not_fit_is_built_for_this_gpu(shelf, gpu, made, here, words):
    ship(shelf, made)
    compiler = Compiler(here)
    path = shelf.get(plan=RTX, gpu=gpu, compiler=compiler)
    assert path.is_relative_to(shelf.root) and compiler.builds == 1
    assert words in shelf.reason()
    assert compiler.plans[0].compute_capabilities == (gpu.compute_capability,), "it is for this GPU alone"
    assert shelf.get(plan=RTX, gpu=gpu, compiler=compiler) == path and compiler.builds == 1


def test_a_manifest_that_names_no_version_is_not_trusted(shelf):
    ship(shelf)
    (shelf.folder / "manifest.json").write_text('{"tools": {}}')
    shelf.get(plan=RTX, gpu=ADA, compiler=Compiler("1.7.1.116"))
    assert "of unknown version" in shelf.reason()


def test_a_batch_size_without_an_engine_in_the_bundle(shelf):
    ship(shelf)
    plan = dataclasses.replace(RTX, batches=(1, 8))
    shelf.get(plan=plan, gpu=ADA, batch=8, compiler=Compiler("1.7.1.116"))
    assert shelf.reason() == "the bundle has no engine for batch size 8"


def test_building_again_when_asked_although_the_bundle_has_an_engine(shelf):
    shipped = ship(shelf)
    path = shelf.get(plan=RTX, gpu=ADA, compiler=Compiler("1.7.1.116"), rebuild=True)
    assert path != shipped and shelf.reason() == "asked to"
    compiler = Compiler("1.7.1.116")
    assert shelf.get(plan=RTX, gpu=ADA, compiler=compiler) == path, "what was asked for is what is checked and measured"
    assert shelf.get(plan=RTX, gpu=dataclasses.replace(ADA, driver="590.1"), compiler=compiler) == shipped
    path.write_bytes(b"x")
    assert shelf.get(plan=RTX, gpu=ADA, compiler=compiler) == shipped
    assert compiler.builds == 0


# what cannot be


def test_a_batch_size_that_the_plan_does_not_have(shelf):
    with pytest.raises(ConfigError) as caught:
        shelf.get(batch=3)
    assert (caught.value.seen, caught.value.allowed) == ("batch size 3", "1, 8")


def test_a_graph_that_is_missing(shelf):
    (shelf.folder / "batch8.onnx").unlink()
    with pytest.raises(VerificationError, match="graph for batch size 8"):
        shelf.get(batch=8)


@pytest.mark.parametrize(("version", "fine"), [("10.2.9", False), ("10.3", True), ("10.10.0", True), ("9.9", False)])
def test_the_least_version(shelf, version, fine):
    plan = dataclasses.replace(PLAN, least_version="10.3")
    if fine:
        assert shelf.get(plan=plan, compiler=Compiler(version)).is_file()
        return
    with pytest.raises(MissingToolError, match=r"10\.3") as caught:
        shelf.get(plan=plan, compiler=Compiler(version))
    assert version in caught.value.seen


# timing caches


def test_the_timing_cache_goes_from_build_to_build_on_one_machine(shelf):
    shelf.get(batch=1)
    shelf.get(batch=8)
    shelf.get(rebuild=True)
    shelf.get(gpu=dataclasses.replace(GPU, driver="535.1"))
    assert shelf.compiler.caches == [b"", b"+", b"++", b""], "another driver must begin anew"


def test_a_damaged_timing_cache_is_not_handed_on(shelf):
    shelf.get()
    (path,) = (shelf.root / "timing").iterdir()
    path.write_bytes(path.read_bytes() + b"?")
    shelf.get(batch=8)
    assert shelf.compiler.caches == [b"", b""]


# listing and pruning


def test_the_list_says_what_each_engine_is_for(shelf):
    shelf.get(batch=1)
    shelf.get(batch=8)
    rows = [entry.as_dict() for entry in list_engines(shelf.root)]
    assert sorted(row["key"]["batch"] for row in rows) == [1, 8]
    assert all(row["size"] == Path(row["path"]).stat().st_size and row["notes"] == ["a note"] for row in rows)
    assert json.loads(json.dumps(rows)) == rows, "the list must survive JSON"


def test_pruning_keeps_what_this_machine_can_load(shelf):
    here = shelf.get()
    old = shelf.get(compiler=Compiler("10.4"))
    broken = shelf.get(batch=8)
    broken.write_bytes(b"x")
    stray = here.with_name(".half.engine.123.tmp")
    stray.write_bytes(b"half")
    expected = sum(path.stat().st_size for path in (*old.parent.glob(f"{old.stem}.*"), *broken.parent.iterdir(), stray))
    removed, freed = prune_engines([site_of(GPU, "tensorrt", "10.3.0")], shelf.root)
    assert freed == expected and len(removed) == 5
    assert [entry.path for entry in list_engines(shelf.root)] == [here]
    assert not broken.parent.exists(), "empty folders go too"
    assert timing_cache(shelf.root, site_of(GPU, "tensorrt", "10.3.0")), "timings are still of use"
    assert shelf.get() == here and shelf.compiler.builds == 2


def test_pruning_everything(shelf):
    shelf.get()
    removed, freed = prune_engines(None, shelf.root)
    assert len(removed) == 3 and freed > 0
    assert [path for path in shelf.root.rglob("*") if path.is_file()] == [shelf.root / "build.lock"]


def test_pruning_what_is_not_there(tmp_path):
    assert prune_engines(None, tmp_path / "nothing") == ([], 0)
    assert not (tmp_path / "nothing").exists()


# names


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"EDGEWRIGHT_ENGINES": "/e"}, "/e"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/edgewright/engines"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/of/somebody/.cache/edgewright/engines"),  # to be ignored, says XDG
        ({}, "/home/of/somebody/.cache/edgewright/engines"),
    ],
)
def test_where_engines_are_kept(environ, wanted, monkeypatch):
    monkeypatch.setenv("HOME", "/home/of/somebody")
    assert default_root(environ) == Path(wanted)


def test_a_user_without_a_home(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it does for such a user
    with pytest.raises(ConfigError, match="folder to keep engines in"):
        default_root({})


def test_a_jetson_that_does_not_tell_its_driver():
    words = driver_words(dataclasses.replace(GPU, driver=""))
    assert "CUDA 12.6" in words and os.uname().release in words
    assert driver_words(GPU) == "driver 540.4.0"


texts = st.text(max_size=8)
sites = st.builds(Site, texts, texts, texts, texts, texts)


@given(st.binary(), st.sampled_from([PLAN, RTX]), st.integers(1, 64), sites)
def test_keys_survive_json(onnx, plan, batch, site):
    key = key_of(onnx, plan, batch, site)
    assert EngineKey.from_dict(json.loads(json.dumps(key.as_dict()))) == key


@given(sites, sites)
def test_sites_differ_exactly_when_their_digests_do(one, two):
    assert (one == two) == (one.digest() == two.digest())
    assert (one == two) == (one.differences(two) == ("", "")) or (one.differences(two)[0] != one.differences(two)[1])


@given(st.binary(max_size=50))
def test_what_is_kept_is_what_is_found(tmp_path_factory, engine):
    root = tmp_path_factory.mktemp("kept")
    key = key_of(MODEL, PLAN, 1, site_of(GPU, "tensorrt", "10.3"))
    entry = keep(root, key, engine, 1.5, ("note",))
    assert find(root, key) == entry and not entry.damage() and entry.path.read_bytes() == engine
