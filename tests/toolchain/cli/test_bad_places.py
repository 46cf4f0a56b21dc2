"""Places that cannot be written: no half-written bundle, and what was there before is still whole."""

import os
import shutil
import subprocess
import time

import pytest

NULL = ("--device", "local-cpu", "--target", "null", "--runs", "3")
ORT = ("--device", "local-cpu", "--target", "onnxruntime", "--runs", "3")


@pytest.fixture
def powerless():
    """What to put in front of a program so that permissions hold for it: root may write everywhere."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("as root, permissions need the program setpriv; run: apt-get install util-linux")
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@pytest.fixture
def locked(here):
    """A folder that may be read but not written."""
    folder = here / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


@pytest.mark.parametrize("out", ["locked", "locked/deeper/still"])
def test_no_permission_to_write(program, tiny, locked, powerless, out):
    refusal = program("build", tiny.name, *NULL, "--out", out, before=powerless).refused(2)
    assert refusal.wanted == f"cannot write {out}" and refusal.seen == "Permission denied"
    assert "--out" in refusal.next
    assert list(locked.iterdir()) == []


def test_no_permission_to_write_the_cache(program, tiny, locked, powerless):
    env = {"EDGEWRIGHT_CACHE": str(locked / "cache")}
    refusal = program("build", tiny.name, *NULL, "--out", "out", before=powerless, env=env).refused(2)
    assert "EDGEWRIGHT_CACHE" in refusal.next and "--no-cache" in refusal.next
    assert not (tiny.parent / "out").exists()


def test_a_cache_that_nobody_asked_for_is_done_without(program, tiny, locked, powerless):
    env = {"EDGEWRIGHT_CACHE": "", "XDG_CACHE_HOME": str(locked)}
    done = program("build", tiny.name, *NULL, "--out", "out", "--no-profile", before=powerless, env=env).fine()
    assert "note: every step is done anew" in done.err


def test_no_permission_to_read_the_model(program, tiny, powerless):
    tiny.chmod(0)
    refusal = program("build", tiny.name, *NULL, "--out", "out", before=powerless).refused(2)
    assert "tiny.onnx" in refusal.wanted and refusal.seen == "Permission denied"


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_file_in_the_way(cli, tiny, out):
    (tiny.parent / "file").write_text("mine")
    refusal = cli("build", tiny.name, *NULL, "--out", out).refused(2)
    assert refusal.wanted == f"cannot write {out}"
    assert "in the way" in refusal.next and "--out" in refusal.next
    assert (tiny.parent / "file").read_text() == "mine"


def test_something_that_is_no_bundle_is_not_overwritten(cli, tiny):
    precious = tiny.parent / "out" / "local-cpu" / "thesis.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    outcome = cli("build", tiny.name, *NULL, "--out", "out")
    refusal = outcome.refused(2)
    assert "not a bundle" in refusal.seen and "--out" in refusal.next
    assert precious.read_text() == "mine"
    assert "reference outputs" not in outcome.err, "it is refused before any work is done"
    assert sorted(os.listdir("out")) == ["local-cpu"]


def test_two_builds_at_once(cli, tiny):
    from toolchain.steps.deliver import Delivery

    with Delivery(tiny.parent / "out"):
        refusal = cli("build", tiny.name, *NULL, "--out", "out").refused(2)
    assert "another build" in refusal.seen and "--out" in refusal.next


SIZES = [0, 1, 2, 4, 8, 16, 32]


@pytest.mark.parametrize("kibibytes", SIZES)
def test_a_limit_on_the_size_of_files(program, onnx_model, here, kibibytes, untouched):
    """As a full disk does, it lets small files pass and stops others half-way, in whichever step meets it."""
    onnx_model(here / "tiny.onnx", classes=400)
    limited = ("prlimit", f"--fsize={kibibytes * 1024}")
    whole = untouched(here)
    for target in ("null", "onnxruntime") if kibibytes == 8 else ("null",):
        outcome = program(
            "build",
            "tiny.onnx",
            "--device",
            "local-cpu",
            "--target",
            target,
            "--runs",
            "3",
            "--out",
            "out",
            before=limited,
        )
        refusal = outcome.refused(2)
        assert "free some space" in refusal.next, refusal
        whole()
        assert not (here / "out").exists()


def test_without_the_limit_the_same_build_works(program, onnx_model, here):
    onnx_model(here / "tiny.onnx", classes=400)
    program("build", "tiny.onnx", *NULL, "--out", "out", before=("prlimit", "--fsize=200000")).fine()
    largest = max(path.stat().st_size for path in (here / "out").rglob("*") if path.is_file())
    assert largest > max(SIZES) * 1024, "the limits above must be too small for this build"


@pytest.fixture
def small_disk(here):
    """A file system of 192 KiB; only root may have one."""
    folder = here / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=192k", "none", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(
            f"cannot mount a small disk: {mounted.stderr.strip()}; run the tests as root in a namespace of yours"
        )
    yield folder
    for _ in range(50):
        if subprocess.run(["umount", folder], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError(f"{folder} cannot be unmounted: something still uses it")


def test_a_full_disk(program, tiny, small_disk, untouched):
    """The bundle that was there stays whole, and the build works again once there is room."""
    program("build", tiny.name, *NULL, "--out", small_disk / "out", "--no-profile").fine()
    whole = untouched(small_disk / "out")
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space left"):
        while True:
            stream.write(bytes(4096))
    refusal = program("build", tiny.name, *NULL, "--out", small_disk / "out").refused(2)
    assert refusal.seen == "No space left on device" and "free some space" in refusal.next
    whole()
    ballast.unlink()
    program("build", tiny.name, *NULL, "--out", small_disk / "out", "--no-profile").fine()


def test_a_full_disk_for_temporary_files(program, tiny, small_disk):
    (small_disk / "ballast").write_bytes(bytes(188 << 10))
    refusal = program("build", tiny.name, *ORT, "--out", "out", env={"TMPDIR": str(small_disk)}).refused(2)
    assert "free some space" in refusal.next
    assert not (tiny.parent / "out").exists()
