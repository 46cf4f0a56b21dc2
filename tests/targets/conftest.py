"""A device for the tests: a real OpenSSH server on a loopback port, a Python of its own, a cable to cut."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from profiles.errors import EdgewrightError
from targets import remote
from targets.artifact import Artifact, write_manifest
from targets.base import Compiled, TensorSpec
from targets.golden import Golden, save_golden, tolerances
from targets.null.runner import null_outputs
from targets.ssh import SshOptions

SITE = Path(np.__file__).parents[1]


def make_python(folder: Path, wanted: Callable[[str], bool]) -> Path:
    """An interpreter that sees only some of the installed packages, and never this repository."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    site = next((folder / "lib").glob("python3*/site-packages"))
    for entry in SITE.iterdir():
        ours = entry.name in ("profiles", "targets", "toolchain") or entry.suffix == ".pth"
        if not ours and wanted(entry.name):
            (site / entry.name).symlink_to(entry)
    python = folder / "bin" / "python"
    probe = subprocess.run([python, "-c", "import targets"], capture_output=True, text=True, check=False, cwd=folder)
    assert "No module named 'targets'" in probe.stderr, "the device's Python must not see this repository"
    return python


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory) -> Path:
    """Without any package."""
    return make_python(tmp_path_factory.mktemp("bare"), lambda name: False)


@pytest.fixture(scope="session")
def numpy_python(tmp_path_factory) -> Path:
    """With numpy and nothing else."""
    return make_python(tmp_path_factory.mktemp("numpy"), lambda name: name in ("numpy", "numpy.libs"))


@pytest.fixture(scope="session")
def engine_python(tmp_path_factory) -> Path:
    """With everything that is installed here, except Edgewright."""
    return make_python(tmp_path_factory.mktemp("engine"), lambda name: True)


@dataclass
class Device:
    """The server's side: where it listens, and the folder that is its temporary one."""

    port: int
    folder: Path
    options: SshOptions

    def url(self, port: int | None = None) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{port or self.port}"

    def processes(self) -> list[int]:
        """Ids of all processes that were started over ssh on this device."""
        mark = f"TMPDIR={self.folder}".encode()
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if mark in _environ(path)]

    def assert_clean(self) -> None:
        """Wait a while for the device to clean up, and insist that it did."""
        end = time.monotonic() + 20
        while (self.processes() or list(self.folder.iterdir())) and time.monotonic() < end:
            time.sleep(0.05)
        assert not self.processes(), "no process may be left on the device"
        assert not list(self.folder.iterdir()), "no file may be left on the device"


def _environ(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended while we looked, or belongs to another user
        return b""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def make_key(path: Path) -> str:
    """A new key pair; returns the public half as one line."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.with_suffix(".pub").read_text().strip()


@pytest.fixture(scope="session")
def device(tmp_path_factory):
    """A running OpenSSH server with keys, configuration and temporary folder of its own."""
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None or shutil.which("ssh") is None:
        pytest.skip("needs a real OpenSSH server; run: sudo apt-get install openssh-server openssh-client")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd as root insists on it
    home = tmp_path_factory.mktemp("sshd")
    port, options = _configure(home)
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [program, "-D", "-e", "-f", home / "sshd_config"], stderr=log, stdin=subprocess.DEVNULL
        )
        try:
            _await(port, server, home / "log")
            yield Device(port, home / "tmp", options)
        finally:
            server.terminate()
            server.wait(timeout=10)


def _configure(home: Path) -> tuple[int, SshOptions]:
    """All files of the server and its client; returns the port, and the client's options."""
    port, temporary = free_port(), home / "tmp"
    temporary.mkdir()
    host_key, user_key = make_key(home / "host_key"), make_key(home / "user_key")
    (home / "authorized_keys").write_text(user_key + "\n")
    (home / "known_hosts").write_text(f"[127.0.0.1]:* {host_key}\n")
    server = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": home / "host_key",
        "AuthorizedKeysFile": home / "authorized_keys",
        "PidFile": home / "pid",
        "UsePAM": "no",
        "StrictModes": "no",
        "PermitRootLogin": "prohibit-password",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "SetEnv": f"TMPDIR={temporary}",
    }
    client = {"UserKnownHostsFile": home / "known_hosts", "IdentityFile": home / "user_key", "IdentitiesOnly": "yes"}
    for name, settings in (("sshd_config", server), ("ssh_config", client)):
        (home / name).write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    return port, SshOptions(config=home / "ssh_config")


def _await(port: int, server: subprocess.Popen, log: Path) -> None:
    for _ in range(100):
        assert server.poll() is None, f"sshd did not start: {log.read_text()}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"sshd does not answer: {log.read_text()}")


class Cable:
    """A TCP connection through our hands: it can be cut, or go silent."""

    def __init__(self, port: int) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.server.getsockname()[1])
        self.far = port
        self.ends: list[socket.socket] = []
        self.flowing = threading.Event()
        self.flowing.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        try:
            near, _ = self.server.accept()
        except OSError:  # closed before anybody came
            return
        far = socket.create_connection(("127.0.0.1", self.far))
        self.ends = [near, far]
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.flowing.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # cut
            pass

    def go_silent(self) -> None:
        """Nothing passes any more, and neither side is told."""
        self.flowing.clear()

    def cut(self) -> None:
        """Both sides see the end of the connection."""
        for end in (*self.ends, self.server):
            with contextlib.suppress(OSError):  # not connected
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.flowing.set()


@pytest.fixture
def cable(device):
    """A cable between us and the device."""
    made = Cable(device.port)
    yield made
    made.cut()


def null_bundle(folder: Path, *, model_bytes: int = 1000, width: int = 3, target: str = "null") -> Path:
    """A bundle for the null target, with golden samples, and a model file of random bytes."""
    random = np.random.default_rng(7)
    folder.mkdir()
    (folder / "model.bin").write_bytes(random.bytes(model_bytes))
    inputs, outputs = (TensorSpec("x", (1, 4)),), (TensorSpec("y", (1, width)),)
    golden = {"x": random.normal(size=(2, 1, 4)).astype(np.float32)}
    results = [null_outputs({"x": sample}, outputs)["y"] for sample in golden["x"]]
    expected = {"y": np.stack(results)}
    save_golden(folder / "golden.npz", Golden(golden, expected, expected))
    write_manifest(
        Artifact(
            folder=folder,
            device={"name": "some-board", "title": "Some board"},
            target=target,
            precision="fp32",
            compiled=Compiled(("model.bin",), inputs, outputs),
            golden={"tolerance": tolerances(expected, "fp32")},
        )
    )
    return folder


@pytest.fixture
def bundle(tmp_path) -> Path:
    """A small bundle that needs no engine."""
    return null_bundle(tmp_path / "bundle")


@pytest.fixture(scope="session")
def make_bundle():
    """Makes bundles of other sizes, see :func:`null_bundle`."""
    return null_bundle


@pytest.fixture
def ask(device, bundle, numpy_python):
    """One conversation with the device; afterwards it must be clean, whatever happened."""

    def ask(request, on_event=lambda event: None, *, folder=bundle, port=None, **more):
        settings = {"python": str(numpy_python), "options": device.options, "timeout": 90.0, **more}
        return remote.converse(device.url(port), folder, request, on_event, **settings)

    yield ask
    device.assert_clean()


@pytest.fixture
def refused(ask):
    """A conversation that must fail: gives the error, which must be of exactly the wanted kind."""

    def refused(kind, *arguments, **settings):
        with pytest.raises(EdgewrightError) as caught:
            ask(*arguments, **settings)
        assert type(caught.value) is kind, f"wanted {kind.__name__}, got: {caught.value!r}"
        assert caught.value.seen, "an error says what was seen"
        return caught.value

    return refused


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(sys.modules["targets.artifact"].__file__).parents[1]
