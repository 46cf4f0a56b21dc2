"""Reports, in SQL: the newest of each device, and a bounded history."""

from __future__ import annotations

import dataclasses

from sqlalchemy import Connection, RowMapping, bindparam, select

from toolchain.fleet.documents.report import Report
from toolchain.fleet.rollout.facts import Facts
from toolchain.fleet.store.rows import DeviceRow, HistoryRow, Identity, Reported, from_text, measured, to_text
from toolchain.fleet.store.schema import MOST_HISTORY, devices, history, reports

_ATTEMPT = ("release", "sequence", "stage", "outcome", "reason", "detail", "fetched", "full")
_KEPT = ("counter", "seen", "skew", "running", "agent", "provides", "entries", *_ATTEMPT, "before", "after")
_TAKE_UP = (
    reports.update()
    .where(reports.c.device == bindparam("of"), reports.c.counter < bindparam("new"))
    .values({name: bindparam(f"v_{name}") for name in _KEPT})
)
_LOCK = select(reports.c.device).where(reports.c.device == bindparam("of")).with_for_update()
_RELABEL = (
    devices.update()
    .where(devices.c.name == bindparam("of"))
    .values(labels=bindparam("v_labels"), channel=bindparam("v_channel"))
)
_FORGET = history.delete().where(history.c.device == bindparam("of"), history.c.number <= bindparam("old"))
_REPORTED = tuple(each.name for each in dataclasses.fields(Reported))
_LISTED = select(
    devices.c.name.label("device"), devices.c.product, devices.c.channel, devices.c.labels, devices.c.enrolled,
    devices.c.revoked, reports.c.skew, reports.c.agent, reports.c.provides, *(reports.c[name] for name in _REPORTED),
).join(reports, reports.c.device == devices.c.name)  # fmt: skip
_FACTS = (
    select(
        devices.c.name, devices.c.labels, reports.c.running, reports.c.release, reports.c.sequence, reports.c.stage,
        reports.c.outcome, reports.c.reason, reports.c.before, reports.c.after, reports.c.seen,
    )
    .join(reports, reports.c.device == devices.c.name)
    .where(devices.c.product == bindparam("of_product"), devices.c.channel == bindparam("of_channel"))
    .where(devices.c.revoked.is_(None))
)  # fmt: skip


def lock(connection: Connection, device: str) -> None:
    """Let no other transaction write this device's report until the end of this one; SQLite has one writer anyway."""
    connection.execute(_LOCK, {"of": device})


def take_up(connection: Connection, who: Identity, report: Report, now: float) -> bool:
    """Keep a report; False if its counter is not larger than every one before, and then nothing is changed."""
    attempt = {name: getattr(report.attempt, name) for name in _ATTEMPT}
    latencies = {"before": report.before, "after": report.after}
    changed = who.newest != (*(attempt[name] for name in _ATTEMPT[:5]), report.running)
    entries = who.entries + changed
    values = {
        "counter": report.counter, "seen": now, "skew": report.time - now, "running": report.running,
        "agent": report.agent[:80], "provides": to_text(report.provides), "entries": entries, **attempt, **latencies,
    }  # fmt: skip
    given = {f"v_{name}": value for name, value in values.items()}
    if connection.execute(_TAKE_UP, {"of": who.device, "new": report.counter, **given}).rowcount != 1:
        return False
    labels = to_text(report.labels)
    if (labels, report.channel) != (who.labels, who.channel):
        connection.execute(_RELABEL, {"of": who.device, "v_labels": labels, "v_channel": report.channel})
    if changed:
        entry = {"number": entries, "seen": now, "running": report.running, **attempt, **latencies}
        connection.execute(history.insert(), {"device": who.device, **entry})
        if entries > MOST_HISTORY:
            connection.execute(_FORGET, {"of": who.device, "old": entries - MOST_HISTORY})
    return True


def facts(connection: Connection, product: str, channel: str) -> list[Facts]:
    """Every device of a channel that is not revoked."""
    rows = connection.execute(_FACTS, {"of_product": product, "of_channel": channel})
    return [
        Facts(row[0], from_text(row[1]), *row[2:8], measured(row[8]), measured(row[9]), *row[10:])
        for row in rows.tuples()
    ]


def list_devices(connection: Connection, product: str = "", channel: str = "", device: str = "") -> list[DeviceRow]:
    """By name; empty is any."""
    query = _LISTED.order_by(devices.c.name)
    for column, value in ((devices.c.product, product), (devices.c.channel, channel), (devices.c.name, device)):
        query = query.where(column == value) if value else query
    return [_device(row) for row in connection.execute(query).mappings()]


def _device(row: RowMapping) -> DeviceRow:
    texts = {name: from_text(row[name]) for name in ("labels", "provides")}
    latencies = {name: measured(row[name]) for name in ("before", "after")}
    return DeviceRow(**{**row, **texts, **latencies})


def list_history(connection: Connection, device: str) -> list[HistoryRow]:
    """What changed on a device, the newest first."""
    query = select(history.c.number, *(history.c[name] for name in _REPORTED)).where(history.c.device == device)
    return [HistoryRow(**row) for row in connection.execute(query.order_by(history.c.number.desc())).mappings()]
