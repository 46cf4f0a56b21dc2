"""``tools/setup.sh``, with an ``apt-get`` that only tells: no server that it installs is started or enabled."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: What the script calls itself, so that nothing else of this machine counts as installed.
NEEDED = ("bash", "sh", "cat", "chmod", "dirname", "rm")
POLICY = "#!/bin/sh\nexit 101\n"
SERVICES = {
    "nginx-light": ["nginx.service"],
    "openssh-server": ["ssh.service", "ssh.socket"],
    "postgresql": ["postgresql.service"],
}


@pytest.fixture
def setup(tmp_path):
    """Runs the script as if by root; ``installs`` is what ``apt-get install`` does. Returns it and what was called."""
    commands, sbin, told = tmp_path / "bin", tmp_path / "sbin", tmp_path / "told"
    for folder in (commands, sbin, tmp_path / "venv" / "bin"):
        folder.mkdir(parents=True)
    for name in NEEDED:
        (commands / name).symlink_to(shutil.which(name))

    def stub(path, text):
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def run(installs="exit 0"):
        policy = f"cat {sbin}/policy-rc.d >> {tmp_path}/policy"
        stub(commands / "id", "echo 0")
        stub(commands / "systemctl", f'echo "systemctl $*" >> {told}')
        stub(commands / "apt-get", f'[ "$1" = install ] || exit 0\necho "apt-get $*" >> {told}\n{policy}\n{installs}')
        stub(tmp_path / "venv" / "bin" / "python", "exit 0")
        env = {"PATH": str(commands), "SBIN": str(sbin), "PYTHON": sys.executable, "VENV": str(tmp_path / "venv")}
        done = subprocess.run(
            [commands / "bash", ROOT / "tools" / "setup.sh"], env=env, capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
        return done, told.read_text().splitlines(), (tmp_path / "policy").read_text()

    return run


def disabled(lines):
    return sorted(line.split()[-1] for line in lines if " disable " in line)


def test_servers_are_neither_started_nor_enabled(setup, tmp_path):
    done, lines, policy = setup()
    assert done.returncode == 0, done.stderr
    packages = lines[0].split()
    assert {"nginx-light", "openssh-server", "chromium"} <= set(packages), f"not everything was missing: {lines[0]}"
    assert policy == POLICY, "while packages were installed, their services were permitted to start"
    assert not (tmp_path / "sbin" / "policy-rc.d").exists(), "no service of this machine starts any more"
    assert disabled(lines) == sorted(unit for name, units in SERVICES.items() if name in packages for unit in units)


def test_a_server_that_was_there_before_is_left_alone(setup, tmp_path):
    for name in ("nginx", "sshd"):
        (tmp_path / "sbin" / name).touch(mode=0o755)
    _, lines, _ = setup()
    assert not {"nginx.service", "ssh.service", "ssh.socket"} & set(disabled(lines))


def test_a_policy_that_was_there_before_stays(setup, tmp_path):
    (tmp_path / "sbin" / "policy-rc.d").write_text("theirs\n")
    assert setup()[2] == "theirs\n"
    assert (tmp_path / "sbin" / "policy-rc.d").read_text() == "theirs\n"


@pytest.mark.parametrize("installs", ["exit 100", "kill -TERM $PPID; exit 0"], ids=["fails", "terminated"])
def test_the_policy_goes_when_installing_does_not_end_well(setup, tmp_path, installs):
    done, _, policy = setup(installs)
    assert done.returncode != 0 and policy == POLICY
    assert not (tmp_path / "sbin" / "policy-rc.d").exists(), "no service of this machine starts any more"
