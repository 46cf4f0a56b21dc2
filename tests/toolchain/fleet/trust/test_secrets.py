"""Private keys and passphrases are where they belong, and nowhere else."""

import base64
import logging
import os
import shutil
import stat
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from profiles.errors import ConfigError
from tests.toolchain.fleet.fleet_homes import PASSPHRASE, a_plan, a_release, make_fleet, passphrase
from toolchain.fleet.home import create_home, open_home
from toolchain.fleet.trust.keyfiles import SHORTEST
from toolchain.fleet.trust.passphrases import VARIABLE, ask_for
from toolchain.fleet.trust.repository import Repository
from toolchain.fleet.trust.roles import ONLINE

HERE = Path(__file__).parents[4]


@pytest.fixture
def fleet(tmp_path):
    return make_fleet(tmp_path / "home")


def secrets_of(fleet):
    """The private bytes of every key in every spelling that might leak, and the passphrase."""
    found = [PASSPHRASE.encode()]
    for path in fleet.home.keys.glob("*.pem"):
        pem = path.read_bytes()
        key = load_pem_private_key(pem, None if any(role in path.name for role in ONLINE) else PASSPHRASE.encode())
        raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        found += [raw, raw.hex().encode(), base64.b64encode(raw), base64.b64encode(raw)[2:-3], pem.splitlines()[1]]
    assert len(found) == 1 + 5 * 8
    return found


def test_files_are_for_the_owner_only(fleet):
    os.umask(0)
    fleet.rotate("releases", "timestamp")
    os.umask(0o022)
    assert stat.S_IMODE(fleet.home.keys.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in fleet.home.keys.glob("*.pem")}
    assert len(modes) == 8 and set(modes.values()) == {0o600}, modes


def test_offline_keys_are_encrypted_and_online_ones_are_not(fleet):
    for path in fleet.home.keys.glob("*.pem"):
        online = path.stem.rpartition("-")[0] in ONLINE
        assert (b"BEGIN PRIVATE KEY" in path.read_bytes()) == online, path.name
        assert (b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()) != online, path.name


def test_nothing_secret_is_served_or_lies_beside(fleet):
    fleet.add_release(a_release())
    fleet.set_plan(a_plan())
    secrets = secrets_of(fleet)
    texts = {path: path.read_bytes() for path in fleet.home.folder.rglob("*") if path.is_file()}
    for path, text in texts.items():
        if path.suffix != ".pem":
            assert not [each for each in secrets if each in text], f"{path} holds a secret"
    assert not list(fleet.home.repository.rglob("*.pem"))


def test_nothing_secret_is_logged_or_printed(fleet, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    fleet.add_release(a_release())
    fleet.rotate("root", "timestamp")
    again = Repository(open_home(fleet.home.folder), passphrase)
    again.add_release(a_release(2))
    told = caplog.text + "".join(capfd.readouterr()) + repr(vars(again)) + repr(again.keys) + repr(again.home)
    assert not [each for each in secrets_of(fleet) if each.decode("latin-1") in told]


def test_a_wrong_passphrase_says_nothing_of_it_or_of_the_key(fleet):
    wrong = "wrong but long enough"
    with pytest.raises(ConfigError, match="wrong passphrase") as caught:
        Repository(fleet.home, lambda name: wrong).add_release(a_release())
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    text = "".join(traceback.format_exception(caught.value, chain=True))
    assert wrong not in text
    assert not [each for each in secrets_of(fleet) if each.decode("latin-1") in text]
    assert "EDGEWRIGHT_FLEET_PASSPHRASE" in caught.value.next_step


@pytest.mark.parametrize("way", [["-scrypt"], ["-v2", "aes-256-cbc", "-iter", "500000"]], ids=["scrypt", "many rounds"])
def test_keys_that_openssl_encrypted_anew_are_read(fleet, way):
    """For who wants guessing to be slower than the library makes it."""
    program = shutil.which("openssl")
    if program is None:
        assert not os.environ.get("CI"), "openssl is there in CI"
        pytest.skip("needs openssl; run: apt-get install openssl")
    path = next(fleet.home.keys.glob("releases-*"))
    env = {**os.environ, "SECRET": PASSPHRASE}
    argv = [program, "pkcs8", "-topk8", *way, "-passin", "env:SECRET", "-passout", "env:SECRET", "-in", path]
    pem = subprocess.run(argv, env=env, capture_output=True, check=True).stdout
    assert pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY") and pem != path.read_bytes()
    path.write_bytes(pem)
    Repository(fleet.home, passphrase).add_release(a_release())


def test_a_private_key_that_others_can_read_is_refused(fleet):
    path = next(fleet.home.keys.glob("rollouts-*"))
    path.chmod(0o640)
    fleet.add_release(a_release())
    with pytest.raises(ConfigError, match="open to others") as caught:
        Repository(open_home(fleet.home.folder)).set_plan(a_plan())
    assert caught.value.next_step == f"run: chmod 600 {path}"


def test_a_damaged_or_exchanged_key_file_is_told(fleet):
    paths = {path.stem.rpartition("-")[0]: path for path in fleet.home.keys.glob("*.pem")}
    paths["timestamp"].write_bytes(paths["snapshot"].read_bytes())
    with pytest.raises(ConfigError, match="holds another key"):
        Repository(fleet.home).renew(["timestamp"])
    paths["timestamp"].write_bytes(b"-----BEGIN PRIVATE KEY-----\nnothing\n")
    with pytest.raises(ConfigError, match="wanted to open the private key timestamp"):
        Repository(fleet.home).renew(["timestamp"])
    (fleet.home.keys / "public.json").write_text("[1]")
    with pytest.raises(ConfigError, match=r"public\.json is damaged"):
        Repository(fleet.home).renew(["timestamp"])


@pytest.mark.parametrize("text", ["", "x" * (SHORTEST - 1)])
def test_a_short_passphrase_makes_no_fleet(tmp_path, text):
    with pytest.raises(ConfigError, match="too short") as caught:
        create_home(tmp_path / "home", passphrase=lambda name: text)
    assert not text or text not in str(caught.value)
    assert not list(tmp_path.iterdir()), "nothing is left of it, not even keys"


def test_online_programs_ask_for_no_passphrase(fleet):
    with pytest.raises(ConfigError, match="is offline") as caught:
        Repository(fleet.home).rotate("root")
    assert "rollouts" in caught.value.allowed


def test_a_passphrase_file(tmp_path):
    path = tmp_path / "secret"
    path.write_text("first line «ü»\r\nsecond\n")
    path.chmod(0o600)
    assert ask_for(path)("any") == "first line «ü»"
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="open to others") as caught:
        ask_for(path)
    assert "first line" not in str(caught.value) and "chmod 600" in caught.value.next_step
    path.chmod(0o600)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="wanted to read the passphrase") as caught:
        ask_for(path)
    assert caught.value.__cause__ is None and "xff" not in str(caught.value)
    with pytest.raises(ConfigError, match="wanted to read the passphrase"):
        ask_for(tmp_path / "missing")


def test_the_environment_and_the_prompt(monkeypatch):
    monkeypatch.setenv(VARIABLE, "from outside")
    assert ask_for(None)("any") == "from outside"
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigError, match="wanted the passphrase of root-1") as caught:
        ask_for(None)("root-1")
    assert VARIABLE in caught.value.allowed and "--passphrase-file" in caught.value.allowed


def test_a_new_passphrase_is_asked_for_twice_and_once_for_all_keys(monkeypatch):
    asked, answers = [], iter(["one long answer", "one long answer", "another", "a third"])

    def prompt(text):
        asked.append(text)
        return next(answers)

    monkeypatch.setattr("getpass.getpass", prompt)
    monkeypatch.setattr("sys.stdin", _Terminal())
    ask = ask_for(None, new=True)
    assert [ask(name) for name in ("root-1", "root-2")] == ["one long answer"] * 2
    assert asked == ["passphrase for the new offline keys: ", "again: "]
    with pytest.raises(ConfigError, match="twice"):
        ask_for(None, new=True)("root-1")


class _Terminal:
    def isatty(self):
        return True


@pytest.mark.parametrize("source", ["file", "environment"])
def test_the_command_line_has_no_secrets(tmp_path, source):
    """A process of its own, and what ``/proc`` says of it while it runs."""
    secret = tmp_path / "secret"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    given = ["--passphrase-file", str(secret)] if source == "file" else []
    env = {**os.environ, "PYTHONPATH": str(HERE), **({VARIABLE: PASSPHRASE} if source == "environment" else {})}
    spy = "import sys; from toolchain.cli.main import main; code = main(sys.argv[1:]); " + (
        "print('CMDLINE', open('/proc/self/cmdline').read().replace('\\0', ' ')); sys.exit(code)"
    )
    words = ["fleet", "--home", str(tmp_path / "home"), "init", *given]
    settings = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
    done = subprocess.run([sys.executable, "-c", spy, *words], env=env, check=False, **settings)
    assert done.returncode == 0, done.stderr
    assert "CMDLINE" in done.stdout and PASSPHRASE not in done.stdout + done.stderr
    assert open_home(tmp_path / "home").root_metadata()


def test_a_new_private_key_outlives_a_power_cut(fleet, monkeypatch):
    """The file's name is in its folder, which must reach the disk as well."""
    flushed = []
    monkeypatch.setattr("toolchain.fleet.trust.keyfiles.flush", flushed.append)
    fleet.rotate("timestamp")
    assert flushed == [fleet.home.keys]
