"""The newest versions that this home has written, outside of what a web server can change.

A repository that was set back would have us sign old rollouts anew, and give new files the names of those that devices
know already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from profiles.errors import VerificationError
from toolchain.fleet.trust.state import State

SEEN = "seen.json"


def seen_text(root: int, timestamp: int) -> bytes:
    """The file for these versions."""
    return json.dumps({"root": root, "timestamp": timestamp}).encode()


def read_seen(home: Path) -> dict[str, int]:
    """What was written last; read it before the repository, which may move on meanwhile.

    Raises:
        VerificationError: the file is damaged.
    """
    path = home / SEEN
    try:
        seen = json.loads(path.read_bytes())
        return {name: int(seen[name]) for name in ("root", "timestamp")}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VerificationError(f"{path} is damaged", seen=str(error), next_step="restore it from a copy") from error


def check_not_set_back(home: Path, seen: Mapping[str, int], state: State) -> None:
    """Compare a repository with what was written last.

    Raises:
        VerificationError: it is older.
    """
    for name, version in seen.items():
        found = state.roles[name].signed.version
        if found < version:
            raise VerificationError(
                f"the repository was set back: its {name} is older than the one that was written last",
                seen=f"version {found}",
                allowed=f"version {version} or later",
                next_step=f"restore the newest copy; if there is none, remove {home / SEEN}: devices refuse older ones",
            )
