"""The runtime that travels to a device: one zip file with the worker, the profiler and one runner.

``python runtime.pyz REQUEST`` does what ``python -m targets.worker REQUEST`` does here, and ``python runtime.pyz
COMMAND …`` is ``edgewright-runtime``, on a machine that has Python 3.10, numpy and the engine, and nothing of
Edgewright (zipapp: PEP 441). Writing it needs the standard library only.
"""

from __future__ import annotations

import ast
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from profiles.errors import ConfigError
from targets.files import write_bytes

#: What the modules in the runtime are written for.
MIN_PYTHON = (3, 10)

_HOME = Path(__file__).resolve().parents[1]
_PACKAGES = ("profiles", "targets")
_SHEBANG = b"#!/usr/bin/env python3\n"
#: A request is a JSON object; everything else is a command line.
_MAIN = b"""import sys

if sys.argv[1:] and sys.argv[1].startswith("{"):
    from targets.runtime_worker import main
else:
    from targets.runtime_main import main
sys.exit(main())
"""


def runtime_zipapp(target: str, out: Path) -> Path:
    """Write the runtime for one target; the same sources give the same bytes.

    Args:
        target: as in the registry, such as ``onnxruntime``.
        out: the file to write, usually named ``runtime.pyz``.

    Raises:
        ConfigError: the target has no runner.
        OutputError: ``out`` cannot be written.
    """
    members = {f"{path.relative_to(_HOME).as_posix()}": path.read_bytes() for path in runtime_modules(target).values()}
    write_bytes(out, _SHEBANG + _stored_zip({"__main__.py": _MAIN, **members}))
    return out


def runtime_modules(target: str) -> dict[str, Path]:
    """Module name to file: all of ``profiles``, worker and command line, the target's runner, and what these import.

    Imports are read from the sources, those inside functions included, so that nothing is forgotten.

    Raises:
        ConfigError: the target has no runner.
    """
    runner = f"targets.{target}.runner"
    if not re.fullmatch(r"[a-z0-9_]+", target) or _file_of(runner) is None:
        raise ConfigError(
            "wanted the runtime of a target",
            seen=f"'{target}' has no runner that could travel",
            next_step="run: edgewright targets",
        )
    ours = ["targets.worker", "targets.runtime_worker", "targets.runtime_main"]
    waiting = [*_all_modules("profiles"), *ours, runner, f"targets.{target}.on_device"]
    found: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if path is None or name in found:
            continue
        found[name] = path
        waiting += [name.rpartition(".")[0], *_imports(name, path)]
    return dict(sorted(found.items()))


def _all_modules(package: str) -> list[str]:
    files = [path.relative_to(_HOME).with_suffix("") for path in (_HOME / package).rglob("*.py")]
    return [".".join(path.parent.parts if path.name == "__init__" else path.parts) for path in files]


def _file_of(module: str) -> Path | None:
    """The source of one of our modules; None for anything else (an attribute, a vendor's package)."""
    if module.partition(".")[0] not in _PACKAGES:
        return None
    base = _HOME.joinpath(*module.split("."))
    candidates = (base / "__init__.py", base.with_name(f"{base.name}.py"))
    return next((path for path in candidates if path.is_file()), None)


def _imports(module: str, path: Path) -> Iterator[str]:
    """Everything that the source may mean by its import statements; ``from a import b`` gives ``a`` and ``a.b``."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """The module of a ``from … import``, with leading dots resolved."""
    if not node.level:
        return node.module or ""
    parents = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parents, *([node.module] if node.module else [])])


def _stored_zip(members: dict[str, bytes]) -> bytes:
    """Sorted, uncompressed and dated 1980, so that neither clock nor zlib version shows in the bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(members.items()):
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()
