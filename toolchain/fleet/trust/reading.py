"""Reading a fleet's signed files: each time verified from the first root on."""

from __future__ import annotations

from pathlib import Path

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile

from profiles.errors import ConfigError, VerificationError
from toolchain.fleet.documents import strict
from toolchain.fleet.documents.plan import Plan, plan_path
from toolchain.fleet.documents.release import Release, release_path
from toolchain.fleet.home import Home
from toolchain.fleet.trust.seen import check_not_set_back, read_seen
from toolchain.fleet.trust.state import State, load_state, target_file


class Reader:
    """A fleet's signed files, for who only looks.

    Args:
        home: whose.
    """

    def __init__(self, home: Home) -> None:
        self.home = home

    def state(self) -> State:
        """All metadata, verified.

        Raises:
            VerificationError: it is damaged, or not signed as it should be.
        """
        seen = read_seen(self.home.folder)
        try:
            state = load_state(self.home.repository, self.home.root_metadata())
        except VerificationError:  # a writer may have changed keys between two of our reads
            state = load_state(self.home.repository, self.home.root_metadata())
        check_not_set_back(self.home.folder, seen, state)
        return state

    def versions(self, product: str) -> list[int]:
        """The versions of a product, from the oldest."""
        prefix = release_path(product, 1).removesuffix("1.json")
        paths = self.state().targets("releases").targets
        return sorted(int(path.removeprefix(prefix)[:-5]) for path in paths if path.startswith(prefix))

    def release(self, product: str, version: int) -> Release:
        """A release that was signed.

        Raises:
            ConfigError: there is none of that version.
            VerificationError: its file is damaged.
        """
        info = self.state().targets("releases").targets.get(release_path(product, version))
        if info is None:
            known = ", ".join(map(str, self.versions(product)))
            raise ConfigError(
                f"wanted version {version} of {product}", seen="no such release", allowed=known or "none was published"
            )
        return strict.from_bytes(Release, self._target(info))

    def releases(self) -> list[Release]:
        """All releases of all products.

        Raises:
            VerificationError: a file is missing or damaged.
        """
        found = self.state().targets("releases").targets
        return [strict.from_bytes(Release, self._target(found[path])) for path in sorted(found)]

    def plan(self, product: str, channel: str) -> Plan | None:
        """The plan of a channel; None where there was none yet."""
        info = self.state().targets("rollouts").targets.get(plan_path(product, channel))
        return None if info is None else strict.from_bytes(Plan, self._target(info))

    def plans(self) -> list[Plan]:
        """The plans of all channels."""
        found = self.state().targets("rollouts").targets
        return [strict.from_bytes(Plan, self._target(found[path])) for path in sorted(found)]

    def _target(self, info: TargetFile) -> bytes:
        path = self.home.repository / target_file(info)
        return verified(path, info)


def verified(path: Path, info: TargetFile) -> bytes:
    """The contents of a target's file.

    Raises:
        VerificationError: it is missing, or not what was signed.
    """
    try:
        content = path.read_bytes()
        info.verify_length_and_hashes(content)
    except (OSError, LengthOrHashMismatchError) as error:
        raise VerificationError(
            f"{path} is not what was signed", seen=str(error), next_step="restore it from a copy"
        ) from error
    return content
