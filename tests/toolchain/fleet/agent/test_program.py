"""The program: usage, exit codes, enrolment, reports, what it takes to run it, the unit, and the zipapp."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from profiles import exit_codes
from tests.toolchain.fleet.agent.fleet_device import CHANNEL, Device, ship
from toolchain.fleet.agent import cli, commands
from toolchain.fleet.agent.main import main
from toolchain.fleet.agent.zipapp import agent_zipapp
from toolchain.fleet.documents.report import Enrolment, Report
from toolchain.fleet.documents.strict import from_bytes

ROOT = Path(__file__).resolve().parents[4]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def opened(envelope, kind):
    """What an envelope holds, and the key that is named in it."""
    found = Envelope.from_dict(json.loads(json.dumps(envelope)))
    return found, from_bytes(kind, found.payload)


def key_of(pem):
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    return SSlibKey.from_crypto(load_pem_public_key(pem.encode()))


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(capsys, name):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: edgewright-agent {name}")


def test_the_help_lists_the_exit_codes(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"  {code}" in text for code in exit_codes.MEANINGS)


@pytest.mark.parametrize(
    "words", [[], ["rnu"], ["run", "--twice"], ["run", "extra"]], ids=["none", "typo", "flag", "more"]
)
def test_wrong_usage_is_2(capsys, words):
    assert main(words) == 2
    assert "next:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("device = 1", "type str"),
        ("devise = 'x'", "did you mean 'device'"),
        ("[limits]\nbytse = 1", "did you mean 'bytes'"),
        ("[limits]\nbytes = -1", "more than 0"),
        ("[provides]\ncolour = 'red'", "provides.colour"),
        ("health = 'true'", "type list"),
        ("device =", "is no TOML"),
        ("device = 'Über'", "a-z 0-9"),
        ("interval = 0", "interval"),
        ("repository = 'ftp://x'", "http://HOST"),
        ("repository = 'http://user:secret@host'", "web server"),
        ("public_root = 'nowhere'", "public_root"),
        (f"[labels]\n{'a' * 65} = 'hall'", "1 to 64 characters"),
        ("[labels]\n'a\u202eb' = 'hall'", "1 to 64 characters"),
        (f"[labels]\nroom = '{'a' * 1001}'", "at most 1000 characters"),
        ('[labels]\nroom = "a\\u001bb"', "labels.room"),
        (f"[provides]\npackages = '{'a' * 1001}'", "1001 characters"),
        ("[provides]\nmemory = '4 GiB'", "provides.memory must be a number"),
        ("[provides]\nmemory = '\u0664'", "bytes, such as"),
    ],
    ids=[
        "type",
        "key",
        "limit",
        "negative",
        "provides",
        "health",
        "toml",
        "name",
        "interval",
        "ftp",
        "password",
        "root",
        "long-label",
        "turned-label",
        "long-value",
        "escape",
        "long-packages",
        "memory",
        "memory-digits",
    ],
)
def test_a_bad_configuration_is_2_and_says_what(device, first, text, words):
    lines = [
        line for line in device.config.read_text().splitlines() if line.partition(" ")[0] != text.partition(" ")[0]
    ]
    if text.startswith("["):
        head = text.partition("\n")[0]
        at = lines.index(head) if head in lines else len(lines)
        lines[at : at + 1] = text.splitlines()
    else:
        lines.insert(0, text)
    if text.startswith("public_root"):
        (device.folder / "root.json").unlink()
    device.config.write_text("\n".join(lines))
    seen = device.once(code=2)
    assert words in seen and device.running() == 1, seen


def test_a_missing_configuration_is_2(device, first):
    device.config.unlink()
    assert "agent.toml" in device.once(code=2) and device.running() == 1


def test_an_unreachable_server_is_7(device, first, web):
    web.close()
    assert "wanted an answer from" in device.once(code=7) and device.running() == 1


def test_an_unknown_channel_is_2(mirror, device, first):
    device.configure(channel="nightly")
    text = device.once(code=2)
    assert "nightly" in text and "check product and channel" in text and device.running() == 1


def test_an_unknown_server_error_leaves_all_as_it_is(mirror, device, first, web):
    web.faults["timestamp.json"] = lambda handler, path: handler.send_error(503)
    assert "503" in device.once(code=7) and device.running() == 1


def test_enrolment_makes_a_key_for_its_owner_alone_and_sends_a_signed_request(device, mirror, web, monkeypatch):
    ship(mirror, 1)
    device.configure(checkin=web.url, labels={"room": "hall"})
    monkeypatch.setenv(cli.TOKEN, "secret-token")
    code, text = device.call("enroll")
    assert code == 0 and "is in the fleet" in text and "not encrypted" in text and "secret-token" not in text
    key = device.folder / "key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    path, body = web.posted[0]
    envelope, enrolment = opened(body, Enrolment)
    assert path == "/v1/enrol" and enrolment.token == "secret-token" and enrolment.labels == {"room": "hall"}
    envelope.verify([key_of(enrolment.public_key)], 1)
    content = key.read_bytes()
    device.call("enroll")
    assert key.read_bytes() == content, "a device keeps its key"


def test_enrolment_reads_the_token_from_a_file_and_wants_one(device, web, tmp_path, monkeypatch):
    device.configure(checkin=web.url)
    monkeypatch.delenv(cli.TOKEN, raising=False)
    code, text = device.call("enroll")
    assert code == 2 and "edgewright fleet token" in text and not web.posted
    (tmp_path / "token").write_text("from-a-file\n")
    code, _ = device.call("enroll", "--token-file", str(tmp_path / "token"))
    assert code == 0 and opened(web.posted[0][1], Enrolment)[1].token == "from-a-file"


def test_a_wrong_token_is_8(device, web, monkeypatch):
    monkeypatch.setenv(cli.TOKEN, "wrong")
    device.configure(checkin=web.url)
    web.answers = lambda path, body: (401, {"wanted": "a token that is known", "seen": "another"})
    code, text = device.call("enroll")
    assert code == 8 and "a token that is known" in text and "Traceback" not in text


def enrolled(device, web, monkeypatch):
    monkeypatch.setenv(cli.TOKEN, "t")
    device.configure(checkin=web.url)
    assert device.call("enroll")[0] == 0
    web.posted.clear()


def test_reports_are_signed_counted_and_tell_how_it_went(mirror, device, web, monkeypatch):
    ship(mirror, 1)
    enrolled(device, web, monkeypatch)
    device.once()
    ship(mirror, 2, wrong=True)
    device.once(code=6)
    reports = [opened(body, Report) for _, body in web.posted]
    pem = commands.identity.load(device.folder / "key.pem").public_key
    for envelope, _ in reports:
        envelope.verify([key_of(pem)], 1)
    counters = [report.counter for _, report in reports]
    assert counters == sorted(set(counters)) and counters[0] > 0
    stages = [(report.attempt.release, report.attempt.stage, report.attempt.outcome) for _, report in reports]
    assert stages == [(1, "soaking", "underway"), (1, "idle", "committed"), (2, "idle", "failed")]
    last = reports[-1][1]
    assert (last.running, last.attempt.reason, last.channel) == (1, "parity", CHANNEL)
    assert last.provides["machine"] == os.uname().machine and int(last.provides["memory"]) > 0


def test_a_device_that_lost_its_state_is_not_taken_for_a_replay(mirror, device, web, monkeypatch):
    ship(mirror, 1)
    enrolled(device, web, monkeypatch)
    device.once()
    before = max(opened(body, Report)[1].counter for _, body in web.posted)
    for name in ("state.json", "state.json.bak"):
        (device.folder / name).unlink()
    web.posted.clear()
    device.once()
    assert min(opened(body, Report)[1].counter for _, body in web.posted) > before


def test_a_replay_that_the_server_names_is_counted_over(mirror, device, web, monkeypatch):
    ship(mirror, 1)
    enrolled(device, web, monkeypatch)
    far = int(time.time() * 1000) + 10**9
    web.answers = lambda path, body: (
        (200, {"schema": 1, "next": 60.0, "counter": far})
        if opened(body, Report)[1].counter > far
        else (409, {"wanted": "a new report", "seen": "an old one", "allowed": f"above {far}"})
    )
    device.once()
    assert opened(web.posted[-1][1], Report)[1].counter == far + 1


def test_a_server_that_is_away_stops_no_update(mirror, device, web, monkeypatch):
    ship(mirror, 1)
    enrolled(device, web, monkeypatch)
    web.answers = lambda path, body: (500, {})
    text = device.once()
    assert device.running() == 1 and "no report" in text


def test_a_revoked_device_is_8_and_keeps_what_runs(mirror, device, web, monkeypatch):
    ship(mirror, 1)
    enrolled(device, web, monkeypatch)
    device.once()
    web.answers = lambda path, body: (403, {"wanted": "the device 'bell-1' was revoked", "next_step": "ask"})
    assert "was revoked" in device.once(code=8)
    ship(mirror, 2)
    assert "was revoked" in device.once(code=8)
    assert device.running() == 1, "a revoked device installs nothing more"
    web.answers = lambda path, body: (200, {"schema": 1, "next": 60.0, "counter": 1})
    device.once()
    assert device.running() == 2, "a device that was taken back goes on"


def test_a_key_that_others_may_read_is_refused(mirror, device, web, monkeypatch):
    enrolled(device, web, monkeypatch)
    (device.folder / "key.pem").chmod(0o644)
    assert "chmod 600" in device.once(code=2)


def test_the_daemon_goes_round_and_ends_with_sigterm(mirror, device, web):
    ship(mirror, 1)
    device.configure(interval=0.05)
    argv = [sys.executable, "-m", "toolchain.fleet.agent.main", "run", "--config", str(device.config)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        try:
            wait_for(lambda: device.running() == 1, process)
            ship(mirror, 2)
            wait_for(lambda: device.running() == 2 and device.state.running == 2, process)
        finally:
            process.send_signal(signal.SIGTERM)
            _, text = process.communicate(timeout=20)
    assert process.returncode == exit_codes.TERMINATED and "terminated" in text


def wait_for(ready, process):
    until = time.monotonic() + 20
    while not ready():
        assert process.poll() is None and time.monotonic() < until, "it did not come to that"
        time.sleep(0.05)


#: Peak memory is what the kernel counted for the child: KiB (getrusage(2)).
LIGHT = """
import resource, sys, time
from toolchain.fleet.agent import main, commands
def idle(config, wish, trouble):
    size = [line for line in open("/proc/self/status") if line.startswith("VmRSS")]
    print("idle", size[0].split()[1], flush=True)
    raise KeyboardInterrupt
commands.pause = idle
main.main(["run", "--config", sys.argv[1]])
"""


def test_the_agent_is_light(mirror, device, first, web, monkeypatch):
    """Resident memory of an idle agent after a round with an update under 60 MB, and a start under a second."""
    enrolled(device, web, monkeypatch)
    ship(mirror, 2, old=first)
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(device.config)], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert device.running() == 2 and "idle" in done.stdout, done.stderr
    resident = int(done.stdout.split()[1]) * 1024
    print(f"resident {resident / 1e6:.1f} MB")
    assert resident < 60e6, f"{resident / 1e6:.1f} MB are resident"
    status = [sys.executable, "-m", "toolchain.fleet.agent.main", "status", "--config", str(device.config)]
    load = "import toolchain.fleet.agent.real, toolchain.fleet.agent.perform, toolchain.fleet.agent.commands"
    for argv in (status, [sys.executable, "-c", load]):
        used = []
        for _ in range(3):  # processor time: other work on this machine must not count
            before = os.times()
            subprocess.run(argv, env=ENVIRONMENT, check=True, capture_output=True)
            after = os.times()
            used.append(after.children_user + after.children_system - before.children_user - before.children_system)
        assert min(used) < 1.0, f"starting takes {min(used):.2f} s of processor time"


def test_heavy_packages_are_not_loaded():
    load = (
        "import sys\nimport toolchain.fleet.agent.real, toolchain.fleet.agent.perform, toolchain.fleet.agent.commands\n"
    )
    heavy = ("numpy", "torch", "pydantic", "rich", "sqlalchemy", "starlette", "jinja2", "filelock")
    argv = [sys.executable, "-c", f"{load}print([name for name in {heavy} if name in sys.modules])"]
    done = subprocess.run(argv, capture_output=True, text=True, env=ENVIRONMENT, check=True)
    assert done.stdout.strip() == "[]"


def test_the_unit_is_one_that_systemd_takes(device, tmp_path):
    code, text = device.call("install-unit", "--user", "root")
    assert (
        code == 0
        and f"--config {device.config}" in text
        and "@" not in text.replace("@system", "").replace("~@", "").replace(" @", "")
    )
    out = tmp_path / "edgewright-agent.service"
    assert device.call("install-unit", "--user", "root", "--out", str(out))[0] == 0
    assert "RestartPreventExitStatus=8\n" in out.read_text()
    if shutil.which("systemd-analyze") is None:
        if os.environ.get("CI"):
            pytest.fail("systemd-analyze is not installed")
        pytest.skip("needs systemd-analyze")
    done = subprocess.run(["systemd-analyze", "verify", str(out)], capture_output=True, text=True, check=False)
    assert str(out.name) not in done.stderr and done.returncode == 0, done.stderr
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=40", str(out)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"less hardened than 4.0: {done.stdout[-600:]}"


@pytest.mark.parametrize("user", ["root; rm", "", "A B"])
def test_the_unit_takes_no_user_that_is_none(device, user):
    assert device.call("install-unit", f"--user={user}")[0] == 2


def test_the_unit_takes_no_path_with_blanks(tmp_path, mirror, web):
    device = Device(tmp_path / "a b", web.url, b"{}")
    assert device.call("install-unit")[0] == 2


def test_the_zipapp_does_all_that_the_agent_does(mirror, device, web, tmp_path, monkeypatch):
    ship(mirror, 1)
    device.configure(checkin=web.url)
    out = agent_zipapp(tmp_path / "edgewright-agent.pyz")
    assert out.read_bytes() == agent_zipapp(tmp_path / "again.pyz").read_bytes()
    environment = {**os.environ, cli.TOKEN: "t"}
    environment.pop("PYTHONPATH", None)

    def call(*words):
        argv = [sys.executable, "-I", str(out), *words, "--config", str(device.config)]
        return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)

    for words in (["enroll"], ["run", "--once"], ["status", "--json"], ["install-unit"]):
        done = call(*words)
        assert done.returncode == 0, f"{words}: {done.stderr}"
    assert device.running() == 1 and str(out) in done.stdout
