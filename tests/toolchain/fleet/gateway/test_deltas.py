"""Weights-only updates of firmware: how small the patch is against the whole signed image."""

import hashlib

import fleet_firmware_deltas as firmware
import pytest

from toolchain.fleet.agent.blobs import patched
from toolchain.fleet.documents.release import Blob
from toolchain.fleet.publish.deltas import make_patch


@pytest.fixture(scope="module")
def rows():
    return {row.changed: row for row in firmware.rows("dscnn")}


def test_a_release_with_the_same_weights_is_its_header_hash_and_signature(rows):
    assert rows["nothing"].patch < 256


def test_a_new_last_layer_is_a_twentieth_of_the_image(rows):
    row = rows["last layer"]
    assert rows["nothing"].patch < row.patch < 0.05 * row.image


def test_a_few_changed_weights_are_a_small_part_of_the_image(rows):
    row = rows["one weight in 20"]
    assert rows["last layer"].patch < row.patch < 0.15 * row.image


def test_all_weights_new_are_the_weights_and_little_else(rows):
    """Code, tables and shapes stay; weights are noise to a compressor."""
    row = rows["all weights"]
    assert row.weights < row.patch < row.weights + 4096 < row.image


def test_the_patch_makes_the_image_with_the_agents_own_code(tmp_path):
    old, new = (firmware.image("dscnn", changed, version, tmp_path)[0] for version, changed in
                enumerate(("nothing", "last layer"), start=1))  # fmt: skip
    (tmp_path / "patch").write_bytes(make_patch(old, new))
    content = Blob(hashlib.sha256(new).hexdigest(), len(new))
    assert b"".join(patched(old, tmp_path / "patch", content)) == new
