"""The command line: commands, options, and refusals that name the nearest known word."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import Any, NoReturn

from profiles.errors import ConfigError
from profiles.suggest import did_you_mean
from toolchain import __version__
from toolchain.cli.exit_codes import MEANINGS

#: Command to one line of help; the module ``toolchain.cli.commands.NAME`` has ``arguments`` and ``run``.
COMMANDS = {
    "build": "build, verify and measure a bundle for every device",
    "compress": "carry out a project's compression steps, and show what each did",
    "sensitivity": "show how accuracy falls when single layers are pruned or factorised",
    "profile": "measure a bundle here or on another machine",
    "support": "say what a target does with every operator of a model, before anything is built",
    "diff": "show, layer by layer, how far a quantized bundle is from the float model",
    "compare": "show bundles side by side",
    "report": "write report.html for a folder of bundles",
    "runtime": "write the program that builds, checks and measures bundles on a device",
    "rtl": "synthesize, place and route the accelerator of an FPGA, and keep what came of it",
    "fleet": "publish bundles as signed releases, and roll them out to devices",
    "devices": "list the device profiles",
    "targets": "list the backends and what they can do",
    "methods": "list the compression methods: what each saves and where, its paper, what it needs",
    "doctor": "say what is installed, what is missing, and how to install it",
    "init": "write a starter project",
    "cache": "show or clear the cache of pipeline steps",
}


class Parser(argparse.ArgumentParser):
    """Argparse whose refusals are our errors, with the nearest known word. Options are not abbreviated."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def error(self, message: str) -> NoReturn:
        """Wrong usage.

        Raises:
            ConfigError: always.
        """
        words = self.prog.removeprefix("edgewright").strip()
        raise ConfigError(f"{words}: {message}" if words else message, next_step=f"run: {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        known = [str(choice) for choice in action.choices or ()]
        if action.choices is None or value in action.choices:
            return
        raise ConfigError(
            f"wanted {_title(action)}",
            seen=repr(value),
            allowed=", ".join(known),
            next_step=did_you_mean(str(value), known) or f"run: {self.prog} --help",
        )


def _title(action: argparse.Action) -> str:
    if action.option_strings:
        return f"a value for {'/'.join(action.option_strings)}"
    return f"one of the {'commands' if action.dest == 'command' else f'{action.dest}s'}"


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line as data.

    Raises:
        ConfigError: an unknown command or option, or a value that cannot be.
    """
    command = next((word for word in words if word in COMMANDS), None)
    top, child = parsers(command)
    found, unknown = top.parse_known_args(words)
    if unknown:
        raise _unknown(unknown, _innermost(child or top, words))
    if not found.command:
        raise ConfigError(
            "wanted a command", seen="none", allowed=", ".join(COMMANDS), next_step="run: edgewright --help"
        )
    return found


def _innermost(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the command within a command that the words name, as far down as they do."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and action.dest != "command":
            name = next((word for word in words if word in action.choices), None)
            return parser if name is None else _innermost(action.choices[name], words)
    return parser


def _unknown(words: Sequence[str], parser: argparse.ArgumentParser) -> ConfigError:
    """The error for words that no option or argument takes."""
    options = [word.partition("=")[0] for word in words if word.startswith("-")]
    known = sorted(option for option in parser._option_string_actions if option.startswith("--"))
    command = parser.prog.removeprefix("edgewright").strip() or "the command line"
    if not options:
        return ConfigError(
            f"{command} takes fewer arguments", seen=" ".join(words), next_step=f"run: {parser.prog} --help"
        )
    return ConfigError(
        f"{command} has no option '{options[0]}'",
        seen=" ".join(words),
        allowed=", ".join(known),
        next_step=did_you_mean(options[0], known) or f"run: {parser.prog} --help",
    )


def parser(command: str | None = None) -> Parser:
    """The whole parser, with the options of ``command``."""
    return parsers(command)[0]


def parsers(command: str | None = None) -> tuple[Parser, Parser | None]:
    """The parser, and that of ``command``; the options of the others are not loaded, because nobody needs them."""
    codes = "\n".join(f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items())
    top = Parser(
        prog="edgewright",
        description="From a trained model and one edge.toml to measured, verified bundles for every device.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"edgewright {__version__}")
    _add_debug(top)
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    chosen = None
    for name, text in COMMANDS.items():
        child = subparsers.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == command:
            importlib.import_module(f"toolchain.cli.commands.{name}").arguments(child)
            chosen = child
        _add_debug(child)
    return top, chosen


def _add_debug(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
