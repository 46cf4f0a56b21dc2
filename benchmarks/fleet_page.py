"""``docs/results/fleet.md`` and its JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import fleet_devices, fleet_run
from benchmarks.common import RESULTS, conditions
from targets.registry import installed_version

_TEMPLATE = Path(__file__).parent / "fleet_page.md.j2"
_TOOLS = ("sqlalchemy", "securesystemslib", "tuf", "cryptography", "zstandard", "psycopg")


def write_page(claim: str, data: dict[str, Any], missed: Sequence[str]) -> None:
    """Write the page and the JSON."""
    facts = conditions()
    facts["tools"] = {name: installed_version(name) for name in _TOOLS}
    text = page(claim, data, missed, facts)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "fleet.md").write_text(text, encoding="utf-8")
    kept = {**facts, "results": {**data, "missed": list(missed)}}
    (RESULTS / "fleet.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(text)


def page(claim: str, data: dict[str, Any], missed: Sequence[str], facts: dict[str, Any]) -> str:
    """The page's text."""
    import jinja2

    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    rows = [(name, row) for name, found in data["databases"].items() for row in found]
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        claim=claim,
        facts=facts,
        missed=missed,
        missing=data["missing"],
        load=f"{facts['load'][0]:.1f}" if facts["load"] else "unknown",
        outcomes=[_outcome(name, row) for name, row in rows],
        costs=[_cost(name, row) for name, row in rows],
        growth=[_growth(name, found) for name, found in data["databases"].items()],
        deltas=_deltas(rows[-1][1]["good"]) if rows else None,
        waves=", ".join(fleet_run.WAVES),
        policy=fleet_run.POLICY,
        faults=", ".join(fleet_devices.FAULTS),
        faulty=f"{fleet_run.FAULTY:.0%}".replace("%", " %"),
        loss=f"{fleet_run.LOSS:.0%}".replace("%", " %"),
        every=f"{fleet_run.EVERY:g}",
        interval=f"{fleet_devices.INTERVAL:g}",
    )


def _outcome(name: str, row: dict[str, Any]) -> list[str]:
    good, bad = row["good"], row["bad"]
    return [
        name, f"{row['devices']:,}", f"{good['committed']:,} of {good['sound']:,}", str(good["lost"]),
        f"{good['faulty_kept']} of {good['faulty']}", f"{row['good_seconds'] / 60:.0f} min",
        f"{bad['reached']} of {bad['canaries']}", str(bad["beyond"]), str(bad["lost"]),
        f"{row['bad_seconds'] / 60:.0f} min", f"{row['lost']:,}",
    ]  # fmt: skip


def _cost(name: str, row: dict[str, Any]) -> list[str]:
    outside = row["database_us"]
    return [
        name, f"{row['devices']:,}", f"{row['requests']:,}", f"**{row['checkin_us']:.0f}**",
        "in the same process" if outside is None else f"{outside:.0f}", f"{row['enrol_us']:.0f}",
        f"{row['sent']:.0f} + {row['answered']:.0f}", f"{row['moving_ms']:.1f}", f"{row['publish_ms']:.0f}",
        f"{row['overview_ms']:.0f}",
    ]  # fmt: skip


def _growth(name: str, rows: Sequence[dict[str, Any]]) -> str:
    first, last = rows[0], rows[-1]
    return (
        f"{name}: with {last['devices']:,} devices a check-in costs {last['checkin_us'] / first['checkin_us']:.2f} "
        f"times the processor time that it costs with {first['devices']:,}"
    )


def _deltas(good: dict[str, Any]) -> dict[str, str]:
    return {
        "fetched": f"{good['fetched'] / 1e9:.3f}",
        "full": f"{good['full'] / 1e9:.3f}",
        "share": f"{100 * good['fetched'] / good['full']:.1f}" if good["full"] else "–",
    }
