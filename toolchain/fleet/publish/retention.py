"""Which releases keep their files, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def kept(versions: Iterable[int], planned: Mapping[int, str], devices: Mapping[int, int], keep: int) -> dict[int, str]:
    """The versions of a product whose files stay, each with the reason in words; the others are of no use any more.

    Args:
        versions: all that were signed.
        planned: those that a plan of some channel leads to, with the channels in words.
        devices: how many devices run a version, or are about to.
        keep: so many of the others stay too, the newest; for a rollback, and to make deltas from.
    """
    head, found = max(planned, default=0), dict(planned)
    rest = []
    for version in sorted(set(versions) - set(planned)):
        if number := devices.get(version, 0):
            found[version] = f"{number} device{'s have' if number > 1 else ' has'} it"
        elif version > head:
            found[version] = "newer than every rollout"
        else:
            rest.append(version)
    for version in rest[max(0, len(rest) - keep) :]:
        found[version] = f"among the {keep} newest of the others"
    return found
