"""A copy of the checkout in which documented commands are run, so that they leave nothing in the real one."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.docs.markdown import Block, commands
from tools.docs.pages import ROOT

#: What commands may read: copied where they are small, linked otherwise.
_COPIED = ("examples", "Makefile", "pyproject.toml")
_LINKED = ("README.md", "docs", "tools", "tests", "benchmarks")
#: ``make demo`` without the installation: the stamp that the Makefile waits for is taken as up to date.
_MAKE = "make -o .venv/.edgewright-setup"
#: Targets that are only looked up (``make -n``): they install, run for minutes, or are these tests themselves.
_LOOKED_UP = ("setup", "test", "lint", "format", "bench", "clean", "docs")
TIMEOUT = 900


@dataclasses.dataclass(frozen=True)
class Done:
    """What a command did: exit status and everything that it printed."""

    status: int
    output: str


class Checkout:
    """Runs documented commands below ``folder`` with a cache of its own."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self._cache = cache
        if not folder.exists():
            self._fill()

    def _fill(self) -> None:
        self.folder.mkdir(parents=True)
        for name in _COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
            copy(ROOT / name, self.folder / name)
        for name in _LINKED:
            (self.folder / name).symlink_to(ROOT / name)
        (self.folder / ".venv").symlink_to(sys.prefix)

    def demo(self) -> Done:
        """``make demo`` without the installation; done once, whoever asks first."""
        log = self.folder / "demo.log"
        if not log.is_file():
            done = self.shell("make demo")
            log.write_text(f"{done.status}\n{done.output}", encoding="utf-8")
        status, _, output = log.read_text(encoding="utf-8").partition("\n")
        return Done(int(status), output)

    def run(self, block: Block) -> Done:
        """The commands of a ``console`` block in order, up to the first that fails; or a ``python`` block."""
        if block.language == "python":
            return self._start([sys.executable, "-c", block.text])
        texts = [command.text for command in commands(block)]
        if texts == ["make demo"]:
            return self.demo()
        return self.shell("\n".join(texts))

    def shell(self, script: str) -> Done:
        """A shell script, in the folder."""
        lines = [_make(line) for line in script.splitlines()]
        return self._start(["bash", "-e", "-o", "pipefail", "-c", "\n".join(lines)])

    def write(self, block: Block) -> None:
        """The file that a block with the note ``file`` shows."""
        path = self.folder / block.notes["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")

    def _start(self, argv: list[str]) -> Done:
        folders = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
        environment = {**os.environ, "PATH": os.pathsep.join(folders), "EDGEWRIGHT_CACHE": str(self._cache)}
        environment |= {"COLUMNS": "200", "NO_COLOR": "1"}
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
        return Done(done.returncode, done.stdout)


def _make(line: str) -> str:
    words = line.split()
    if words[:1] != ["make"]:
        return line
    if any(word in _LOOKED_UP for word in words[1:]):
        return line.replace("make", "make -n", 1)
    return line.replace("make", _MAKE, 1)
