"""``schedule.json``: the schedules of a bundle's engines, by batch size, and what the compiler warned of."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import VerificationError
from targets.files import write_json
from targets.tensorrt.compiler.schedule import Schedule
from targets.tensorrt.plan import SCHEDULE

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Planned:
    """By batch size, in the order of the plan."""

    schedules: Mapping[int, Schedule]
    notes: Mapping[int, tuple[str, ...]]


def save_schedules(folder: Path, schedules: Mapping[int, Schedule], notes: Mapping[int, Iterable[str]]) -> None:
    """Write the file.

    Raises:
        OutputError: it cannot be written.
    """
    rows = [
        {"batch": batch, "notes": list(notes.get(batch, ())), **schedule.as_dict()}
        for batch, schedule in schedules.items()
    ]
    write_json(folder / SCHEDULE, {"schema": SCHEMA, "schedules": rows})


def load_schedules(folder: Path) -> Planned | None:
    """Read the file; None where a bundle has none, because its device compiles.

    Raises:
        VerificationError: it is damaged, or of a schema that this version does not read.
    """
    path = folder / SCHEDULE
    if not path.is_file():
        return None
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']!r}")
        rows = data["schedules"]
        return Planned(
            {int(row["batch"]): Schedule.from_dict(row) for row in rows},
            {int(row["batch"]): tuple(row["notes"]) for row in rows},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerificationError(
            f"wanted the compiler's schedule in {SCHEDULE}",
            seen=f"{type(error).__name__}: {error}",
            next_step="build the bundle again",
        ) from error
