"""The system's OpenSSH client: addresses, its command line, and what its last words mean.

Keys, jump hosts and aliases come from the user's own ``~/.ssh/config``; host keys are always checked
and nothing is ever asked on a terminal.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from pathlib import Path

from profiles.errors import ConfigError, EdgewrightError, MissingToolError, UnreachableError

#: Names a file that replaces ``~/.ssh/config``, as ``ssh -F`` does.
CONFIG_VARIABLE = "EDGEWRIGHT_SSH_CONFIG"

_URL = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?"
    r"(?:(?P<host>[A-Za-z0-9_][A-Za-z0-9._-]*)|\[(?P<ipv6>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9._-]+)?)\])"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


@dataclasses.dataclass(frozen=True)
class Address:
    """Where a device is; what is not given comes from ``~/.ssh/config``."""

    host: str
    user: str = ""
    port: int | None = None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{user}{host}:{self.port}" if self.port else f"{user}{host}"

    def by_hand(self) -> str:
        """The command with which a person would log in."""
        user = f"{self.user}@" if self.user else ""
        return f"ssh -p {self.port} {user}{self.host}" if self.port else f"ssh {user}{self.host}"

    def known_as(self) -> str:
        """The name of this host in ``known_hosts`` (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
        return f"[{self.host}]:{self.port}" if self.port not in (None, 22) else self.host


@dataclasses.dataclass(frozen=True)
class SshOptions:
    """How to call ``ssh``.

    Attributes:
        config: instead of ``~/.ssh/config``; by default the file named by ``EDGEWRIGHT_SSH_CONFIG``, if any.
        identity: a private key to offer.
        known_hosts: instead of ``~/.ssh/known_hosts``.
        connect_timeout: seconds until a host counts as not answering.
        alive_interval, alive_count: a connection that is silent for interval x count seconds is lost.
    """

    config: Path | None = None
    identity: Path | None = None
    known_hosts: Path | None = None
    connect_timeout: int = 10
    alive_interval: int = 5
    alive_count: int = 3


def parse_address(url: str) -> Address:
    """Read ``ssh://[user@]host[:port]``; the host may be an alias, an IPv4 or a bracketed IPv6 address.

    Raises:
        ConfigError: anything else, so that nothing in it can become an option of ``ssh``.
    """
    match = _URL.fullmatch(url)
    port = int(match["port"]) if match and match["port"] else None
    if match is None or port == 0 or (port or 0) > 65535:
        raise ConfigError(
            "wanted the address of a device",
            seen=repr(re.sub(r":[^:@/]*@", ":…@", url)),  # not the password
            allowed="ssh://[user@]host[:port], without a password, a path or options",
            next_step="write for example ssh://pi@raspberrypi.local; for anything more, give the host an entry in "
            "~/.ssh/config and use its name",
        )
    return Address(match["host"] or match["ipv6"], match["user"] or "", port)


def ssh_argv(address: Address, command: str, options: SshOptions) -> list[str]:
    """The command line that runs ``command`` in the login shell of the device, with nothing forwarded or asked.

    Raises:
        MissingToolError: this machine has no ``ssh``.
        ConfigError: the configuration file does not exist.
    """
    if shutil.which("ssh") is None:
        raise MissingToolError(
            f"reaching {address} needs the program 'ssh'",
            seen="not installed here",
            next_step="run: sudo apt-get install openssh-client",
        )
    where = ["-l", address.user] * bool(address.user) + ["-p", str(address.port)] * bool(address.port)
    return ["ssh", *_files(options), *_settings(options), *where, "--", address.host, command]


def _files(options: SshOptions) -> list[str]:
    config = options.config or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    given = [("-F", config), ("-i", options.identity)]
    for _, path in given:
        if path is not None and not path.is_file():
            raise ConfigError("wanted a file for ssh", seen=f"{path} does not exist", allowed="a readable file")
    known = ["-o", f'UserKnownHostsFile="{options.known_hosts}"'] if options.known_hosts else []
    return [word for flag, path in given if path is not None for word in (flag, str(path))] + known


def _settings(options: SshOptions) -> list[str]:
    settings = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": str(options.connect_timeout),
        "ServerAliveInterval": str(options.alive_interval),
        "ServerAliveCountMax": str(options.alive_count),
        "LogLevel": "INFO",  # what explain() reads
        "ControlMaster": "no",  # an existing shared connection is used, a new one never left behind
        "ClearAllForwardings": "yes",
        "RemoteCommand": "none",
    }
    return ["-T", "-a", "-x", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]


def explain(address: Address, status: int, words: str) -> EdgewrightError | None:
    """What it means that ``ssh`` ended before the device said anything; None when that is not known.

    Args:
        address: of the device.
        status: exit status of ``ssh``: 255 for its own failures, otherwise that of the remote command (ssh(1)).
        words: what it printed on standard error.
    """
    if status in (126, 127):
        return MissingToolError(
            f"{address} needs Python",
            seen=last_line(words) or f"exit status {status}: command not found",
            next_step="on the device, run: sudo apt-get install python3 python3-numpy; or name the interpreter "
            "that is there",
        )
    return _trouble(address, words) if status == 255 else None


def _trouble(address: Address, words: str) -> EdgewrightError | None:
    for pattern, cause in _CAUSES:
        if re.search(pattern, words, re.IGNORECASE):
            return cause(address, words)
    return None


def _changed(address: Address, words: str) -> EdgewrightError:
    return UnreachableError(
        f"{address} shows another host key than before, so nothing was sent",
        seen="the key differs from the one in known_hosts: the device was reinstalled, another machine has its "
        "address, or somebody is between you and it",
        allowed="the recorded host key",
        next_step=f"compare the fingerprint on the device itself; only if the change is yours, run: "
        f"ssh-keygen -R '{address.known_as()}', then accept the new key once with: {address.by_hand()}",
    )


def _unknown(address: Address, words: str) -> EdgewrightError:
    port = f"-p {address.port} " if address.port else ""
    return UnreachableError(
        f"the host key of {address} is not known, so nothing was sent",
        seen=last_line(words),
        allowed="a host key that is in known_hosts",
        next_step=f"accept it once by hand, after comparing its fingerprint: {address.by_hand()}; or in a trusted "
        f"network: ssh-keyscan {port}{address.host} >> ~/.ssh/known_hosts",
    )


def _denied(address: Address, words: str) -> EdgewrightError:
    return UnreachableError(
        f"{address} did not let us in",
        seen=last_line(words),
        allowed="key authentication (nobody is asked for a password)",
        next_step=f"install your public key there: {address.by_hand().replace('ssh', 'ssh-copy-id', 1)}; unlock it if "
        f"it has a passphrase: ssh-add; then this must work without a question: {address.by_hand()} true",
    )


def _silent(address: Address, words: str) -> EdgewrightError:
    return UnreachableError(
        f"cannot reach {address}",
        seen=last_line(words),
        next_step="check that the device is on, its name and port, and that an ssh server runs there "
        "(Debian: sudo apt-get install openssh-server)",
    )


def _config(address: Address, words: str) -> EdgewrightError:
    return ConfigError(
        "ssh cannot use its configuration", seen=last_line(words), next_step="mend the file that it names"
    )


def last_line(words: str) -> str:
    """The last line that says anything, or an empty string."""
    return next((line.strip() for line in reversed(words.splitlines()) if line.strip()), "")


_CAUSES = (
    (r"IDENTIFICATION HAS CHANGED|host key for .* has changed", _changed),
    (r"host key verification failed|host key is known for", _unknown),
    (r"permission denied|too many authentication failures|no supported authentication", _denied),
    (r"bad configuration option|bad owner or permissions|terminating, \d+ bad|can't open user config", _config),
    (
        r"could not resolve|connection refused|timed out|timeout|no route to host|unreachable|kex_exchange|banner"
        r"|connection closed|connection reset|unable to negotiate|closed by remote host",
        _silent,
    ),
)
