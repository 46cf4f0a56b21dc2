"""Rollouts, in SQL. Every change compares the plan's sequence: who decides on a plan of yesterday changes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Row, exc, func, select

from toolchain.fleet.documents import strict
from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.rollout.engine import Decision, Progress, Rollout
from toolchain.fleet.rollout.policy import Policy
from toolchain.fleet.store.rows import DecisionRow, Kept
from toolchain.fleet.store.schema import approvals, decisions, rollouts

_NEWEST = select(func.max(rollouts.c.id)).group_by(rollouts.c.product, rollouts.c.channel)


def current(connection: Connection) -> list[Kept]:
    """The newest rollout of every channel, the newest first."""
    rows = connection.execute(select(rollouts).where(rollouts.c.id.in_(_NEWEST)).order_by(rollouts.c.id.desc())).all()
    approved: dict[int, set[str]] = {row.id: set() for row in rows}
    for row in connection.execute(select(approvals).where(approvals.c.rollout.in_(list(approved)))):
        approved[row.rollout].add(row.wave)
    return [_kept(row, approved[row.id]) for row in rows]


def _kept(row: Row[tuple[object, ...]], approved: Iterable[str]) -> Kept:
    policy = strict.from_bytes(Policy, row.policy.encode())
    plan = strict.from_bytes(Plan, row.plan.encode())
    rollout = Rollout(policy, plan, Progress(row.first, row.opened, row.met, row.started), frozenset(approved))
    return Kept(row.id, rollout, row.published, row.started)


def begin(connection: Connection, policy: Policy, plan: Plan, now: float) -> int | None:
    """Keep a new rollout, which replaces the one before it; its id, or None if somebody was faster."""
    row = {
        "product": plan.product, "channel": plan.channel, "policy": _text(policy), "plan": _text(plan),
        "sequence": plan.sequence, "published": 0, "first": plan.sequence, "opened": now, "met": None, "started": now,
    }  # fmt: skip
    try:
        with connection.begin_nested():
            key = connection.execute(rollouts.insert().values(**row)).inserted_primary_key
    except exc.IntegrityError:
        return None
    return int(key[0]) if key else None


def decide(connection: Connection, kept: Kept, decision: Decision) -> bool:
    """Keep the next plan and what must be remembered; False if the plan is no longer the one that was decided on."""
    plan, progress = decision.plan or kept.rollout.plan, decision.progress
    change = (
        rollouts.update()
        .where(rollouts.c.id == kept.id, rollouts.c.sequence == kept.rollout.plan.sequence)
        .values(plan=_text(plan), sequence=plan.sequence, opened=progress.opened, met=progress.met)
    )
    return connection.execute(change).rowcount == 1


def was_published(connection: Connection, rollout: int, sequence: int) -> None:
    """The repository has this plan."""
    change = rollouts.update().where(rollouts.c.id == rollout, rollouts.c.published < sequence)
    connection.execute(change.values(published=sequence))


def log(connection: Connection, rollout: int, row: DecisionRow) -> None:
    """Note what was decided."""
    values = {"at": row.at, "action": row.action, "why": row.why, "who": row.who, "sequence": row.sequence}
    connection.execute(decisions.insert().values(rollout=rollout, **values))


def logged(connection: Connection, rollout: int, most: int) -> list[DecisionRow]:
    """What was decided, the newest first."""
    names = ("at", "action", "why", "who", "sequence")
    query = select(*(decisions.c[name] for name in names)).where(decisions.c.rollout == rollout)
    return [DecisionRow(*row) for row in connection.execute(query.order_by(decisions.c.id.desc()).limit(most))]


def approve(connection: Connection, rollout: int, wave: str, who: str, now: float) -> None:
    """A person agrees that a wave opens; twice is once."""
    there = select(approvals.c.wave).where(approvals.c.rollout == rollout, approvals.c.wave == wave)
    if connection.execute(there).first() is None:
        connection.execute(approvals.insert().values(rollout=rollout, wave=wave, who=who, at=now))


def _text(document: Policy | Plan) -> str:
    return strict.to_bytes(document).decode()
