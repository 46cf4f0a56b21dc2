"""Read a project file, or a project given as data, into a validated :class:`Project`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from profiles.errors import ConfigError
from toolchain.project.document import Document, read_document
from toolchain.project.models import Project, ProjectFile
from toolchain.project.problems import config_error


def load_project(path: str | Path, *, overlay: Mapping[str, Any] | None = None) -> Project:
    """Load and validate an ``edge.toml``.

    Args:
        path: the file. Relative paths in it begin at its folder.
        overlay: what the command line sets, in the shape of the file: tables are merged key by key,
            everything else (such as the list of devices) is replaced. Make its paths absolute.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or says something that cannot be; with
            the key path and the line of the first problem, and the number of others.
    """
    file = Path(path).absolute()
    try:
        document = read_document(path).with_overlay(overlay or {})
        return _validated(document, path=file, folder=file.parent)
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply", allowed="a few levels of tables and lists") from error


def project_from_dict(
    data: Mapping[str, Any], *, folder: str | Path | None = None, where: str = "command line"
) -> Project:
    """Validate a project that has no file, such as a bare model and a device on the command line.

    Args:
        data: in the shape of the file: ``{"model": {"source": "net.onnx"}, "device": [{"profile": "local-cpu"}]}``.
        folder: what relative paths begin at; default: the working folder.
        where: what errors name instead of a file.

    Raises:
        ConfigError: as for :func:`load_project`, without lines.
    """
    return _validated(Document(where, data), path=None, folder=Path(folder or ".").absolute())


def _validated(document: Document, *, path: Path | None, folder: Path) -> Project:
    try:
        file = ProjectFile.model_validate(document.data, context={"folder": folder})
    except ValidationError as error:
        raise config_error(error, ProjectFile, document) from error
    return Project.from_file(file, path=path, folder=folder)
