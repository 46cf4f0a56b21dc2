"""Where the demo's machines are: network namespaces with cables between them, or all on loopback.

With root, the whole demo runs in namespaces of its own for network, mounts and processes. Nothing of the machine's own
network is touched, and when the demo ends, however it ends, they vanish with everything that ran in them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from examples.fleet.processes import Processes

#: Set in the process that runs inside of the namespaces: the folder for its files.
INSIDE = "EDGEWRIGHT_DEMO_INSIDE"
#: Ends with its parent, and takes everything with it. ``--propagation private`` keeps our mounts to ourselves.
_UNSHARE = (
    "unshare",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--propagation",
    "private",
)
#: Everything that :func:`namespaces` asks the kernel for: a container may permit one and not the other.
_PROBE = " && ".join(
    (
        "mount -t tmpfs tmpfs /run",
        "ip link add probe0 type bridge",
        "ip link add probe1 type veth peer name probe2",
        "unshare --net true",
    )
)
BASE = "10.77.0"
#: Empty folder that OpenSSH confines itself to. Debian's service makes it, so it is missing where that never ran.
_SSHD_ROOM = Path("/run/sshd")
#: Seconds that the demo may take to tidy up.
_PATIENCE = 15.0


@dataclasses.dataclass(frozen=True)
class Host:
    """A machine of the demo.

    Attributes:
        name: of the device.
        address, port: of its ssh server.
        prefix: in front of a command line that runs on it.
    """

    name: str
    address: str
    port: int
    prefix: tuple[str, ...] = ()


def why_loopback() -> str:
    """Why namespaces cannot be had here; empty if they can."""
    if os.geteuid() != 0:
        return "making network namespaces needs root"
    missing = [name for name in ("unshare", "nsenter", "ip", "mount") if shutil.which(name) is None]
    if missing:
        return f"there is no {', '.join(missing)} (Debian: util-linux, iproute2)"
    try:
        done = subprocess.run([*_UNSHARE, "sh", "-c", _PROBE], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"this system does not permit them: {error}"
    words = (done.stderr.strip().splitlines() or ["it failed"])[-1]
    return "" if done.returncode == 0 else f"this system does not permit them: {words}"


def enter(argv: Sequence[str], folder: str) -> int:
    """Run the demo again inside of the namespaces, with this folder; its exit code.

    Raises:
        KeyboardInterrupt: we were asked to end; then so was the demo, and it has.
    """
    command = [*_UNSHARE, sys.executable, "-m", "examples.fleet.demo", *argv]
    process = subprocess.Popen(command, env={**os.environ, INSIDE: folder})
    try:
        return process.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)  # Ctrl-C reaches the whole terminal, so the demo tidies up already
        for child in _children(process.pid):
            os.kill(child, signal.SIGTERM)  # any other signal came to us alone
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
        raise
    finally:
        process.kill()  # the namespaces end with it, and so does everything in them
        process.wait()


def _children(pid: int) -> list[int]:
    """Of a process that has one thread; none if it has ended."""
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def namespaces(names: Sequence[str], processes: Processes) -> tuple[str, list[Host]]:
    """A switch in our own namespace, and a namespace with a cable to it for each device.

    Returns:
        The server's address, and the hosts.
    """
    for words in (
        "mount -t tmpfs tmpfs /run",
        "mkdir -m 755 /run/sshd",
        "ip link set lo up",
        "ip link add fleet type bridge",
        f"ip addr add {BASE}.1/24 dev fleet",
        "ip link set fleet up",
    ):
        _do(words)
    return f"{BASE}.1", [_plugged(name, number, processes) for number, name in enumerate(names)]


def _plugged(name: str, number: int, processes: Processes) -> Host:
    holder = processes.start(f"{name}-namespace", ["unshare", "--net", "sleep", "infinity"])
    inside = ("nsenter", "-t", str(holder.pid), "-n")
    address = f"{BASE}.{11 + number}"
    _wait_for_namespace(holder.pid)
    for words in (
        f"ip link add cable{number} type veth peer name eth0 netns {holder.pid}",
        f"ip link set cable{number} master fleet up",
        " ".join([*inside, f"ip addr add {address}/24 dev eth0"]),
        " ".join([*inside, "ip link set eth0 up"]),
        " ".join([*inside, "ip link set lo up"]),
    ):
        _do(words)
    return Host(name, address, 22, inside)


def _wait_for_namespace(pid: int) -> None:
    """Until the process has left our own network."""
    ours = os.readlink("/proc/self/ns/net")
    for _ in range(500):
        if os.readlink(f"/proc/{pid}/ns/net") != ours:
            return
        time.sleep(0.01)
    raise TimeoutError("a network namespace did not come up")


def loopback(names: Sequence[str], processes: Processes) -> tuple[str, list[Host]]:
    """All machines on 127.0.0.1, told apart by their ports."""
    if os.geteuid() == 0:
        with contextlib.suppress(FileExistsError):
            _SSHD_ROOM.mkdir(mode=0o755)  # sshd as root insists on it
            processes.afterwards(_remove_sshd_room)
    return "127.0.0.1", [Host(name, "127.0.0.1", free_port()) for name in names]


def _remove_sshd_room() -> None:
    with contextlib.suppress(OSError):  # somebody else has removed it, or put something there
        _SSHD_ROOM.rmdir()


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _do(words: str) -> None:
    done = subprocess.run(words.split(), capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        raise OSError(f"{words}: {done.stderr.strip()}")
