"""A real nginx in a temporary folder, on loopback; and a small repository of The Update Framework for it to serve."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from toolchain.fleet.nginx.config import Settings, render

LATER = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)
BLOB = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(BLOB).hexdigest()
RELEASE = b'{"release": 1}'


def find_nginx() -> str:
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs a real nginx: sudo apt-get install nginx-light")
    return program


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def running(settings: Settings, port: int) -> Iterator[subprocess.Popen]:
    """nginx with these settings, as our own process, until the end of the block."""
    program, folder = find_nginx(), settings.folder
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(render(settings))
    with (folder / "stderr").open("w") as log:
        server = subprocess.Popen([program, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"], stderr=log)
    try:
        for _ in range(200):
            assert server.poll() is None, f"nginx did not start:\n{(folder / 'stderr').read_text()}"
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            time.sleep(0.02)
        yield server
    finally:
        server.terminate()
        server.wait(timeout=10)


def make_repository(folder: Path) -> bytes:
    """metadata/, targets/ and blobs/ with one release of each; returns the first root."""
    path = "releases/camera/1.json"
    root, signer = Root(consistent_snapshot=True), CryptoSigner.generate_ed25519()
    for role in ("root", "targets", "snapshot", "timestamp"):
        root.add_key(signer.public_key, role)
    targets, snapshot, timestamp = Targets(), Snapshot(), Timestamp()
    targets.targets[path] = TargetFile.from_data(path, RELEASE, ["sha256"])
    (folder / "metadata").mkdir(parents=True)
    names = {"1.root": root, "1.targets": targets, "1.snapshot": snapshot, "timestamp": timestamp}
    for name, signed in names.items():
        signed.expires = LATER
        metadata = Metadata(signed)
        metadata.sign(signer)
        metadata.to_file(str(folder / "metadata" / f"{name}.json"))
    hashed = folder / "targets/releases/camera" / f"{hashlib.sha256(RELEASE).hexdigest()}.1.json"
    blob = folder / "blobs" / DIGEST[:2] / DIGEST
    for file, content in ((hashed, RELEASE), (blob, BLOB), (folder / "blobs" / ".half.tmp", b"half")):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return (folder / "metadata" / "1.root.json").read_bytes()
