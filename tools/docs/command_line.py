"""What follows from the command line's own definition: commands, options, exit codes, needs."""

from __future__ import annotations

import argparse

from profiles import errors
from toolchain.cli.exit_codes import _CODES, MEANINGS
from toolchain.cli.parser import COMMANDS, parser
from toolchain.doctor import NEEDS
from tools.docs.markdown import code, table


def exit_codes() -> str:
    """One row per exit code."""
    return table(["code", "meaning"], [[str(number), meaning] for number, meaning in MEANINGS.items()])


def errors_table() -> str:
    """Error class to exit code."""
    kinds = sorted(_CODES.items(), key=lambda pair: (pair[1], pair[0].__name__))
    rows = [[f"`{kind.__name__}`", str(number), _first_line(kind)] for kind, number in kinds]
    return table(["class", "exit code", "raised for"], rows)


def _first_line(kind: type[errors.EdgewrightError]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0].replace("``", "`")


def commands() -> str:
    """One row per command."""
    return table(["command", "what it does"], [[f"`edgewright {name}`", text] for name, text in COMMANDS.items()])


def reference() -> str:
    """A heading and a table of options for every command, and for every command within one."""
    return "\n\n".join(_section(f"edgewright {name}", subparser(name), 2) for name in COMMANDS)


def _section(words: str, child: argparse.ArgumentParser, level: int) -> str:
    inner = [action for action in child._actions if isinstance(action, argparse._SubParsersAction)]
    hidden = ("--help", argparse.SUPPRESS)
    told = [each for each in child._actions if not {*each.option_strings, each.help} & set(hidden)]
    rows = [[f"`{_spelled(action)}`", _help(action)] for action in told]
    parts = [f"{'#' * level} `{words}`", f"{child.description}", table(["argument", "meaning"], rows)]
    below = [_section(f"{words} {name}", each, level + 1) for one in inner for name, each in one.choices.items()]
    return "\n\n".join([*parts, *below] if rows else [*parts[:2], *below])


def subparser(name: str) -> argparse.ArgumentParser:
    """The parser of one command, with all its options."""
    actions = parser(name)._actions
    choices = next(action.choices for action in actions if isinstance(action, argparse._SubParsersAction))
    found: argparse.ArgumentParser = dict(choices or {})[name]
    return found


def _spelled(action: argparse.Action) -> str:
    """``--device NAME``, ``BUNDLE …`` or ``[show|clear]``."""
    value = _value(action)
    if action.option_strings:
        return ", ".join(f"{flag} {value}".strip() for flag in action.option_strings)
    value = f"{value} …" if action.nargs in ("+", "*") else value
    return f"[{value}]" if action.nargs in ("?", "*") else value


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.metavar is not None:
        return " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar
    return "|".join(map(str, action.choices)) if action.choices else action.dest.upper()


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")


def needs() -> str:
    """What ``edgewright doctor`` looks for."""
    return table(["what", "for", "installed by"], [[code([n.name]), n.purpose, code([n.command])] for n in NEEDS])
