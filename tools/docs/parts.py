"""The one list of generated parts: name to the function that makes its Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tools.docs import (
    adrs,
    command_line,
    devices,
    figures,
    methods,
    operators,
    placement,
    project_file,
    results,
    targets,
)

PARTS: Mapping[str, Callable[[], str]] = {
    "adrs": adrs.index,
    "budget-keys": figures.budget_keys,
    "command-line": command_line.reference,
    "commands": command_line.commands,
    "device-sources": devices.sources,
    "devices": devices.overview,
    "doctor": command_line.needs,
    "errors": command_line.errors_table,
    "exit-codes": command_line.exit_codes,
    "kinds": figures.kinds,
    "methods": methods.catalogue,
    "metrics": figures.metrics,
    "micro-operators": operators.overview,
    "placement-rules": placement.rules,
    "project-file": project_file.reference,
    "results": results.index,
    "result-tables": results.tables,
    "targets": targets.overview,
    "tolerances": targets.tolerances,
    "zoo": targets.zoo,
}
