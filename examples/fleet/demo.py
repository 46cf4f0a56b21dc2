"""``make demo-fleet``: a fleet from its first key to a release that is stopped, in under three minutes.

Everything is real but the machines: nginx, OpenSSH, Ansible, the server, three agents with ONNX Runtime. With root, the
machines are network namespaces with cables between them; else all are on loopback. Nothing stays behind.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from examples.fleet import network
from examples.fleet.acts import Demo
from examples.fleet.processes import Processes
from examples.fleet.story import Story
from profiles.errors import EdgewrightError
from profiles.exit_codes import INTERRUPTED, exit_code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo, in namespaces where that is permitted; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="python -m examples.fleet.demo", description=__doc__)
    parser.add_argument("--loopback", action="store_true", help="no namespaces, even where they are permitted")
    parser.add_argument("--short", action="store_true", help="one good release and one bad one")
    parser.add_argument("--page", type=Path, metavar="FILE", help="keep the status page as it is at the end")
    args = parser.parse_args(words)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    if inside := os.environ.pop(network.INSIDE, ""):
        return run(args, Path(inside), "")
    reason = "you asked for it" if args.loopback else network.why_loopback()
    folder = Path(tempfile.mkdtemp(prefix="edgewright-demo-"))
    try:
        return run(args, folder, reason) if reason else network.enter(words, str(folder))
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        _removed(folder)


def _removed(folder: Path) -> None:
    """A process that was killed just now may end a last write, which brings back what was removed around it."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def _interrupted(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def run(args: argparse.Namespace, folder: Path, reason: str) -> int:
    """The whole demo in a folder; ``reason`` says why it is on loopback, empty for namespaces."""
    story = Story()
    for name in ("logs", "tmp"):
        (folder / name).mkdir()
    processes = Processes(folder / "logs")
    tempfile.tempdir = str(folder / "tmp")  # ours, and by the variable that of everything we start
    os.environ.update(
        TMPDIR=str(folder / "tmp"),
        EDGEWRIGHT_CACHE=str(folder / "cache"),
        EDGEWRIGHT_FLEET_PASSPHRASE=secrets.token_urlsafe(24),
    )
    try:
        return Demo(story, folder, processes, reason).play(short=args.short, page=args.page)
    except KeyboardInterrupt:
        story.say("interrupted: ending everything that was started", "yellow")
        return INTERRUPTED
    except EdgewrightError as error:
        story.say(str(error), "red")
        return exit_code(error)
    except (OSError, subprocess.SubprocessError) as error:
        story.say(f"the demo could not go on: {error}", "red")
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # nobody interrupts the tidying up
        processes.stop(f"TMPDIR={folder}/tmp")


if __name__ == "__main__":
    sys.exit(main())
