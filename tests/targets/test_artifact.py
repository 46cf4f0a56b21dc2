"""The bundle on disk: what is written is read back, and no byte changes unseen."""

import hashlib
import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.errors import ConfigError, VerificationError
from targets.artifact import MANIFEST, PROFILE, TIMELINE, Artifact, load_artifact, sha256, write_manifest
from targets.base import Compiled, TensorSpec

INPUT = TensorSpec("x", (1, 32, 32, 3), "int8", "NHWC", "image", 0.0123, -3, (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
OUTPUT = TensorSpec("logits", (1, 10), layout="NC")


def make(folder):
    (folder / "engine").mkdir(parents=True)
    (folder / "model.tflite").write_bytes(b"\x00weights" * 30)
    (folder / "engine" / "blob.bin").write_bytes(b"blob" * 10)
    (folder / "golden.npz").write_bytes(b"golden")
    compiled = Compiled(
        ("model.tflite", "engine/blob.bin"), (INPUT,), (OUTPUT,), {"threads": 1}, {"engine/blob.bin": "holds a date"}
    )
    return write_manifest(
        Artifact(
            folder,
            {"name": "local-cpu", "cpu": {"clock": 2.4e9}},
            "litert",
            "int8",
            compiled,
            tools={"ai-edge-litert": "2.3.0"},
            model={"name": "resnet8 «ü»"},
            build={"scheme": {"calibrator": "minmax"}},
            golden={"tolerance": {"logits": 2.0}},
        )
    )


@pytest.fixture
def artifact(tmp_path):
    return make(tmp_path / "bundle")


def test_what_is_written_is_read_back(artifact):
    assert load_artifact(artifact.folder) == artifact
    assert artifact.size() == 240 + 40
    assert set(artifact.files) == {"model.tflite", "engine/blob.bin", "golden.npz"}
    for name, digest in artifact.files.items():
        assert digest == hashlib.sha256((artifact.folder / name).read_bytes()).hexdigest()


def test_equal_bundles_have_equal_bytes_and_one_identity(tmp_path, artifact):
    other = make(tmp_path / "elsewhere")
    assert (other.folder / MANIFEST).read_bytes() == (artifact.folder / MANIFEST).read_bytes()
    assert other.digest() == artifact.digest() == sha256(artifact.folder / MANIFEST)


def test_writing_the_manifest_again_changes_nothing(artifact):
    before = (artifact.folder / MANIFEST).read_bytes()
    write_manifest(artifact)
    assert (artifact.folder / MANIFEST).read_bytes() == before


def test_the_profile_and_what_its_killed_writer_left_are_not_hashed(artifact):
    (artifact.folder / PROFILE).write_text("{}")
    (artifact.folder / TIMELINE).write_text("{}")
    (artifact.folder / f".{PROFILE}.123-ab.tmp").write_text("{")
    (artifact.folder / f".{MANIFEST}.123-ab.tmp").write_text("{")
    assert load_artifact(artifact.folder) == artifact
    assert write_manifest(artifact).files == artifact.files


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return make(tmp_path_factory.mktemp("pristine") / "bundle")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_bit_of_a_bundle_changes_unseen(pristine, tmp_path_factory, data):
    """A flip in the manifest may also make it a bundle of another schema; white space may change."""
    folder = tmp_path_factory.mktemp("flip") / "bundle"
    shutil.copytree(pristine.folder, folder)
    victim = folder / data.draw(st.sampled_from([*pristine.files, MANIFEST]))
    raw = bytearray(victim.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    victim.write_bytes(raw)
    try:
        seen = load_artifact(folder)
    except (VerificationError, ConfigError):
        return
    finally:
        shutil.rmtree(folder.parent)
    assert victim.name == MANIFEST, f"a changed {victim.name} was not noticed"
    assert json.loads(raw) == json.loads((pristine.folder / MANIFEST).read_bytes())
    assert seen.files == pristine.files


def test_a_changed_file_is_named(artifact):
    (artifact.folder / "engine" / "blob.bin").write_bytes(b"BLOB" * 10)
    with pytest.raises(VerificationError, match=r"engine/blob\.bin differs from its manifest"):
        load_artifact(artifact.folder)
    assert load_artifact(artifact.folder, verify=False).files == artifact.files


def test_a_missing_file_is_named(artifact):
    (artifact.folder / "golden.npz").unlink()
    with pytest.raises(VerificationError, match=r"golden\.npz of the bundle"):
        load_artifact(artifact.folder)


def test_a_stranger_is_named(artifact):
    (artifact.folder / "engine" / "stranger.so").write_bytes(b"")
    with pytest.raises(VerificationError, match="only the files of its manifest") as caught:
        load_artifact(artifact.folder)
    assert caught.value.seen == "engine/stranger.so"


def forge(artifact, **changes):
    """Change the manifest as someone would who knows how its digest is made."""
    body = json.loads((artifact.folder / MANIFEST).read_text(encoding="utf-8")) | changes
    del body["sha256"]
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    body["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (artifact.folder / MANIFEST).write_text(json.dumps(body), encoding="utf-8")


def test_the_forger_of_these_tests_works(artifact):
    forge(artifact, precision="fp32")
    assert load_artifact(artifact.folder).precision == "fp32"


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "engine/../../secret", "link/secret"])
def test_a_manifest_cannot_reach_outside(artifact, tmp_path, name):
    (tmp_path / "secret").write_bytes(b"x")
    (artifact.folder / "link").symlink_to(tmp_path)
    forge(artifact, files={**artifact.files, name: hashlib.sha256(b"x").hexdigest()})
    with pytest.raises(VerificationError, match="only files below its own folder"):
        load_artifact(artifact.folder)


def test_model_files_must_be_among_the_hashed_ones(artifact):
    forge(artifact, model_files=["model.tflite", "../../somewhere/else.so"])
    with pytest.raises(VerificationError, match="only the files of its manifest") as caught:
        load_artifact(artifact.folder)
    assert caught.value.seen == "../../somewhere/else.so"


def test_another_schema_is_not_damage(artifact):
    forge(artifact, schema=2)
    with pytest.raises(ConfigError, match="another schema") as caught:
        load_artifact(artifact.folder)
    assert (caught.value.seen, caught.value.allowed) == ("2", "1")


@pytest.mark.parametrize(
    "changes", [{"files": []}, {"inputs": [{"nome": "x"}]}, {"inputs": 3}, {"options": None}, {"golden": 1}]
)
def test_a_manifest_of_the_wrong_shape(artifact, changes):
    forge(artifact, **changes)
    with pytest.raises(VerificationError, match="is damaged"):
        load_artifact(artifact.folder)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"3", b"{}", b"\xff\xfe", b"[" * 50_000, b'{"schema": 1}'])
def test_a_manifest_that_is_none(artifact, text):
    (artifact.folder / MANIFEST).write_bytes(text)
    with pytest.raises(VerificationError, match="is damaged") as caught:
        load_artifact(artifact.folder)
    assert caught.value.next_step


def test_no_bundle_at_all(tmp_path):
    with pytest.raises(ConfigError, match="wanted a bundle at"):
        load_artifact(tmp_path / "nothing")
