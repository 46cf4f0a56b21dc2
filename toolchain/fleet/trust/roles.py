"""The roles of the repository: who signs what, how many must, and for how long (TUF specification, section 2.1).

``targets`` names no file itself: it delegates releases to a role whose keys are offline, and rollouts to one whose key
is online. Whoever breaks into the server can move rollouts between releases that were signed, and nothing else.
"""

from __future__ import annotations

import dataclasses

from tuf.api.metadata import DelegatedRole, Delegations, Key, Root, Targets

from profiles.errors import ConfigError
from profiles.suggest import did_you_mean


@dataclasses.dataclass(frozen=True)
class Default:
    """What ``init`` sets: so many keys, of which so many must sign, for so many days."""

    threshold: int
    keys: int
    expires_days: float


DEFAULTS = {
    "root": Default(2, 3, 365),
    "targets": Default(1, 1, 365),
    "snapshot": Default(1, 1, 7),
    "timestamp": Default(1, 1, 2),
    "releases": Default(1, 1, 365),
    "rollouts": Default(1, 1, 30),
}
ROLES = tuple(DEFAULTS)
#: Their keys lie on the server, without a passphrase; all others are offline.
ONLINE = ("snapshot", "timestamp", "rollouts")
#: Delegated roles, and the targets that each may sign.
PATHS = {"releases": "releases/*/*", "rollouts": "rollouts/*/*"}


def known_role(name: str) -> str:
    """A role's name.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in ROLES:
        raise ConfigError(
            "wanted a role of the repository",
            seen=name,
            allowed=", ".join(ROLES),
            next_step=did_you_mean(name, ROLES),
        )
    return name


def set_keys(delegator: Root | Targets, name: str, keys: list[Key], threshold: int) -> None:
    """Give a role other keys; those that no role uses any more vanish from the metadata."""
    role = delegator.get_delegated_role(name)
    role.threshold = threshold
    for keyid in [each for each in role.keyids if each not in {key.keyid for key in keys}]:
        delegator.revoke_key(keyid, name)
    for key in keys:
        delegator.add_key(key, name)


def delegations(keys: dict[str, list[Key]], thresholds: dict[str, int]) -> Delegations:
    """What ``targets`` delegates."""
    roles = {
        name: DelegatedRole(name, [key.keyid for key in keys[name]], thresholds[name], True, [pattern])
        for name, pattern in PATHS.items()
    }
    return Delegations({key.keyid: key for name in PATHS for key in keys[name]}, roles)
