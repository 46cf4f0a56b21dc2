"""``edgewright methods``."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from toolchain.cli.output import print_json, print_line, print_table
from toolchain.compress.catalogue import FAMILIES, all_methods
from toolchain.compress.catalogue.method import EVERYWHERE, NOWHERE, SPARSE_TENSOR_CORES, STORED

if TYPE_CHECKING:
    from toolchain.compress.catalogue import Method

#: Savings of methods that leave the model's size as it is.
NOTHING = "nothing by itself: it wins accuracy"
#: Places in few words.
SHORT = {
    EVERYWHERE: "every target",
    STORED: "storage that packs zeros",
    NOWHERE: "no target",
    SPARSE_TENSOR_CORES: "TensorRT, 2:4 only",
}
#: How a recipe, or the model section, names a method of a step.
WRITTEN = {
    "prune": '{{ prune = {{ method = "{}" }} }}',
    "sparsify": '{{ sparsify = {{ method = "{}" }} }}',
    "lowrank": '{{ lowrank = {{ method = "{}" }} }}',
    "distill": '{{ distill = {{ loss = "{}" }} }}',
    "start": 'source = "{0}", or {{ distill = {{ student = "{0}" }} }}',
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    steps = list(dict.fromkeys(method.step for method in all_methods()))
    parser.add_argument("name", metavar="NAME", nargs="?", help="one method in full")
    parser.add_argument("--step", choices=steps, help="only what this step of a recipe may name")
    parser.add_argument("--family", choices=FAMILIES, help="only this family")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """List the compression methods, or explain one."""
    methods = _chosen(args)
    if args.json:
        print_json([method.as_dict() for method in methods])
    elif args.name:
        for method in methods:
            _explain(method)
    else:
        _list(methods)
    return 0


def _chosen(args: argparse.Namespace) -> list[Method]:
    """The methods that were asked for.

    Raises:
        ConfigError: there is none; the nearest name is given.
    """
    from profiles.errors import ConfigError
    from profiles.suggest import did_you_mean
    from toolchain.compress.catalogue import family_methods

    families = (args.family,) if args.family else FAMILIES
    known = [m for family in families for m in family_methods(family) if args.step in (None, m.step)]
    found = [method for method in known if args.name in (None, method.name)]
    if not found:
        names = [method.name for method in known]
        raise ConfigError(
            "no such compression method",
            seen=repr(args.name) if args.name else f"--step {args.step} --family {args.family}",
            allowed=", ".join(names),
            next_step=did_you_mean(args.name or "", names) or "run: edgewright methods",
        )
    return found


def _list(methods: Sequence[Method]) -> None:
    """A table for every family, the networks with their sizes."""
    for (family, step), group in itertools.groupby(methods, key=lambda method: (method.family, method.step)):
        columns, rows = (_networks if step == "start" else _steps)(list(group))
        print_table(columns, rows, title=f"{family} (step: {step})", right=["parameters", "MACs"])
    print_line("One in full: edgewright methods NAME")


def _steps(methods: Sequence[Method]) -> tuple[list[str], list[list[str]]]:
    columns = ["method", "what it does", "paper", "saves", "needs", "by"]
    return columns, [
        [
            m.name,
            sentence(m.title),
            short_paper(m),
            savings(m, SHORT),
            ", ".join(m.needs) or "nothing",
            m.library or "Edgewright",
        ]
        for m in methods
    ]


def _networks(methods: Sequence[Method]) -> tuple[list[str], list[list[str]]]:
    columns = ["network", "what it is", "paper", "source", "parameters", "MACs", "at", "by"]
    rows = []
    for method in methods:
        m = method.as_dict()
        size = "x".join(map(str, m["input_shape"][2:]))
        sizes = [f"{m['params'] / 1e6:.2f} M", f"{m['macs'] / 1e6:.1f} M", size]
        rows.append([method.name, sentence(method.title), short_paper(method), m["source"], *sizes, m["library"]])
    return columns, rows


def sentence(text: str) -> str:
    """With a capital letter in front, but for the symbol in ``k x 1``."""
    return text if text[1:2] == " " else text[:1].upper() + text[1:]


def short_paper(method: Method) -> str:
    """Authors and year of the first paper."""
    found = re.match(r".*?\d{4}", method.paper)
    return found[0] if found else method.paper


def savings(method: Method, places: Mapping[str, str] = MappingProxyType({})) -> str:
    """What is saved and where; ``places`` has shorter words for some places."""
    told = [
        f"{', '.join(saving.what for saving in group)}: {places.get(where, where)}"
        for where, group in itertools.groupby(method.saves, key=lambda saving: saving.where)
    ]
    return "; ".join(told) or NOTHING


def written(method: Method) -> str:
    """How a project names it."""
    return WRITTEN[method.step].format(method.as_dict().get("source", method.name))


def _explain(method: Method) -> None:
    """Everything that the catalogue knows of one method, a line each."""
    print_line(f"{method.name}: {sentence(method.title)}")
    said = {
        "family": method.family,
        "write": written(method),
        "paper": method.paper,
        "saves": savings(method),
        "needs": ", ".join(method.needs) or "nothing",
        "for": f"{', '.join(method.tasks)} tasks" if method.tasks != ("any",) else "any task",
        "limits": method.limits,
        "by": method.library or "Edgewright",
        "code": method.implementation,
    }
    for title, text in said.items():
        print_line(f"  {title + ':':<8} {text}")
