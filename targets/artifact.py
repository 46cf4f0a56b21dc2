"""The artifact: a folder with a manifest that pins every byte, ready to travel to a device.

``manifest.json`` holds the schema version, the SHA-256 of every file, inputs and outputs with their
quantization parameters, tool versions, what the build was made from, and how far outputs may differ
from ``golden.npz``. ``profile.json`` is the one file outside the hashes: it records measurements.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError, OutputError, VerificationError
from targets.base import Compiled, TensorSpec

SCHEMA = 1
MANIFEST = "manifest.json"
GOLDEN = "golden.npz"
PROFILE = "profile.json"
LAYERS = "layers.json"


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A bundle on disk.

    Attributes:
        folder: where it is.
        device: the device profile it was built for, as data.
        target, precision: what made it.
        compiled: model files, inputs, outputs and options for the runner.
        files: name to SHA-256, manifest and profile excluded.
        tools: package to version.
        model: name, source, canonical inputs and outputs.
        build: the build's inputs (scheme, calibration, data) as data.
        golden: how far outputs may differ, see ``targets/golden.py``.
    """

    folder: Path
    device: Mapping[str, Any]
    target: str
    precision: str
    compiled: Compiled
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tools: Mapping[str, str] = dataclasses.field(default_factory=dict)
    model: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    build: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    golden: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def digest(self) -> str:
        """One SHA-256 over the manifest: the identity of the whole bundle."""
        return sha256(self.folder / MANIFEST)

    def size(self) -> int:
        """Bytes of the model files that the device needs."""
        return sum((self.folder / name).stat().st_size for name in self.compiled.files)


def sha256(path: Path) -> str:
    """Hex digest of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_manifest(artifact: Artifact) -> Artifact:
    """Hash all files below the folder and write ``manifest.json``; returns the artifact with its hashes."""
    names = sorted(
        path.relative_to(artifact.folder).as_posix() for path in artifact.folder.rglob("*") if path.is_file()
    )
    files = {name: sha256(artifact.folder / name) for name in names if name not in (MANIFEST, PROFILE)}
    done = dataclasses.replace(artifact, files=files)
    write_json(artifact.folder / MANIFEST, _manifest(done))
    return done


def _manifest(artifact: Artifact) -> dict[str, Any]:
    compiled = artifact.compiled
    return {
        "schema": SCHEMA,
        "device": dict(artifact.device),
        "target": artifact.target,
        "precision": artifact.precision,
        "model": dict(artifact.model),
        "model_files": list(compiled.files),
        "inputs": [spec.as_dict() for spec in compiled.inputs],
        "outputs": [spec.as_dict() for spec in compiled.outputs],
        "options": dict(compiled.options),
        "golden": dict(artifact.golden),
        "build": dict(artifact.build),
        "tools": dict(artifact.tools),
        "files": dict(artifact.files),
        "unreproducible": dict(compiled.unreproducible),
        "not_hashed": [MANIFEST, PROFILE],
    }


def load_artifact(folder: Path, *, verify: bool = True) -> Artifact:
    """Read a bundle.

    Raises:
        ConfigError: not a bundle, or of a schema that this version does not read.
        VerificationError: a file is missing, was changed, or does not belong (with ``verify``).
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ConfigError(
            f"wanted a bundle at {folder}", seen=f"no {MANIFEST} there", next_step="run: edgewright build PROJECT.toml"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        artifact = _from_manifest(folder, data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerificationError(
            f"{path} is damaged", seen=f"{type(error).__name__}: {error}", next_step="build the bundle again"
        ) from error
    if verify:
        verify_files(artifact)
    return artifact


def _from_manifest(folder: Path, data: Mapping[str, Any]) -> Artifact:
    if data["schema"] != SCHEMA:
        raise ConfigError(f"{folder} has a manifest of another schema", seen=str(data["schema"]), allowed=str(SCHEMA))
    compiled = Compiled(
        tuple(data["model_files"]),
        tuple(TensorSpec.from_dict(spec) for spec in data["inputs"]),
        tuple(TensorSpec.from_dict(spec) for spec in data["outputs"]),
        data["options"],
        data["unreproducible"],
    )
    parts = {key: data[key] for key in ("device", "target", "precision", "files", "tools", "model", "build", "golden")}
    return Artifact(folder=folder, compiled=compiled, **parts)


def verify_files(artifact: Artifact) -> None:
    """Compare every file with its hash, and look for files that do not belong.

    Raises:
        VerificationError: naming the first file that differs.
    """
    for name, digest in artifact.files.items():
        path = artifact.folder / name
        if not _inside(artifact.folder, name):
            raise VerificationError("a bundle holds only files below its own folder", seen=name)
        if not path.is_file():
            raise VerificationError(f"wanted the file {name} of the bundle", seen="it is missing", next_step=_AGAIN)
        if sha256(path) != digest:
            raise VerificationError(
                f"{name} differs from its manifest",
                seen=f"sha256 {sha256(path)[:16]}…",
                allowed=f"sha256 {digest[:16]}…",
                next_step=_AGAIN,
            )


_AGAIN = "build or copy the bundle again"


def _inside(folder: Path, name: str) -> bool:
    return (folder / name).resolve().is_relative_to(folder.resolve())


def write_json(path: Path, data: Any) -> None:
    """Write JSON through a temporary file, so that readers see the old or the new text, never half of one."""
    write_bytes(path, (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Atomic write.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
        raise output_error(path, error) from error


def output_error(path: Path, error: OSError) -> OutputError:
    """The operating system's refusal in our words."""
    return OutputError(
        f"cannot write {path}",
        seen=error.strerror or str(error),
        next_step="free some space, or choose another folder with --out",
    )


def publish(staging: Path, final: Path) -> None:
    """Put a finished folder in its place: readers find the old bundle, the new one, or (for an instant) none.

    Raises:
        OutputError: the place cannot be written.
    """
    retired = final.with_name(f".{final.name}.{os.getpid()}.old")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists() or final.is_symlink():
            final.rename(retired)
        staging.rename(final)
    except OSError as error:
        if retired.exists() and not final.exists():
            retired.rename(final)
        raise output_error(final, error) from error
    finally:
        shutil.rmtree(retired, ignore_errors=True)
