"""Devices that cannot be reached, or that lack something: the right error, and nothing left behind."""

import socket
import subprocess

import numpy as np
import pytest

from profiles.errors import ConfigError, MissingToolError, OutputError, UnreachableError
from targets import remote, transfer
from targets.ssh import SshOptions

pytestmark = pytest.mark.sshd

QUICK = {"action": "profile", "settings": {"runs": 20, "warmup_seconds": 0.01, "max_warmup_seconds": 0.05}}


def client(device, home, **settings):
    """Client options that differ from the working ones."""
    lines = dict(line.split(" ", 1) for line in device.options.config.read_text().splitlines())
    path = home / "ssh_config"
    path.write_text("".join(f"{key} {value}\n" for key, value in {**lines, **settings}.items()))
    return SshOptions(config=path)


def test_wrong_key(refused, device, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    error = refused(UnreachableError, QUICK, options=client(device, tmp_path, IdentityFile=tmp_path / "other"))
    assert "Permission denied" in error.seen
    assert "ssh-copy-id" in error.next_step


def test_unknown_host_key(refused, device, tmp_path):
    (tmp_path / "empty").write_text("")
    error = refused(UnreachableError, QUICK, options=client(device, tmp_path, UserKnownHostsFile=tmp_path / "empty"))
    assert "not known" in error.wanted
    assert "ssh-keyscan -p" in error.next_step
    assert (tmp_path / "empty").read_text() == "", "a host key is never accepted on its own"


def test_changed_host_key(refused, device, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    (tmp_path / "hosts").write_text(f"[127.0.0.1]:* {(tmp_path / 'other.pub').read_text()}")
    error = refused(UnreachableError, QUICK, options=client(device, tmp_path, UserKnownHostsFile=tmp_path / "hosts"))
    assert "another host key than before" in error.wanted
    assert "between you and it" in error.seen, "it may be an attack, and the error says so"
    assert "ssh-keygen -R" in error.next_step


def test_nobody_listens(refused, unused_port):
    error = refused(UnreachableError, QUICK, port=unused_port)
    assert "refused" in error.seen


@pytest.fixture
def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_a_server_that_says_nothing(refused, device, cable):
    cable.go_silent()
    error = refused(
        UnreachableError, QUICK, port=cable.port, options=SshOptions(device.options.config, connect_timeout=1)
    )
    assert "timed out" in error.seen


def test_a_name_that_does_not_resolve(device, bundle):
    with pytest.raises(UnreachableError, match=r"cannot reach no-such-host\.invalid"):
        remote.converse("ssh://no-such-host.invalid", bundle, QUICK, options=device.options)


def test_no_bundle(refused, tmp_path):
    refused(ConfigError, QUICK, folder=tmp_path / "nothing")


def test_inputs_that_cannot_be_read(refused, tmp_path):
    request = {"action": "run", "inputs": str(tmp_path / "no.npz"), "outputs": str(tmp_path / "out.npz")}
    refused(ConfigError, request)


def test_no_python_there(refused):
    error = refused(MissingToolError, QUICK, python="/nowhere/python3")
    assert "python3" in error.next_step


def test_no_numpy_there(refused, bare_python):
    error = refused(MissingToolError, QUICK, python=str(bare_python))
    assert "numpy" in error.wanted
    assert error.next_step.startswith("on ") and "127.0.0.1" in error.next_step, "it says where to install it"


def test_no_engine_there(refused, make_bundle, tmp_path):
    folder = make_bundle(tmp_path / "ort", target="onnxruntime")
    error = refused(MissingToolError, {"action": "verify"}, folder=folder)
    assert "onnxruntime" in error.wanted
    assert error.next_step.startswith("on ")


def test_python_too_old_there(refused, monkeypatch):
    monkeypatch.setattr(transfer, "MIN_PYTHON", (9, 1))
    error = refused(MissingToolError, QUICK)
    assert "9.1 or newer" in error.wanted
    assert "Python 3." in error.seen


def test_no_room_there(refused, make_bundle, numpy_python, tmp_path):
    limited = tmp_path / "python"
    limited.write_text(f'#!/bin/sh\nulimit -f 2000\nexec {numpy_python} "$@"\n')
    limited.chmod(0o755)
    folder = make_bundle(tmp_path / "large", model_bytes=8_000_000)
    error = refused(OutputError, QUICK, folder=folder, python=str(limited))
    assert "df -h" in error.next_step


def test_no_room_here_for_outputs(refused, tmp_path):
    np.savez(tmp_path / "in.npz", x=np.zeros((1, 1, 4), np.float32))
    request = {"action": "run", "inputs": str(tmp_path / "in.npz"), "outputs": str(tmp_path / "nowhere" / "out.npz")}
    refused(OutputError, request)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "in.npz"], "nothing half-written stays here"
