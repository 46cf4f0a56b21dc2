"""Whether a code block of a page is true: commands run, snippets run, project fragments are accepted."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.device import device_from_dict
from profiles.errors import EdgewrightError
from toolchain.cli.parser import parse
from toolchain.project import project_from_dict
from tools.docs.checkout import Checkout
from tools.docs.markdown import Block, commands

#: What a fragment of a project file is put into before it is checked.
_REST: Mapping[str, Any] = {"model": {"source": "zoo:resnet8"}, "data": {"source": "digits"}}
#: Words that a reason for not running a block must at least have.
_REASON = 3


def problem(block: Block, checkout: Checkout) -> str:
    """What is wrong with a block, or nothing. Blocks of the languages ``text`` and ``json`` are not judged."""
    if "file" in block.notes:
        checkout.write(block)
    if block.language == "toml" and "wrong" not in block.notes:
        return agent_problem(block.text) if "agent" in block.notes else toml_problem(block.text)
    if block.language not in ("console", "python") or "file" in block.notes:
        return ""
    if "not run" in block.notes:
        return not_run_problem(block)
    return run_problem(block, checkout)


def agent_problem(text: str) -> str:
    """What a device's agent says of a configuration."""
    from toolchain.fleet.agent.config import read_config

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "agent.toml"
        path.write_text(text, encoding="utf-8")
        try:
            read_config(path)
        except EdgewrightError as error:
            return f"is refused: {error}"
    return ""


def absent_programs(block: Block) -> list[str]:
    """Programs that a block asks for with ``<!-- needs: NAME NAME -->`` and that are not installed; none in CI."""
    if os.environ.get("CI"):
        return []
    return [name for name in block.notes.get("needs", "").split() if shutil.which(name) is None]


def run_problem(block: Block, checkout: Checkout) -> str:
    """Run a block; compare its exit status and the output that the page shows."""
    done = checkout.run(block)
    wanted = int(block.notes.get("exit", "0"))
    if done.status != wanted:
        return f"ended with {done.status} instead of {wanted}:\n{done.output[-3000:]}"
    shown = [line for command in commands(block) for line in command.output]
    missing = [line for line in shown if not _contains(done.output, line)]
    return f"did not print {missing[0]!r}, but:\n{done.output[-3000:]}" if missing else ""


def _contains(output: str, line: str) -> bool:
    """Whether some line has the parts between ellipses in this order; runs of white space are alike."""
    parts = [" ".join(part.split()) for part in line.split("…")]
    return any(_in_order(" ".join(each.split()), parts) for each in output.splitlines())


def _in_order(text: str, parts: list[str]) -> bool:
    at = 0
    for part in parts:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def not_run_problem(block: Block) -> str:
    """A block that is not run gives its reason, and is at least spelled as shell, Python and our parser want it."""
    if len(block.notes["not run"].split()) < _REASON:
        return "is not run, and does not say why"
    if block.language == "python":
        compile(block.text, "block", "exec")
        return ""
    script = "\n".join(command.text for command in commands(block))
    checked = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True, check=False)
    if checked.returncode:
        return f"is no shell: {checked.stderr}"
    return next(filter(None, (_arguments_problem(command.text) for command in commands(block))), "")


def _arguments_problem(command: str) -> str:
    """Whether ``edgewright`` takes these arguments."""
    words = shlex.split(command, comments=True)
    if words[:1] != ["edgewright"]:
        return ""
    try:
        parse(words[1:])
    except EdgewrightError as error:
        return f"{command!r} is refused: {error}"
    return ""


def toml_problem(text: str) -> str:
    """Whether a device profile, a project file or a part of one is accepted."""
    try:
        data = tomllib.loads(text)
        if "targets" in data:
            device_from_dict(data, where="the page")
        else:
            project_from_dict({**_REST, **data}, where="the page")
    except (tomllib.TOMLDecodeError, EdgewrightError) as error:
        return str(error)
    return ""
