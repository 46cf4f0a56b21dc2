"""``edgewright fleet agent``."""

from __future__ import annotations

import argparse
from pathlib import Path

from toolchain.cli.output import print_line


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("--out", type=Path, default=Path("agent.pyz"), metavar="FILE", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Write the agent, and say how it gets to devices."""
    from toolchain.fleet.agent.zipapp import agent_zipapp
    from toolchain.fleet.ansible.playbook import COLLECTIONS

    print_line(f"{agent_zipapp(args.out)}: runs with Python 3.10 and the packages of the extra 'agent'")
    print_line(f"Ansible finds the collection edgewright.fleet with ANSIBLE_COLLECTIONS_PATH={COLLECTIONS}")
    return 0
