"""The artifact: a folder with a manifest that pins every byte, ready to travel to a device.

``manifest.json`` holds the schema version, the SHA-256 of every file, inputs and outputs with their
quantization parameters, tool versions, what the build was made from, and how far outputs may differ
from ``golden.npz``. ``profile.json`` and what lies beside it are outside the hashes: they record measurements. The
manifest's last entry, ``sha256``, is over the rest of it, so that no byte of a bundle can change unseen.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError, VerificationError
from targets.base import Compiled, TensorSpec
from targets.files import output_error, publish, write_bytes, write_json

__all__ = [
    "BESIDE",
    "GOLDEN",
    "HERE",
    "LAYERS",
    "MANIFEST",
    "NOT_RUN",
    "PROFILE",
    "SCHEMA",
    "TIMELINE",
    "Artifact",
    "load_artifact",
    "output_error",
    "publish",
    "sha256",
    "verify_files",
    "write_bytes",
    "write_json",
    "write_manifest",
]

SCHEMA = 1
MANIFEST = "manifest.json"
GOLDEN = "golden.npz"
PROFILE = "profile.json"
LAYERS = "layers.json"
#: What happened when in one inference, as a Chrome trace: opens in Perfetto.
TIMELINE = "timeline.json"
#: Files that a measurement may leave beside the profile.
BESIDE = (TIMELINE,)
#: What ``build["executed"]`` says: the engine ran the golden samples here, or could not, and why.
HERE, NOT_RUN = "on this machine", "compiled, not run"


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

    @property
    def not_run(self) -> str:
        """Why the machine that built the bundle could not run it; empty when it did."""
        return str(self.build.get("executed", HERE)).partition(f"{NOT_RUN}: ")[2]

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
    files = {name: sha256(artifact.folder / name) for name in _hashed_names(artifact.folder)}
    done = dataclasses.replace(artifact, files=files)
    body = json.loads(json.dumps(_manifest(done), allow_nan=False))
    write_json(artifact.folder / MANIFEST, {**body, "sha256": _digest(body)})
    return done


def _hashed_names(folder: Path) -> list[str]:
    """All files of a bundle but those that are not hashed, and what a killed writer of those left."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    free = [pattern for name in (MANIFEST, PROFILE, *BESIDE) for pattern in (name, f".{name}.*.tmp")]
    return [name for name in names if not any(fnmatch.fnmatchcase(name, pattern) for pattern in free)]


def _digest(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


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
        "not_hashed": [MANIFEST, PROFILE, *BESIDE],
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
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise VerificationError(
            f"{path} is damaged", seen=f"{type(error).__name__}: {error}", next_step=_AGAIN
        ) from error
    if verify:
        verify_files(artifact)
    return artifact


def _from_manifest(folder: Path, data: dict[str, Any]) -> Artifact:
    if data["schema"] != SCHEMA:
        raise ConfigError(f"{folder} has a manifest of another schema", seen=str(data["schema"]), allowed=str(SCHEMA))
    if data.pop("sha256") != _digest(data):
        raise ValueError("it was changed after it was written")
    compiled = Compiled(
        tuple(data["model_files"]),
        tuple(TensorSpec.from_dict(spec) for spec in data["inputs"]),
        tuple(TensorSpec.from_dict(spec) for spec in data["outputs"]),
        data["options"],
        data["unreproducible"],
    )
    objects = {key: data[key] for key in ("device", "files", "tools", "model", "build", "golden", "options")}
    wrong = [key for key, value in objects.items() if not isinstance(value, dict)]
    if wrong:
        raise TypeError(f"{', '.join(wrong)} must be an object")
    del objects["options"]
    return Artifact(folder=folder, target=data["target"], precision=data["precision"], compiled=compiled, **objects)


def verify_files(artifact: Artifact) -> None:
    """Compare every file with its hash, and look for files that do not belong.

    Raises:
        VerificationError: naming the first file that differs.
    """
    for name, digest in artifact.files.items():
        _verify_file(artifact.folder, name, digest)
    strangers = [name for name in _hashed_names(artifact.folder) if name not in artifact.files]
    strangers += [name for name in artifact.compiled.files if name not in artifact.files]
    if strangers:
        raise VerificationError(
            "a bundle holds only the files of its manifest", seen=", ".join(strangers), next_step=_AGAIN
        )


def _verify_file(folder: Path, name: str, digest: str) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise VerificationError("a bundle holds only files below its own folder", seen=name)
    if not path.is_file():
        raise VerificationError(f"wanted the file {name} of the bundle", seen="it is missing", next_step=_AGAIN)
    seen = sha256(path)
    if seen != digest:
        raise VerificationError(
            f"{name} differs from its manifest",
            seen=f"sha256 {seen[:16]}…",
            allowed=f"sha256 {digest[:16]}…",
            next_step=_AGAIN,
        )


_AGAIN = "build or copy the bundle again"
