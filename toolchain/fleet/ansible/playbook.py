"""Starts ``ansible-playbook`` with our collection, and says what happened on which host."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError, MissingToolError, ToolCrashError
from targets.execute import Finished, python_argv, run_program

#: A folder that Ansible takes as a path of collections.
COLLECTIONS = Path(__file__).parent
PLAYBOOKS = COLLECTIONS / "ansible_collections" / "edgewright" / "fleet" / "playbooks"
#: Exit codes of ansible-playbook that say something of hosts and not of us: failed, unreachable, or both.
_HOSTS_FAILED = (2, 3, 4, 6)


@dataclasses.dataclass(frozen=True)
class Event:
    """The result of one task on one host; ``outcome`` is ok, changed, failed, ignored or unreachable."""

    host: str
    task: str
    outcome: str
    message: str


@dataclasses.dataclass(frozen=True)
class Played:
    """A playbook that ran to its end."""

    events: tuple[Event, ...]
    status: int
    stdout: str

    @property
    def hosts(self) -> list[str]:
        """Everybody of whom anything was heard, sorted."""
        return sorted({event.host for event in self.events})

    @property
    def failures(self) -> dict[str, str]:
        """Host to why it did not get to the end: the first failure of each."""
        found: dict[str, str] = {}
        for event in self.events:
            if event.outcome in ("failed", "unreachable"):
                found.setdefault(event.host, f"{event.task}: {_last_line(event.message) or event.outcome}")
        return found


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def play(
    playbook: Path,
    inventory: Path,
    variables: Mapping[str, Any],
    *,
    limit: str = "",
    check: bool = False,
    forks: int = 10,
    timeout: float = 3600.0,
    env: Mapping[str, str] | None = None,
) -> Played:
    """Run a playbook on what ``limit`` (a pattern of hosts) leaves of an inventory.

    Variables travel in a private file, never in arguments, so that secrets are not seen in a list of processes.

    Raises:
        MissingToolError: Ansible is not installed.
        ConfigError: Ansible refuses the inventory, the variables or the playbook, or no host is left.
        ToolCrashError: it did not end in time.
    """
    program = find_program("ansible-playbook")
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        room = Path(folder)
        _private(room / "variables.json", json.dumps(dict(variables)))
        limited = ["--limit", limit] if limit else []
        argv = [program, str(playbook), "-i", str(inventory), "-e", f"@{room}/variables.json", "--forks", str(forks)]
        argv += [*limited, *(["--check"] if check else [])]
        try:
            done = run_program(argv, timeout=timeout, env={**environment(room), **(env or {})})
        finally:
            _end_connections(room / "c")
        events = tuple(_events(room / "events"))
    if done.status not in (0, *_HOSTS_FAILED) or (not events and done.status):
        raise _refused(done)
    return Played(events, done.status, done.stdout)


def environment(room: Path) -> dict[str, str]:
    """For Ansible: our collection, nothing kept in the user's home, and events in ``room``."""
    paths = [str(COLLECTIONS), *filter(None, [os.environ.get("ANSIBLE_COLLECTIONS_PATH")])]
    return {
        "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(paths),
        "ANSIBLE_HOME": str(room / "home"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(room / "c"),  # of sockets, whose paths have 104 characters at most
        "ANSIBLE_LOCAL_TEMP": str(room / "local"),
        "ANSIBLE_CALLBACKS_ENABLED": "edgewright.fleet.events",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_INVENTORY_UNPARSED_FAILED": "1",
        "EDGEWRIGHT_EVENTS": str(room / "events"),
    }


def fleet_inventory(folder: Path, home: Path) -> Path:
    """Write the configuration of our inventory plugin for the fleet in ``home``; JSON is YAML."""
    path = folder / "fleet.edgewright.yml"
    command = python_argv("toolchain")
    _private(path, json.dumps({"plugin": "edgewright.fleet.fleet", "home": str(home), "command": command}))
    return path


def find_program(name: str) -> str:
    """A program of Ansible: beside our interpreter, or where the shell would find it.

    Raises:
        MissingToolError: it is nowhere.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise MissingToolError(
            f"reaching many devices needs {name}", seen="none", next_step="run: pip install 'edgewright[fleet-ansible]'"
        )
    return found


def _end_connections(folder: Path) -> None:
    """Ssh connections that Ansible keeps open for its next task, which could not find them again: end them now."""
    for control in folder.glob("*"):
        with contextlib.suppress(MissingToolError, ToolCrashError):
            run_program(["ssh", "-O", "exit", "-o", f"ControlPath={control}", "any"], timeout=10)


def _private(path: Path, text: str) -> None:
    with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
        stream.write(text)


def _events(path: Path) -> Iterator[Event]:
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            yield Event(**json.loads(line))


def _refused(done: Finished) -> ConfigError | ToolCrashError:
    words = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("[WARNING]")]
    seen = " ".join(words)[-600:] or done.stdout[-600:] or f"exit code {done.status}"
    if done.status in (1, 4, 5):
        return ConfigError(
            "Ansible could not begin", seen=seen, next_step="check the inventory and the pattern of hosts"
        )
    return ToolCrashError("Ansible ended without a result", seen=f"exit code {done.status}: {seen}")
