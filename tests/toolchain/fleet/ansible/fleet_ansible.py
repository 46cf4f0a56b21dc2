"""Inventories of several devices that are one OpenSSH server with a folder for each, and a fleet that answers."""

from __future__ import annotations

import getpass
import http.server
import json
import os
import sys
from pathlib import Path

from toolchain.fleet.documents.report import Answer
from toolchain.fleet.documents.strict import to_bytes

NAMES = ("cam-1", "cam-2", "cam-3")


def inventory(folder: Path, device, variables: dict) -> Path:
    """Three hosts; ``{name}`` in a variable is the host's name. JSON is YAML."""
    hosts = {}
    for name in NAMES:
        own = json.loads(json.dumps(variables).replace("{name}", name))
        hosts[name] = {**reach(device), **own}
    path = folder / "hosts.yml"
    path.write_text(json.dumps({"all": {"hosts": hosts}, "site_lab": {"hosts": dict.fromkeys(NAMES[:2])}}))
    return path


def reach(device) -> dict:
    return {
        "ansible_host": "127.0.0.1",
        "ansible_port": device.port,
        "ansible_user": getpass.getuser(),
        "ansible_python_interpreter": sys.executable,
        "ansible_remote_tmp": str(device.folder / ".ansible"),
    }


def ssh_environment(device, folder: Path) -> dict[str, str]:
    """For Ansible: the server's keys; nothing of the user's own."""
    return {
        "ANSIBLE_SSH_ARGS": f"-F {device.options.config} -o ControlMaster=auto -o ControlPersist=15s",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(device.folder.parent / "cp"),  # sockets have short names
        "ANSIBLE_HOME": str(folder / "ansible"),
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
    }


class Fleet(http.server.BaseHTTPRequestHandler):
    """Takes every device into the fleet, and remembers what was asked."""

    asked: list[bytes]

    def do_POST(self):
        type(self).asked.append(self.rfile.read(int(self.headers["Content-Length"])))
        body = to_bytes(Answer(60.0, 0))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
