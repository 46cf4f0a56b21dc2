"""The page of the GPU benchmark, made from its results alone."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.gpu_results import CAPABILITIES, PRECISIONS, Compared, Planned, Results, Timed
from profiles.units import format_quantity

TITLE = "GPUs: what was measured, and what the compiler plans"
#: Figures of a measured row: metric and column.
FIGURES = (
    ("latency_events_p50", "events"), ("latency_p50", "host clock"), ("latency_graph_p50", "CUDA graph"),
    ("latency_transfers_p50", "with copies"), ("latency_compiled_p50", "torch.compile"), ("throughput", "throughput"),
    ("energy", "energy above idle"), ("gpu_memory", "GPU memory"),
)  # fmt: skip
CLOCKS = """\
**Events** are two time stamps that the GPU writes into its stream of work, before the first kernel and behind the last.
Between them lies the work, and whatever the GPU waits for the host to launch the next kernel. **The host's clock** runs
from the call until the waiting thread goes on: above the events it holds the way there and back. Where kernels are
shorter than their launches, both clocks show the host's pace, and the **CUDA graph**, which launches all kernels with
one call, shows what the GPU could do. **With copies** adds the way of inputs to the GPU and of outputs back.
"""
PLANS = """\
TensorRT-RTX writes the schedule of its kernels into the engine. *Kernels* are launches per inference. *Requantizing*
ones round to 8 bits in a launch of their own, because the convolution before them has written floats: int8 pays for
them, and fp16 does not. *Moved* is every kernel's inputs and outputs once, as if no cache kept anything. A plan is no
measurement: how fast an engine is, only its GPU can tell.
"""
GOLDEN = """\
Against the float model. *Simulated* figures come from ONNX Runtime, which runs the bundle's own graph operator by
operator in place of the engine. Sums of int8 products are exact in float32 up to 2^24, so that it differs from integer
hardware by the rounding of scales alone. Models without trained weights have random ones: their SQNR says how the
arithmetic rounds, and nothing of accuracy. How far outputs may be off is told
[with the bundles](../guide/bundles.md).
"""
_NO_GPU = """\
Engines were compiled, and their golden outputs checked with ONNX Runtime on the Q/DQ graph. No latency, no energy and
no memory in use is known from this machine: run `python -m benchmarks gpu` where there is a GPU.
"""


def page(results: Results, claim: str) -> str:
    """The whole page; its first table is the one that the README shows."""
    head = [f"# {TITLE}", claim, _first_table(results), _where(results)]
    parts = [*head, *_measured(results), *_energy(results), *_unlisted(results)]
    parts += [*_plans(results), *_golden(results), *_reasons(results)]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _where(results: Results) -> str:
    facts = results.conditions
    tools = ", ".join(f"{tool} {version}" for tool, version in facts["tools"].items() if version)
    gpu = results.gpu
    if gpu is None:
        first = f"- Measured on no GPU, because none was at hand; compiled on {facts['machine']}, {facts['date']}."
    else:
        driver = (
            f"driver {gpu['driver'] or 'unknown'}, CUDA {gpu['cuda']}, compute capability {gpu['compute_capability']}"
        )
        memory = format_quantity(float(gpu["memory"]), "B")
        first = f"- Measured on {gpu['name']} ({memory}, {driver}) with {facts['machine']}, {facts['date']}, batch 1."
    return "\n".join([first, f"- {tools}.", "- Command: `python -m benchmarks gpu` (or `make bench`)."])


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of the GitHub dialect."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _first_table(results: Results) -> str:
    return _summary_of_plans(results) if results.gpu is None else _summary_of_times(results)


def _summary_of_plans(results: Results) -> str:
    """One row per model: engines that were built, and the three formats for one compute capability."""
    shown = "8.9"
    columns = ["model", "engines compiled", f"kernels for SM {shown}: fp32 / fp16 / int8", "requantizing"]
    columns += ["moved per run: fp32 / fp16 / int8", "SQNR of int8"]
    rows = []
    for model in results.models():
        mine = [row for row in results.planned if row.model == model]
        made = [results.plan(model, precision, shown) for precision in PRECISIONS]
        int8 = results.plan(model, "int8", shown)
        golden = results.timing(model, "tensorrt", "int8")
        sqnr = golden.value("sqnr") if golden else None
        rows.append(
            [
                model,
                f"{sum(not row.why for row in mine)} of {len(mine)}",
                " / ".join(_kernels(row) for row in made),
                f"{int8.requantizing} of {int8.kernels}" if int8 and not int8.why else "–",
                " / ".join(_moved(row) for row in made),
                "–" if sqnr is None else f"{sqnr:.1f} dB",
            ]
        )
    return table(columns, rows)


def _kernels(row: Planned | None) -> str:
    return str(row.kernels) if row and not row.why and row.kernels else "–"


def _moved(row: Planned | None) -> str:
    return format_quantity(float(row.moved), "B") if row and not row.why and row.moved else "–"


def _summary_of_times(results: Results) -> str:
    """One row per model: GPU time of every engine and format."""
    keys = list(dict.fromkeys((row.engine, row.precision) for row in results.timed))
    columns = ["model, p50 by events", *(f"{engine} {precision}" for engine, precision in keys), "fastest"]
    rows = []
    for model in results.models():
        found = [results.timing(model, engine, precision) for engine, precision in keys]
        cells = [_cell(row, "latency_events_p50") for row in found]
        rows.append([model, *cells, _fastest([row for row in found if row])])
    return table(columns, rows)


def _fastest(rows: Sequence[Timed]) -> str:
    known = [(value, row) for row in rows if (value := row.value("latency_events_p50"))]
    if not known:
        return "–"
    best = min(known, key=lambda pair: pair[0])[1]
    return f"**{best.engine} {best.precision}**"


def _cell(row: Timed | None, name: str) -> str:
    metric = row.metrics.get(name) if row else None
    if metric is None or metric.value is None:
        return "–"
    return format_quantity(metric.value, metric.unit)


def _measured(results: Results) -> list[str]:
    """What a GPU told, or that there was none."""
    if results.gpu is None:
        why = f"Why: {results.no_gpu}." if results.no_gpu else ""
        return ["## No GPU was at hand: nothing was measured", _NO_GPU + why]
    shown = [(name, title) for name, title in FIGURES if any(row.value(name) is not None for row in results.timed)]
    rows = [
        [row.model, row.engine, row.precision, *(_cell(row, name) for name, _ in shown), _outside(row)]
        for row in results.timed
        if row.value("latency_p50") is not None
    ]
    columns = ["model", "engine", "format", *(title for _, title in shown), "host clock / events"]
    return ["## What was measured", table(columns, rows), "## Events and the host's clock", CLOCKS, _gaps(results)]


def _outside(row: Timed) -> str:
    """How many times longer the caller waits than the GPU works."""
    events, host = row.value("latency_events_p50"), row.value("latency_p50")
    return f"{host / events:.2f}" if events and host else "–"


def _gaps(results: Results) -> str:
    """The smallest and the largest distance between the two clocks, in words."""
    known = [
        (host - events, row)
        for row in results.timed
        if (events := row.value("latency_events_p50")) and (host := row.value("latency_p50"))
    ]
    if not known:
        return "No bundle has both figures."
    ends = [min(known, key=lambda pair: pair[0]), max(known, key=lambda pair: pair[0])]
    told = [f"{format_quantity(gap, 's')} ({row.model}, {row.engine} {row.precision})" for gap, row in ends]
    return f"Here the host's clock is above the events by {told[0]} to {told[1]}."


def _energy(results: Results) -> list[str]:
    """The counter against sampled power, over the same time."""
    if not results.compared:
        return []
    rows = [_two_instruments(row) for row in results.compared if not row.why]
    columns = ["model", "engine", "format", "counter", "sampled power", "difference", "left open by the window's ends"]
    columns += ["per inference, idle included", "within 5 %"]
    said = (
        "Both instruments of NVML watch the same ten seconds: the counter of joules, and the integral of sampled power."
    )
    reasons = [f"- {row.model}, {row.engine} {row.precision}: {row.why}" for row in results.compared if row.why]
    parts = ["## Energy by two instruments", said, table(columns, rows) if rows else ""]
    return [*parts, "Not compared:\n\n" + "\n".join(reasons) if reasons else ""]


def _two_instruments(row: Compared) -> list[str]:
    verdict = "too short to tell" if row.margin > 0.05 else "yes" if abs(row.deviation) <= 0.05 else "**no**"
    return [
        row.model,
        row.engine,
        row.precision,
        format_quantity(row.counted, "W"),
        format_quantity(row.integrated, "W"),
        f"{100 * row.deviation:+.1f} %",
        f"± {100 * row.margin:.1f} %",
        format_quantity(row.joules, "J"),
        verdict,
    ]


def _unlisted(results: Results) -> list[str]:
    """What happens on a GPU that TensorRT-RTX does not list."""
    if not results.unlisted:
        return []
    rows = [[attempt, outcome] for attempt, outcome in results.unlisted]
    return ["## A GPU that TensorRT-RTX does not list", table(["what was tried", "what happened"], rows)]


def _plans(results: Results) -> list[str]:
    """The whole matrix, model by model."""
    if not results.planned:
        return []
    columns = [
        "model",
        "format",
        "SM",
        "kernels",
        "requantizing",
        "moved",
        "activations",
        "engine",
        "compiled in",
    ]
    rows = [_plan_row(row) for row in results.planned if not row.why]
    said = f"For compute capabilities {', '.join(CAPABILITIES)}, without any of these GPUs."
    return ["## What the compiler planned", said, PLANS, table(columns, rows) if rows else ""]


def _plan_row(row: Planned) -> list[str]:
    return [
        row.model,
        row.precision,
        row.capability,
        str(row.kernels) if row.kernels else "–",
        str(row.requantizing) if row.kernels else "–",
        _moved(row),
        format_quantity(float(row.memory), "B") if row.memory else "–",
        format_quantity(float(row.engine), "B"),
        f"{row.seconds:.1f} s",
    ]


def _golden(results: Results) -> list[str]:
    """How far each bundle is from the float model, and how accurate it is where there is data."""
    rows = [
        [row.model, row.precision, _cell(row, "sqnr"), _plain(row, "parity_max_error"), _share(row), _kind(row)]
        for row in results.timed
        if row.engine == "tensorrt" and not row.why
    ]
    if not rows:
        return []
    columns = ["model", "format", "SQNR", "largest error", "accuracy", "kind"]
    return ["## Golden outputs", GOLDEN, table(columns, rows)]


def _plain(row: Timed, name: str) -> str:
    value = row.value(name)
    return "–" if value is None else f"{value:.3g}"


def _share(row: Timed) -> str:
    value = row.value("accuracy")
    return "–" if value is None else f"{100 * value:.2f} %"


def _kind(row: Timed) -> str:
    found = [metric.kind.value for name in ("sqnr", "parity_max_error") if (metric := row.metrics.get(name))]
    return next((kind for kind in found if kind != "unavailable"), "–")


def _reasons(results: Results) -> list[str]:
    """What there is no figure of, and why; each reason once."""
    found: dict[str, list[str]] = {}
    for timed in results.timed:
        if why := timed.why or (_not_timed(timed) if results.gpu else ""):
            found.setdefault(why, []).append(f"{timed.model} {timed.precision} with {timed.engine}")
    for planned in results.planned:
        if planned.why:
            found.setdefault(planned.why, []).append(f"{planned.model} {planned.precision} for SM {planned.capability}")
    if not found:
        return []
    rows = [[_listed(names), " ".join(why.split()).replace("<", "&lt;")] for why, names in found.items()]
    return ["## What there is no figure of", table(["what", "why"], rows)]


def _not_timed(row: Timed) -> str:
    """Why a bundle that was built has no latency."""
    metric = row.metrics.get("latency_p50")
    return metric.reason if metric else ""


def _listed(names: Sequence[str], most: int = 6) -> str:
    shown = list(names) if len(names) <= most else [*names[:most], f"{len(names) - most} more"]
    return "; ".join(shown)
