"""The agent as one file: all of ours that it needs, in a zip that Python runs (PEP 441).

What it imports beside that must be installed on the device: what the extra ``agent`` names. Written by
``python -m toolchain.fleet.agent.zipapp OUT``; equal sources give equal bytes.
"""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from profiles.errors import ConfigError
from profiles.streams import tell
from targets.files import write_bytes
from targets.program import guarded

#: What travels, below the folder with our packages; a test runs the result far from it.
PARTS = (
    "profiles/*.py", "profiles/meters/*.py", "targets/__init__.py", "targets/program.py", "targets/files.py",
    "targets/execute.py", "targets/processes.py", "toolchain/__init__.py", "toolchain/fleet/__init__.py",
    "toolchain/fleet/documents/*.py", "toolchain/fleet/rollout/__init__.py", "toolchain/fleet/rollout/membership.py",
    "toolchain/fleet/agent/*.py", "toolchain/fleet/agent/*.service",
)  # fmt: skip
_HOME = Path(__file__).resolve().parents[3]
_SHEBANG = b"#!/usr/bin/env python3\n"
_MAIN = b"import sys\n\nfrom toolchain.fleet.agent.main import main\n\nsys.exit(main())\n"


def agent_zipapp(out: Path) -> Path:
    """Write the agent; gives ``out``.

    Raises:
        OutputError: it cannot be written.
    """
    members = {
        path.relative_to(_HOME).as_posix(): path.read_bytes() for part in PARTS for path in sorted(_HOME.glob(part))
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted({"__main__.py": _MAIN, **members}.items()):
            entry = zipfile.ZipInfo(name)  # dated 1980
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content)
    write_bytes(out, _SHEBANG + buffer.getvalue())
    out.chmod(0o755)
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """Write it where the one argument says."""
    words = list(sys.argv[1:] if argv is None else argv)

    def act() -> int:
        if len(words) != 1 or words[0].startswith("-"):
            raise ConfigError("wanted one argument: the file to write", seen=" ".join(words) or "none")
        tell(f"wrote {agent_zipapp(Path(words[0]))}")
        return 0

    return guarded("edgewright-agent-zipapp", act, debug=False)


if __name__ == "__main__":
    sys.exit(main())
