"""Deltas: right for any two files, small where files are alike, bounded where they are hostile."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from profiles.errors import VerificationError
from tests.toolchain.fleet.fleet_homes import make_bundle, make_fleet
from toolchain.fleet.agent.blobs import patched
from toolchain.fleet.documents.release import Blob
from toolchain.fleet.publish import publish
from toolchain.fleet.publish.blobs import Blobs
from toolchain.fleet.publish.deltas import LEAST, RELEASES, make_patch, try_out
from toolchain.fleet.publish.savings import savings


def blob(content):
    return Blob(hashlib.sha256(content).hexdigest(), len(content))


@st.composite
def pairs(draw):
    """Two contents: the newer one is made of pieces of the older one, and of new ones."""
    seed = draw(st.integers(0, 2**32))
    old = random.Random(seed).randbytes(draw(st.integers(0, 50_000)))
    parts = []
    for _ in range(draw(st.integers(0, 8))):
        start, size = draw(st.integers(0, 50_000)), draw(st.integers(0, 20_000))
        fresh = random.Random(start).randbytes(size % 3000)
        parts.append(draw(st.sampled_from([old[start : start + size], fresh, bytes(size), fresh[:1] * size])))
    return old, b"".join(parts)


@settings(max_examples=150)
@given(pairs())
@example((b"", b""))
@example((b"", b"x"))
@example((b"x", b""))
@example((b"\x37\xa4\x30\xec" + b"d" * 100, b"\x37\xa4\x30\xec" + b"d" * 99))  # begins like a trained dictionary
def test_a_device_gets_the_newer_file_back(pair):
    old, new = pair
    patch = make_patch(old, new)
    try_out(old, patch, blob(new))
    assert make_patch(old, new) == patch, "the same contents give the same patch"


def test_it_is_what_zstd_calls_patch_from(tmp_path):
    """Not only our own code can read it."""
    program = shutil.which("zstd")
    if program is None:
        assert not os.environ.get("CI"), "zstd is there in CI"
        pytest.skip("needs the program zstd; run: apt-get install zstd")
    old = random.Random(1).randbytes(300_000)
    new = old[100_000:] + b"new" * 100 + old[:50_000]
    for name, content in (("old", old), ("new", new), ("patch.zst", make_patch(old, new))):
        (tmp_path / name).write_bytes(content)
    argv = [program, "-q", "-d", f"--patch-from={tmp_path / 'old'}", tmp_path / "patch.zst", "-o", tmp_path / "made"]
    subprocess.run(argv, check=True)
    assert (tmp_path / "made").read_bytes() == new


SPREAD = [(0.2, 60), (8, 30)]


@pytest.mark.parametrize(("megabytes", "edits"), SPREAD, ids=["small", "larger than zstd's own tables"])
def test_scattered_changes_and_shifts_are_small(megabytes, edits):
    """Incompressible content, edits all over, and something put in near the front, which shifts all the rest."""
    noise = random.Random(2)
    old = noise.randbytes(int(megabytes * (1 << 20)))
    new = bytearray(old)
    for _ in range(edits):
        at = noise.randrange(len(new) - 100)
        new[at : at + 20] = noise.randbytes(20)
    new[1000:1000] = noise.randbytes(333)
    patch = make_patch(old, bytes(new))
    try_out(old, patch, blob(bytes(new)))
    assert len(patch) < 333 + edits * 120, f"{len(patch)} bytes for {edits} edits of 20 bytes"


def test_another_base_or_content_is_refused():
    old, new = random.Random(4).randbytes(9001), random.Random(3).randbytes(5000)
    patch = make_patch(old, new)
    with pytest.raises((VerificationError, zstandard.ZstdError)):
        try_out(b"c" * 9001, make_patch(old, old[100:]), blob(old[100:]))
    with pytest.raises(VerificationError):
        try_out(old, patch, blob(new[:-1]))
    with pytest.raises(VerificationError):
        try_out(old, patch, Blob(blob(old).sha256, len(new)))
    with pytest.raises((VerificationError, zstandard.ZstdError)):
        try_out(old, patch[:-10], blob(new))


BOMB = """
import resource, sys
from pathlib import Path
from toolchain.fleet.agent.blobs import patched
from toolchain.fleet.documents.release import Blob
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    for _ in patched(b"base", Path(sys.argv[1]), Blob("a" * 64, 1000)):
        pass
    print("taken")
except Exception as error:
    print(type(error).__name__)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("kind", ["bomb", "window"])
def test_a_hostile_patch_costs_nothing(tmp_path, kind):
    """A frame that becomes 4 GiB, and one that asks for a window of 2 GiB: refused, within some megabytes."""
    path = tmp_path / "patch"
    if kind == "bomb":
        with path.open("wb") as stream, zstandard.ZstdCompressor(level=1).stream_writer(stream) as writer:
            for _ in range(256):
                writer.write(bytes(16 << 20))
    else:
        params = zstandard.ZstdCompressionParameters.from_level(1, window_log=31)
        maker = zstandard.ZstdCompressor(compression_params=params).compressobj()
        path.write_bytes(maker.compress(b"x" * 100) + maker.flush())
        assert zstandard.get_frame_parameters(path.read_bytes()).window_size == 1 << 31
    here = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", BOMB, path], capture_output=True, text=True, check=True, cwd=here)
    outcome, kilobytes = done.stdout.split()
    assert outcome in ("VerificationError", "ZstdError"), f"the patch was {outcome}"
    assert int(kilobytes) < 64 << 10, f"it took {int(kilobytes) >> 10} MiB"


@pytest.fixture
def fleet(tmp_path):
    return make_fleet(tmp_path / "home")


def firmware(seed, code):
    """A folder like that of a microcontroller: code and weights in one image, in hexadecimal too, and the model."""
    weights = random.Random(seed).randbytes(24_000)
    image = code[:90_000] + weights + code[90_000:]
    text = "".join(f":10{at:06X}{image[at : at + 16].hex().upper()}00\n" for at in range(0, len(image), 16))
    return {
        "firmware.bin": image,
        "firmware.elf": b"\x7fELF" + code[:500] + image,
        "firmware.hex": text.encode(),
        "model.tflite": b"TFL3" + weights,
    }


BOARD = {"name": "cortex-m4-an386", "title": "A board", "reach": "qemu", "cpu": {"arch": "armv7e-m"}}


def test_an_update_of_weights_alone_is_about_as_large_as_the_weights(fleet, tmp_path):
    """Same code, other weights: what travels of the image is the weights, and hardly anything of the code."""
    code = random.Random(1).randbytes(120_000)
    for seed in (1, 2):
        bundle = make_bundle(tmp_path / f"b{seed}", device=BOARD, target="tflite_micro", files=firmware(seed, code))
        release = publish(fleet.home, fleet, [bundle], product="mic")
    files = {file.path: file for file in release.bundles[0].files}
    sizes = {name: [d.patch.size for d in files[f"bundle/{name}"].deltas] for name in firmware(1, code)}
    for name in ("firmware.bin", "firmware.elf"):
        assert len(sizes[name]) == 1 and 24_000 <= sizes[name][0] < 24_500, sizes
    assert sizes["firmware.hex"][0] < files["bundle/firmware.hex"].content.size / 4, sizes
    assert sizes["model.tflite"] == [], "all of it is new: no patch is worth it"
    new, old = savings(fleet, release)
    assert (new.base, old.base) == (0, 1) and new.fetch == new.full == old.full
    assert old.fetch < old.full / 3, f"{old.fetch} of {old.full} bytes"
    assert old.share == f"{1 - old.fetch / old.full:.1%}"


def test_deltas_are_from_the_newest_releases_only(fleet, tmp_path):
    model = random.Random(5).randbytes(30_000)
    for number in range(RELEASES + 2):
        files = {"model.bin": model + bytes([number]) * 100}
        release = publish(fleet.home, fleet, [make_bundle(tmp_path / f"b{number}", files=files)], product="cam")
    file = next(each for each in release.bundles[0].files if each.path == "bundle/model.bin")
    bases = [
        next(f.content.sha256 for f in fleet.release("cam", version).bundles[0].files if f.path == file.path)
        for version in (4, 3, 2)
    ]
    assert [delta.base for delta in file.deltas] == bases, "the newest comes first"
    assert [row.base for row in savings(fleet, release)] == [0, 4, 3, 2]
    for delta in file.deltas:
        assert Blobs(fleet.home.repository).has(delta.patch) and delta.patch.size < 300


def test_small_files_other_files_and_lost_bases_have_no_deltas(fleet, tmp_path):
    noise = random.Random(6)
    same, small, big = noise.randbytes(9000), noise.randbytes(LEAST - 10), noise.randbytes(9000)
    contents = [{"same": same, "small": small + b"a", "other": noise.randbytes(9000), "big": big + b"1"} for _ in "ab"]
    contents[1]["small"], contents[1]["big"] = small + b"b", big + b"2"
    publish(fleet.home, fleet, [make_bundle(tmp_path / "a", files=contents[0])], product="cam")
    release = publish(fleet.home, fleet, [make_bundle(tmp_path / "b", files=contents[1])], product="cam")
    found = {file.path: len(file.deltas) for file in release.bundles[0].files}
    assert (found["bundle/same"], found["bundle/small"], found["bundle/other"], found["bundle/big"]) == (0, 0, 0, 1)
    base = next(file for file in release.bundles[0].files if file.path == "bundle/big").content
    Blobs(fleet.home.repository).path(base).unlink()
    contents[1]["big"] = big + b"3"
    last = publish(fleet.home, fleet, [make_bundle(tmp_path / "c", files=contents[1])], product="cam")
    assert [len(file.deltas) for file in last.bundles[0].files if file.path == "bundle/big"] == [1], (
        "of version 1 alone"
    )


def test_bundles_of_other_devices_are_no_bases(fleet, tmp_path):
    model = random.Random(7).randbytes(20_000)
    publish(fleet.home, fleet, [make_bundle(tmp_path / "a", files={"m": model})], product="cam")
    other = {**BOARD, "reach": "local", "cpu": {"arch": "aarch64"}}
    bundle = make_bundle(tmp_path / "b", device=other, files={"m": model + b"x"})
    release = publish(fleet.home, fleet, [bundle], product="cam")
    assert not [file.path for file in release.bundles[0].files if file.deltas and file.path == "bundle/m"]


def test_what_a_device_reads_is_what_was_tried_out(tmp_path):
    """The agent's own function gives the blocks; together they are the file."""
    old, new = b"o" * 10_000, b"o" * 9_000 + b"n" * 2_000
    (tmp_path / "patch").write_bytes(make_patch(old, new))
    assert b"".join(patched(old, tmp_path / "patch", blob(new))) == new
