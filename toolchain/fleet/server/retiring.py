"""Removing files of old releases, with everything that knows who may still ask for them standing still."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from profiles.errors import ConfigError, UnreachableError
from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.publish.pruning import Survey, remove, survey
from toolchain.fleet.server.steering import WAIT
from toolchain.fleet.store import Store
from toolchain.fleet.trust.repository import Repository


def look(store: Store, repository: Repository, keep: int) -> Survey:
    """What could go now; changes nothing. See :func:`toolchain.fleet.publish.pruning.survey`.

    Raises:
        ConfigError: the database is not that of this repository, or an old copy: it does not know all devices.
        VerificationError: the repository is damaged.
    """
    plans = [kept.rollout.plan for kept in store.rollouts()]
    _check_belongs(repository.plans(), plans)
    return survey(repository, in_use(store), plans, keep)


def _check_belongs(published: Sequence[Plan], decided: Sequence[Plan]) -> None:
    known = {(plan.product, plan.channel): plan.sequence for plan in decided}
    for plan in published:
        sequence = known.get((plan.product, plan.channel), 0)
        if sequence < plan.sequence:
            raise ConfigError(
                f"the database does not know the newest plan of {plan.product} on {plan.channel}, or all devices",
                seen=f"sequence {sequence or 'none'} here, {plan.sequence} in the repository",
                next_step="restore the newest copy of the database before files are removed",
            )


def prune(store: Store, repository: Repository, keep: int) -> Survey:
    """Remove it, while no rollout begins or moves and nobody signs.

    Raises:
        UnreachableError: another process moves the rollouts and does not end.
        ConfigError: another process is writing to the repository, or the database is not that of the repository.
        VerificationError: the repository is damaged.
        OutputError: the disk refuses.
    """
    with store.moving(WAIT) as alone:
        if not alone:
            raise UnreachableError("another process moves the rollouts and does not end", next_step="try again")
        with repository.locked():
            found = look(store, repository, keep)
            remove(found)
    return found


def in_use(store: Store) -> dict[str, Counter[int]]:
    """Product to version to how many devices run it or are about to; revoked ones too, for they mend what they run."""
    found: dict[str, Counter[int]] = {}
    for row in store.devices():
        versions = {row.running, row.release if row.outcome == "underway" else 0} - {0}
        found.setdefault(row.product, Counter()).update(versions)
    return found
