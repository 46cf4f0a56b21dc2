"""A project's compression recipe by itself: the compressed model, and what each step did."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError
from profiles.sampling import Settings
from targets.files import write_bytes, write_json
from toolchain.cache import open_cache
from toolchain.compress.rows import Row
from toolchain.progress import Progress
from toolchain.project.models import Project
from toolchain.steps.torch_source import TorchSource

ROWS, PAGE = "rows.json", "compression.html"


@dataclasses.dataclass(frozen=True)
class Options:
    """How to run a recipe, as opposed to what is in it.

    Attributes:
        out: folder for the model, the rows and the page.
        cache: False starts from nothing and keeps nothing.
        settings: how long to measure; None: not at all.
    """

    out: Path = Path("compressed")
    cache: bool = True
    settings: Settings | None = dataclasses.field(default_factory=Settings)


@dataclasses.dataclass(frozen=True)
class Compression:
    """What a recipe made: rows, and files by what they are (``program``, ``weights``, ``page``)."""

    name: str
    rows: tuple[Row, ...]
    files: dict[str, Path]

    def as_dict(self) -> dict[str, Any]:
        """The shape of ``rows.json``; files are beside it."""
        files = {what: path.name for what, path in self.files.items()}
        return {"schema": 1, "model": self.name, "files": files, "rows": [row.as_dict() for row in self.rows]}


def run_recipe(project: Project, options: Options, progress: Progress | None = None) -> Compression:
    """Carry out ``[compress]`` of a project, and write what came out.

    The folder gets the model as ``NAME.pt2`` (which ``model.source`` of another project may name) and its weights as
    ``NAME.safetensors``, ``rows.json``, and a page with pictures.

    Raises:
        ConfigError: the project has no steps.
        EdgewrightError: the first step that cannot be done; those before it are kept in the cache.
        OutputError: the folder cannot be written.
    """
    shown = progress or Progress(quiet=True)
    check_steps(project)
    with open_cache(reuse=options.cache, note=shown.note) as cache:
        source = TorchSource(project, cache, shown, options.settings)
        shown.planned = source.steps(("pt2",)) - source.judged
        return _written(source, source.rows(), options.out)


def check_steps(project: Project) -> None:
    """Refuse a project without a recipe.

    Raises:
        ConfigError: no steps.
    """
    if not project.compress.steps:
        raise ConfigError(
            "wanted compression steps",
            seen="no [compress] section with steps in the project",
            next_step="add for example: compress = [{ prune = { macs = 0.5, epochs = 5 } }]; see: edgewright methods",
        )


def _written(source: TorchSource, rows: tuple[Row, ...], out: Path) -> Compression:
    from toolchain.frontend.weights import save_weights
    from toolchain.report.simple import compression_page

    name = source.project.model.name
    files = {"program": out / f"{name}.pt2", "weights": out / f"{name}.safetensors", "page": out / PAGE}
    program = source.export(("pt2",)).pt2
    assert program is not None
    result = Compression(name, rows, files)
    write_bytes(files["program"], program.read_bytes())
    save_weights(source.recipe.final.module, files["weights"])
    write_bytes(files["page"], compression_page(name, rows).encode())
    write_json(out / ROWS, result.as_dict())
    return result
