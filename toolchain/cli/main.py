"""Entry point: parse, dispatch, and turn errors into words and exit codes."""

from __future__ import annotations

import argparse
import errno
import importlib
import sys
from collections.abc import Sequence

from profiles.errors import ConfigError, EdgewrightError, OutputError
from toolchain import __version__
from toolchain.cli.exit_codes import INTERRUPTED, MEANINGS, OUR_FAULT, exit_code

#: Command to one line of help; the module ``toolchain.cli.commands.NAME`` has ``arguments`` and ``run``.
COMMANDS = {
    "build": "build, verify and measure a bundle for every device",
    "profile": "measure a bundle here or on another machine",
    "support": "say what a target does with every operator of a model, before anything is built",
    "diff": "show, layer by layer, how far a quantized bundle is from the float model",
    "compare": "show bundles side by side",
    "report": "write report.html for a folder of bundles",
    "devices": "list the device profiles",
    "targets": "list the backends and what they can do",
    "doctor": "say what is installed, what is missing, and how to install it",
    "init": "write a starter project",
    "cache": "show or clear the cache of pipeline steps",
}


class Parser(argparse.ArgumentParser):
    """Argparse whose refusals are our errors, with the nearest known word."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Wrong usage."""
        raise ConfigError(f"{self.prog}: {message}", next_step=f"run: {self.prog} --help")


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser; only the options of ``command`` are loaded, because the others are not needed."""
    codes = "\n".join(f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items())
    top = Parser(
        prog="edgewright",
        description="From a trained model and one edge.toml to measured, verified bundles for every device.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"edgewright {__version__}")
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for name, text in COMMANDS.items():
        child = subparsers.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == command:
            importlib.import_module(f"toolchain.cli.commands.{name}").arguments(child)
        child.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        args = parser(next((word for word in words if word in COMMANDS), None)).parse_args(words)
        status: int = importlib.import_module(f"toolchain.cli.commands.{args.command}").run(args)
        return status
    except EdgewrightError as error:
        return _report(error, debug)
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        return _report(_from_os(error), debug, error)
    except Exception as error:
        if debug:
            raise
        _say(f"our fault: {type(error).__name__}: {error}\n  next:    run again with --debug and report what it prints")
        return OUR_FAULT


def _report(error: EdgewrightError, debug: bool, cause: BaseException | None = None) -> int:
    if debug:
        import traceback

        traceback.print_exception(cause or error)
    _say(str(error))
    return exit_code(error)


def _from_os(error: OSError) -> EdgewrightError:
    where = f" {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG):
        return OutputError(f"cannot write{where}", seen=error.strerror or "", next_step="free some space, or use --out")
    return ConfigError(f"cannot use{where}", seen=error.strerror or str(error), next_step="check the path")


def _say(text: str) -> None:
    print(f"edgewright: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
