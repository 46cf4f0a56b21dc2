"""Addresses, the command line of ssh, and what its words mean."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import ConfigError, MissingToolError, UnreachableError
from targets.ssh import CONFIG_VARIABLE, Address, SshOptions, explain, parse_address, ssh_argv

NAMES = st.from_regex(r"[a-z0-9_][a-z0-9._-]{0,20}", fullmatch=True)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ssh://pi", Address("pi")),
        ("ssh://pi/", Address("pi")),
        ("ssh://pi@raspberrypi.local", Address("raspberrypi.local", "pi")),
        ("ssh://me@10.0.0.7:2222", Address("10.0.0.7", "me", 2222)),
        ("ssh://[::1]:22", Address("::1", "", 22)),
        ("ssh://me@[fe80::1%eth0]", Address("fe80::1%eth0", "me")),
    ],
)
def test_addresses(url, address):
    assert parse_address(url) == address
    assert f"ssh://{address}" == url.rstrip("/"), "an address prints as it was written"


@given(user=st.none() | NAMES, host=NAMES, port=st.none() | st.integers(1, 65535))
def test_every_address_survives_printing(user, host, port):
    address = Address(host, user or "", port)
    assert parse_address(f"ssh://{address}") == address


@pytest.mark.parametrize(
    "url",
    [
        "", "pi", "http://pi", "ssh://", "ssh://-oProxyCommand=id", "ssh://-pi@host", "ssh://me@-host", "ssh://a b",
        "ssh://pi:0", "ssh://pi:65536", "ssh://pi:x", "ssh://me:secret@pi", "ssh://pi/path", "ssh://pi?x", "ssh://pi\n",
        "ssh://[fe80", "ssh://[x]", "ssh://a@b@c", "ssh://pi;id", "ssh://$(id)", "ssh://pi:22:22",
    ],
)  # fmt: skip
def test_anything_else_is_refused(url):
    with pytest.raises(ConfigError, match=r"ssh://\[user@\]host"):
        parse_address(url)


@given(st.text(max_size=30))
def test_no_text_becomes_an_option(text):
    try:
        address = parse_address(f"ssh://{text}")
    except ConfigError:
        return
    assert not address.host.startswith("-"), "a host must not look like an option"
    assert not address.user.startswith("-"), "a user must not look like an option"


def test_host_key_checking_stays_on(tmp_path, monkeypatch):
    (tmp_path / "config").write_text("StrictHostKeyChecking no\nBatchMode no\n")
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "config"))
    argv = ssh_argv(Address("pi", "me", 2222), "true", SshOptions())
    shown = subprocess.run([argv[0], "-G", *argv[1:]], capture_output=True, text=True, check=True).stdout.splitlines()
    settings = dict(line.split(" ", 1) for line in shown if " " in line)
    assert settings["stricthostkeychecking"] in ("true", "yes"), "not even the user's configuration turns it off"
    assert settings["batchmode"] == "yes"
    assert (settings["user"], settings["hostname"], settings["port"]) == ("me", "pi", "2222")


def test_files_that_do_not_exist_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="does not exist"):
        ssh_argv(Address("pi"), "true", SshOptions(identity=tmp_path / "key"))
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "config"))
    with pytest.raises(ConfigError, match="does not exist"):
        ssh_argv(Address("pi"), "true", SshOptions())


def test_a_machine_without_ssh_is_told_the_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="apt-get install openssh-client"):
        ssh_argv(Address("pi"), "true", SshOptions())


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("ssh: connect to host pi port 22: No route to host", UnreachableError),
        ("ssh: connect to host pi port 22: Connection timed out", UnreachableError),
        ("Connection timed out during banner exchange", UnreachableError),
        ("kex_exchange_identification: Connection closed by remote host", UnreachableError),
        ("me@pi: Permission denied (publickey,password).", UnreachableError),
        ("/home/me/.ssh/config: line 3: Bad configuration option: hots", ConfigError),
        ("Bad owner or permissions on /home/me/.ssh/config", ConfigError),
    ],
)
def test_causes(words, kind):
    error = explain(Address("pi"), 255, f"some banner\n{words}\n")
    assert type(error) is kind
    assert error.next_step
    assert error.seen == words


def test_other_ends_are_not_explained_away():
    assert explain(Address("pi"), 1, "Traceback") is None
    assert explain(Address("pi"), 255, "something never seen before") is None
