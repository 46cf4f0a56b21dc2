"""Other keys for a role. Devices follow: the old root signs the new one (TUF specification, sections 5.3 and 6.1).

Where a key of a top-level role changes, its metadata is signed by the old and the new keys, and the new root is written
last, so that devices find something that they can verify at every moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from profiles.errors import ConfigError
from toolchain.fleet.home import open_home
from toolchain.fleet.settings import FILE, Settings, parse_settings, with_keys
from toolchain.fleet.trust.draft import Draft
from toolchain.fleet.trust.keyfiles import public_from_pem
from toolchain.fleet.trust.keys import IN_FILE, KeyRing
from toolchain.fleet.trust.roles import ONLINE, PATHS, ROLES, known_role, set_keys

if TYPE_CHECKING:
    from toolchain.fleet.trust.repository import Repository

#: Hexadecimal digits of a key id that are enough to name it.
SHORTEST_ID = 8


def rotate(repository: Repository, roles: Sequence[str], new_passphrase: Callable[[str], str] | None) -> list[str]:
    """Replace all keys of roles that lie in files by new ones, in one step; the old ones are removed.

    Args:
        repository: needs the keys of ``root``; for delegated roles those of ``targets``; for ``root`` the old ones.
        roles: any.
        new_passphrase: for new offline keys; None is the same as for the old ones.

    Returns:
        The ids of the new keys.

    Raises:
        ConfigError: an unknown role, one whose keys are all external, or keys that cannot sign.
        VerificationError: the repository is damaged.
    """
    for role in roles:
        known_role(role)
    with repository.locked():
        gone = {role: _in_files(repository, role) for role in roles}
        return _change(repository, gone, new_passphrase)


def _in_files(repository: Repository, role: str) -> list[str]:
    found = [uri for uri in repository.home.settings.role(role).keys if uri.startswith(IN_FILE)]
    if not found:
        raise ConfigError(
            f"wanted to make new keys for {role}",
            seen="all of them are external",
            next_step="make one there, then: edgewright fleet keys add, and keys revoke for the old one",
        )
    return found


def revoke(repository: Repository, keyid: str, new_passphrase: Callable[[str], str] | None) -> list[str]:
    """Take a key out of every role. One in a file is replaced by a new one; an external one only goes.

    Raises:
        ConfigError: no such key, too few would be left, or keys cannot sign.
        VerificationError: the repository is damaged.
    """
    with repository.locked():
        uris = _uris_of(repository, keyid)
        settings = repository.home.settings
        gone = {role: [uri for uri in settings.role(role).keys if uri in uris] for role in ROLES}
        return _change(repository, {role: those for role, those in gone.items() if those}, new_passphrase)


def add(repository: Repository, role: str, uri: str, pem: bytes) -> str:
    """Let an external key sign for a role too; returns its id.

    Raises:
        ConfigError: an unknown role or URI, no public key, or keys cannot sign.
        VerificationError: the repository is damaged.
    """
    key = public_from_pem(pem, uri)
    known_role(role)
    with repository.locked():
        old = repository.home.settings.role(role).keys
        if uri in old:
            raise ConfigError(
                f"wanted another key for {role}", seen=f"{uri} is one of its keys already", allowed="a new URI"
            )
        repository.keys.remember({uri: key})
        _apply(repository, {role: (*old, uri)})
    return key.keyid


def _uris_of(repository: Repository, keyid: str) -> list[str]:
    used = repository.home.settings.uris()
    public = repository.keys.known(used)
    known = {public[uri].keyid for uri in used if uri in public}
    found = [each for each in known if each.startswith(keyid) and len(keyid) >= SHORTEST_ID]
    if len(found) != 1:
        raise ConfigError(
            f"wanted the key '{keyid[:64]}'",
            seen="no key of this fleet" if not found else "several keys begin like this",
            allowed=", ".join(sorted(each[:SHORTEST_ID] for each in known)),
            next_step="run: edgewright fleet keys list",
        )
    return [uri for uri in used if uri in public and public[uri].keyid == found[0]]


def _change(
    repository: Repository, gone: Mapping[str, list[str]], new_passphrase: Callable[[str], str] | None
) -> list[str]:
    """Replace or take out URIs, by role."""
    ring = repository.keys if new_passphrase is None else KeyRing(repository.home.folder, new_passphrase)
    lists: dict[str, tuple[str, ...]] = {}
    ids = []
    for role, uris in gone.items():
        old = repository.home.settings.role(role)
        kept = [uri for uri in old.keys if uri not in uris]
        new = [ring.generate(role, encrypt=role not in ONLINE) for uri in uris if uri.startswith(IN_FILE)]
        if len(kept) + len(new) < old.threshold:
            raise ConfigError(
                f"{role} needs {old.threshold} keys",
                seen=f"{len(kept)} would be left",
                next_step="add another one first: edgewright fleet keys add",
            )
        ids += [key.keyid for _, key in new]
        lists[role] = (*kept, *(uri for uri, _ in new))
    repository.keys.adopt(ring)
    _apply(repository, lists)
    return ids


def _apply(repository: Repository, lists: Mapping[str, tuple[str, ...]]) -> None:
    """Sign the change and write it, ``fleet.toml`` included; then remove keys that no role has any more."""
    home = repository.home
    path = home.folder / FILE
    text = path.read_text(encoding="utf-8")
    for role, uris in lists.items():
        text = with_keys(text, role, uris, str(path))
    settings = parse_settings(text, str(path))
    ring = repository.keys
    known = ring.known(home.settings.uris())
    if known.keys() - ring.public().keys():  # the old keys must be found where they were moved to, to sign this
        ring.remember(known)
    draft = repository.draft()
    for role in lists:
        _edit(draft, role, settings, ring)
    draft.settings = settings
    repository.write(draft, [(FILE, text.encode())])
    repository.home = open_home(home.folder)
    _forget(repository, settings)


def _forget(repository: Repository, settings: Settings) -> None:
    """Remove keys that no role has any more; a key of a role stays under every URI, wherever its file is now."""
    state, used = repository.state(), settings.uris()
    live = {keyid for role in ROLES for keyid in state.delegator(role).get_delegated_role(role).keyids}
    public = repository.keys.public()
    repository.keys.forget([uri for uri, key in public.items() if key.keyid not in live and uri not in used])


def _edit(draft: Draft, role: str, settings: Settings, ring: KeyRing) -> None:
    public = ring.known(settings.uris())
    wanted = settings.role(role)
    if unknown := [uri for uri in wanted.keys if uri not in public]:
        raise ConfigError(
            f"wanted the public keys of {role}",
            seen=f"none is known of {', '.join(unknown)}",
            allowed="the file's old name in another folder, or a key of: edgewright fleet keys add",
        )
    delegator = draft.targets() if role in PATHS else draft.root()
    set_keys(delegator, role, [public[uri] for uri in wanted.keys], wanted.threshold)
    draft.renew(role)
