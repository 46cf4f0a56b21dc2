"""Check figures against a budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from profiles.measurement import Metric
from toolchain.project.sections import Budget

#: Budget key to the metrics that answer it, the first available one first.
ANSWERS = {
    "accuracy_drop": ("accuracy_drop",),
    "latency": ("latency_p50",),
    "ram": ("ram", "arena", "peak_memory"),
    "flash": ("flash", "model_size"),
    "energy": ("energy",),
    "size": ("model_size",),
}


def check_budget(budget: Budget, metrics: Mapping[str, Metric]) -> list[dict[str, Any]]:
    """One row per limit: ``{"metric", "limit", "value", "met"}``; ``met`` is None where there is no figure."""
    rows = []
    for key, limit in budget.model_dump(exclude_none=True).items():
        name, metric = _answer(key, metrics)
        value = metric.value if metric else None
        rows.append({"metric": name, "limit": limit, "value": value, "met": None if value is None else value <= limit})
    return rows


def _answer(key: str, metrics: Mapping[str, Metric]) -> tuple[str, Metric | None]:
    for name in ANSWERS[key]:
        metric = metrics.get(name)
        if metric is not None and metric.available:
            return name, metric
    return ANSWERS[key][0], None
