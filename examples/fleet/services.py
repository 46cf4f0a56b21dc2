"""The real programs of the demo: nginx, the fleet's server, an OpenSSH server on every device."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from examples.fleet.network import Host
from examples.fleet.processes import Processes
from profiles.errors import MissingToolError, ToolCrashError

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def program(name: str, package: str) -> str:
    """Where a program is.

    Raises:
        MissingToolError: it is not installed.
    """
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise MissingToolError(f"the demo needs {name}", seen="none", next_step=f"run: sudo apt-get install {package}")
    return found


def start_nginx(processes: Processes, folder: Path, settings: object, address: str, port: int) -> None:
    """nginx in the foreground, with the configuration that ``edgewright fleet nginx`` writes."""
    from toolchain.fleet.nginx.config import render

    folder.mkdir()
    (folder / "nginx.conf").write_text(render(settings))  # type: ignore[arg-type]
    argv = [program("nginx", "nginx-light"), "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"]
    process = processes.start("nginx", argv)
    await_port(address, port, process, "nginx", processes)


def start_sshd(processes: Processes, folder: Path, hosts: list[Host]) -> Path:
    """An ssh server on every host, with keys of the demo's own; returns the client's configuration."""
    _key(folder / "user")
    known, blocks = [], []
    for host in hosts:
        room = folder / host.name
        room.mkdir()
        known.append(f"[{host.address}]:{host.port},{host.address} {_key(room / 'host')}")
        (room / "sshd_config").write_text(_sshd_config(folder, room, host))
        argv = [*host.prefix, program("sshd", "openssh-server"), "-D", "-e", "-f", room / "sshd_config"]
        processes.start(f"{host.name}-sshd", argv)
        blocks.append(f"Host {host.name}\n  HostName {host.address}\n  Port {host.port}\n")
    (folder / "known_hosts").write_text("\n".join(known) + "\n")
    settings = f"UserKnownHostsFile {folder}/known_hosts\nIdentityFile {folder}/user\nIdentitiesOnly yes\n"
    (folder / "config").write_text("".join(blocks) + f"Host *\n{settings}User {getpass.getuser()}\nBatchMode yes\n")
    for host in hosts:
        await_port(host.address, host.port, None, f"{host.name}-sshd", processes)
    return folder / "config"


def _sshd_config(folder: Path, room: Path, host: Host) -> str:
    # Without PAM, OpenSSH refuses accounts with a locked password, such as root's on Ubuntu; with it, sshd needs root.
    pam = "yes" if os.geteuid() == 0 else "no"
    settings = {
        "ListenAddress": f"{host.address}:{host.port}", "HostKey": room / "host", "PidFile": room / "pid",
        "AuthorizedKeysFile": folder / "user.pub", "UsePAM": pam, "StrictModes": "no",
        "PermitRootLogin": "prohibit-password", "PasswordAuthentication": "no", "KbdInteractiveAuthentication": "no",
    }  # fmt: skip
    return "".join(f"{key} {value}\n" for key, value in settings.items())


def _key(path: Path) -> str:
    keygen = program("ssh-keygen", "openssh-client")
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.with_suffix(".pub").read_text().strip()


def await_port(
    address: str, port: int, process: subprocess.Popen[bytes] | None, name: str, processes: Processes
) -> None:
    """Until somebody answers there.

    Raises:
        ToolCrashError: nobody does within ten seconds, or the program ended.
    """
    end = time.monotonic() + 10
    while time.monotonic() < end and (process is None or process.poll() is None):
        try:
            socket.create_connection((address, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise ToolCrashError(f"{name} did not start", seen=processes.log(name) or "no answer")


def end_connections(folder: Path) -> None:
    """Ssh connections that Ansible keeps open for its next task end now."""
    for control in folder.glob("*"):
        subprocess.run(["ssh", "-O", "exit", "-S", control, "any"], capture_output=True, check=False, timeout=10)


def inventory(path: Path, hosts: list[Host], ssh_config: Path, variables: dict[str, dict[str, object]]) -> Path:
    """Ansible's inventory of new devices: they are not in the fleet's database yet. JSON is YAML."""
    common = {
        "ansible_python_interpreter": sys.executable,
        "ansible_remote_tmp": str(path.parent / "remote"),
        "ansible_ssh_common_args": f"-F {ssh_config}",
    }
    found = {host.name: {**common, **variables[host.name]} for host in hosts}
    path.write_text(json.dumps({"all": {"hosts": found}}, indent=1))
    return path
