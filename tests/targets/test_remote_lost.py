"""Conversations that end half-way: the error says how far they got, and the device cleans up by itself."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from profiles.errors import ToolCrashError, UnreachableError, VerificationError
from targets.ssh import SshOptions

pytestmark = pytest.mark.sshd

QUICK = {"action": "profile", "settings": {"runs": 20, "warmup_seconds": 0.01, "max_warmup_seconds": 0.05}}
LONG = {"action": "profile", "settings": {"seconds": 60.0, "max_seconds": 60.0}}


def test_a_worker_that_is_killed(refused, device):
    def kill_the_worker(event):
        if event["stage"] == "profile":
            kill(device, "runtime.pyz")

    error = refused(ToolCrashError, LONG, kill_the_worker)
    assert "signal 9" in error.seen and "memory" in error.seen


def kill(device, word, number=signal.SIGKILL):
    """Send a signal to the device's process whose command line has ``word``."""
    for pid in device.processes():
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            if word.encode() in stream.read().split(b"\0"):
                os.kill(pid, number)
                return
    raise AssertionError(f"the device runs no process with {word}")


def test_cut_during_the_upload(refused, cable, make_bundle, tmp_path):
    folder = make_bundle(tmp_path / "large", model_bytes=30_000_000)
    error = refused(UnreachableError, QUICK, cut_when(cable, "upload", 3 << 20), folder=folder, port=cable.port)
    assert "during the upload" in error.wanted
    assert re.search(r"about 3\S* MiB of \S+ MiB had been sent", error.wanted), f"how far it got: {error.wanted}"


def cut_when(cable, stage, done):
    """An event handler that cuts the cable."""

    def cut(event):
        if event["stage"] == stage and event["done"] >= done:
            cable.cut()

    return cut


def test_cut_during_the_run(refused, cable):
    error = refused(UnreachableError, LONG, cut_when(cable, "profile", 0), port=cable.port)
    assert "during 'profile', at " in error.wanted


def test_cut_while_the_outputs_come_back(refused, cable, make_bundle, tmp_path):
    folder = make_bundle(tmp_path / "wide", width=2_000_000)
    np.savez(tmp_path / "in.npz", x=np.zeros((4, 1, 4), np.float32))
    request = {"action": "run", "inputs": str(tmp_path / "in.npz"), "outputs": str(tmp_path / "out.npz")}
    error = refused(UnreachableError, request, cut_when(cable, "download", 0), folder=folder, port=cable.port)
    assert "during 'download', at " in error.wanted
    assert not list(tmp_path.glob("*out.npz*")), "no half of the outputs stays here"


def test_a_network_that_goes_silent(refused, cable, device):
    def go_silent(event):
        if event["stage"] == "profile":
            cable.go_silent()

    options = SshOptions(device.options.config, alive_interval=2, alive_count=1)
    error = refused(UnreachableError, LONG, go_silent, port=cable.port, options=options)
    assert "during 'profile', at " in error.wanted
    assert "not responding" in error.seen
    cable.cut()  # what the device's own keep-alive would find out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_device_that_shuts_down(refused, device, number):
    def stop(event):
        if event["stage"] == "profile":
            kill(device, "-c", number)

    error = refused(UnreachableError, LONG, stop)
    assert "was lost during 'profile'" in error.wanted


def test_the_caller_gives_up(ask):
    class Enough(Exception):
        pass

    def give_up(event):
        if event["stage"] == "profile":
            raise Enough

    with pytest.raises(Enough):
        ask(LONG, give_up)


def test_the_caller_is_killed(device, bundle, numpy_python):
    code = (
        "import json, sys; from pathlib import Path; from targets import remote; from targets.ssh import SshOptions\n"
        "url, folder, python, config, request = sys.argv[1:]\n"
        "remote.converse(url, Path(folder), json.loads(request), lambda event: print(event['stage'], flush=True),\n"
        "                python=python, options=SshOptions(Path(config)))\n"
    )
    words = [device.url(), str(bundle), str(numpy_python), str(device.options.config), json.dumps(LONG)]
    with subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True) as caller:
        assert any(line.strip() == "profile" for line in caller.stdout), "the worker must have started"
        assert device.processes(), "the worker runs on the device"
        caller.kill()
    device.assert_clean()


def test_a_run_that_takes_too_long(ask):
    with pytest.raises(ToolCrashError, match="was stopped") as caught:
        ask(LONG, timeout=4.0)
    assert caught.value.allowed == "4 s"


def test_a_file_that_changes_on_the_way(refused, make_bundle, tmp_path):
    folder = make_bundle(tmp_path / "large", model_bytes=8_000_000)

    def change(event):
        if event["stage"] == "upload" and event["done"] < 2 << 20:
            with (folder / "model.bin").open("r+b") as stream:
                stream.seek(-10, os.SEEK_END)
                stream.write(b"0123456789")

    error = refused(VerificationError, QUICK, change, folder=folder)
    assert "bundle/model.bin arrived damaged" in error.wanted


def test_a_file_that_shrinks_on_the_way(refused, make_bundle, tmp_path):
    folder = make_bundle(tmp_path / "large", model_bytes=8_000_000)

    def shrink(event):
        if event["stage"] == "upload":
            os.truncate(folder / "model.bin", 4_000_000)

    error = refused(VerificationError, QUICK, shrink, folder=folder)
    assert "became shorter" in error.wanted
