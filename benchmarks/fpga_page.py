"""``docs/results/fpga.md`` and its JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import fpga_accuracy, fpga_circuit
from benchmarks.common import RESULTS, conditions, span
from benchmarks.fpga_cycles import LATENCY, PORT, worst
from benchmarks.fpga_networks import NETWORKS
from benchmarks.fpga_published import MACS, PUBLISHED, Published, per_multiplier

_TEMPLATE = Path(__file__).parent / "fpga_page.md.j2"
#: Of the profile fpga-sim-16x16.
NOMINAL = 100e6


def write_page(claim: str, data: dict[str, Any], missed: Sequence[str], rounds: int) -> None:
    """Write the page and the JSON."""
    import jinja2

    facts = conditions()
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    accuracy = data["accuracy"]
    floats = {"first": f"{accuracy['float']['first']:.1f}", "all": f"{accuracy['float']['all']:.2f}"}
    text = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        claim=claim,
        facts=facts,
        rounds=rounds,
        missed=missed,
        load=f"{facts['load'][0]:.1f}" if facts["load"] else "unknown",
        arrays=array_rows(data["arrays"]),
        on_host=host_parts(data["arrays"]),
        speed={name: _millions(values) for name, values in data["speed"].items()},
        memories={lanes: memory_rows(rows) for lanes, rows in data["memories"].items()},
        accuracy={**accuracy, "float": floats},
        calibrators=fpga_accuracy.table(accuracy),
        images=fpga_accuracy.IMAGES,
        calibrated=f"{fpga_accuracy.CALIBRATED:,}",
        chosen_by=f"{fpga_accuracy.CHOSEN_BY:,}",
        most_drop=fpga_accuracy.MOST_DROP,
        circuit={"missing": "", **data["circuit"]},
        fmax=fpga_circuit.FMAX,
        share=fpga_circuit.SHARE,
        published=published_rows(data["arrays"], data["circuit"]),
    )
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "fpga.md").write_text(text, encoding="utf-8")
    kept = {**facts, "results": {**data, "missed": list(missed)}}
    (RESULTS / "fpga.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(text)


def _millions(values: Mapping[str, float]) -> str:
    return span({name: value / 1e6 for name, value in values.items()})


def array_rows(arrays: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """One row per network and array; goals are for 16 x 16."""
    return [_array_row(name, lanes, found) for name, sizes in arrays.items() for lanes, found in sizes.items()]


def _array_row(name: str, lanes: str, found: Mapping[str, Any]) -> list[str]:
    layer, error = worst(found["layers"])
    aim = f"{NETWORKS[name].goal:,.0f}" if lanes == "16" else "–"
    cycles = f"{found['cycles']:,}"
    return [
        name, f"{lanes} × {lanes}", f"**{cycles}**" if lanes == "16" else cycles, aim,
        f"{100 * found['utilization']:.1f} %", f"{found['bytes']:,}",
        f"{found['predicted']:,}", f"{100 * error:+.1f} % (`{layer}`)",
    ]  # fmt: skip


def host_parts(arrays: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Operators that stay on the host, by network and array."""
    return [
        f"{name} on {lanes} × {lanes}: {', '.join(found['on_host'])}"
        for name, sizes in arrays.items()
        for lanes, found in sizes.items()
        if found["on_host"]
    ]


def memory_rows(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """One row per memory."""
    usual = next(row["cycles"] for row in rows if (row["port"], row["latency"], row["stalls"]) == (PORT, LATENCY, 0))
    return [
        [row["words"], f"{row['cycles']:,}", f"{row['cycles'] / usual:.3f}", f"{100 * row['utilization']:.1f} %"]
        for row in rows
    ]


def published_rows(arrays: Mapping[str, Mapping[str, Any]], circuit: Mapping[str, Any]) -> list[list[str]]:
    """Ours for every network, then what others published of it; other networks last."""
    rows: list[list[str]] = []
    for name in arrays:
        rows += [_our_row(name, 8, arrays[name]["8"], circuit), _our_row(name, 16, arrays[name]["16"], circuit)]
        rows += [_their_row(each) for each in PUBLISHED if each.network == name]
    return rows + [_their_row(each) for each in PUBLISHED if each.network not in MACS]


def _our_row(name: str, lanes: int, found: Mapping[str, Any], circuit: Mapping[str, Any]) -> list[str]:
    blocks, how = fpga_circuit.multipliers(lanes, dict(circuit))
    clock = circuit.get("fmax") if lanes == 8 else NOMINAL
    ratio = per_multiplier(found["macs"], found["cycles"], blocks)
    kind = {8: "placed and routed" if clock else "not synthesized", 16: "nominal"}[lanes]
    return [
        f"**this one, {lanes} × {lanes}**", name, "ECP5-85, simulated" if lanes == 8 else "simulated",
        f"{clock / 1e6:.1f} MHz ({kind})" if clock else "–",
        f"{1e3 * found['cycles'] / clock:.3f} ms" if clock else "–",
        f"{found['cycles']:,}", f"{blocks} ({how})", f"**{ratio:.2f}**",
    ]  # fmt: skip


def _their_row(each: Published) -> list[str]:
    macs = MACS.get(each.network)
    ratio = per_multiplier(macs, each.cycles, each.multipliers) if macs else None
    return [
        each.design, each.network, each.board,
        f"{each.clock / 1e6:g} MHz" if each.clock else "–",
        f"{1e3 * each.seconds:.3f} ms",
        f"{each.cycles:,.0f}" if each.cycles else "–",
        str(each.multipliers or "–"),
        f"{ratio:.2f}" if ratio else "–",
    ]  # fmt: skip
