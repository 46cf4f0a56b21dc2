"""For all tests: a cache of one's own, patient property tests, and a device.

The device is a real OpenSSH server on a loopback port, with Pythons of its own that lack what a device lacks.
"""

import os

# before numpy and torch are imported: their threads wait for each other where several test processes share processors
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import getpass
import itertools
import shutil
import socket
import subprocess
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from targets.ssh import SshOptions

# how long an example takes says more about the machine's other work than about the code
hypothesis.settings.register_profile("edgewright", deadline=None)
hypothesis.settings.load_profile("edgewright")


@pytest.fixture(scope="session", autouse=True)
def _caches(tmp_path_factory):
    """A folder for caches; what fixtures of a wider scope than a test build goes into one of them."""
    folder = tmp_path_factory.mktemp("caches")
    os.environ["EDGEWRIGHT_CACHE"] = str(folder / "shared")
    return folder, itertools.count()


@pytest.fixture(autouse=True)
def _own_cache(_caches, monkeypatch):
    """Every test starts with an empty cache, and none touches the user's."""
    folder, numbers = _caches
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(folder / str(next(numbers))))


@pytest.fixture
def kept_simulators(_own_cache):
    """In this test's cache, the simulators of FPGA arrays that all tests and all test processes share.

    One takes ten seconds to build. They are called by the hash of all that went in.
    """
    from tests.targets.tvm_fpga.rtl.bench import cache

    mine = Path(os.environ["EDGEWRIGHT_CACHE"])
    mine.mkdir(parents=True, exist_ok=True)
    (mine / "rtl").symlink_to(cache(), target_is_directory=True)


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
def python_with():
    """Makes interpreters, see :func:`make_python`."""
    return make_python


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


@pytest.fixture
def untouched():
    """``untouched(folder)`` remembers a folder's files; calling what it returns insists that they are the same."""

    def contents(folder):
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    def remember(folder):
        before = contents(folder)

        def check():
            after = contents(folder)
            assert sorted(after) == sorted(before), f"other files than before: {set(after) ^ set(before)}"
            assert after == before, "a file changed"

        return check

    return remember
