"""The section ``[compress]`` of a project, carried out: every step from the cache where it has been done before."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError
from toolchain.cache import source_digest, step_key
from toolchain.compress.clock import Clock
from toolchain.compress.context import Context
from toolchain.compress.keep import NotKeptError, load_model, load_row, save_stage
from toolchain.compress.naming import named
from toolchain.compress.recipe import Recipe
from toolchain.compress.rows import Row
from toolchain.compress.stages import CODE, NOT_KEPT, Make, Stage
from toolchain.frontend.specs import ModelSpec, TrainSpec
from toolchain.project.recipe import Distill
from toolchain.steps.compress_rounding import rounding
from toolchain.steps.torch_exports import TorchExports
from toolchain.steps.torch_inputs import user_code
from toolchain.steps.torch_model import TorchModel
from toolchain.steps.torch_stage import Staged

_NAME = "compress"
#: Sections of [compress] that take the place of those of [train].
_TRAINING = ("batch", "momentum", "weight_decay", "precision", "threads", "augment")


@dataclasses.dataclass(frozen=True)
class Compressed:
    """What a recipe made: the final model, and a row per step, the start among them."""

    final: Staged
    rows: tuple[Row, ...] = ()


def compressed(model: TorchModel, open_clock: Callable[[], Clock | None]) -> Compressed:
    """Run the project's recipe.

    Args:
        model: before compression.
        open_clock: gives who measures, or None; asked only where there are steps.

    Raises:
        EdgewrightError: the first step that cannot be done; those before it are kept.
    """
    section = model.project.compress
    if not section.steps:
        return Compressed(Staged(model))
    check_torch_device(section.torch_device)
    check_others(model)
    clock = open_clock()
    if clock is None:  # nobody else will say so before the end
        exports = TorchExports(Staged(model))
        _ = model.module  # trained before the check, so that the training is a step of its own
        with model.progress.step("check that the model can be exported", numbered=False):
            exports.files(("pt2",))
    recipe = Recipe(
        start=lambda: model.module,
        steps=tuple(step.options for step in section.steps),
        context=lambda: make_context(model),
        store=CacheStore(model),
        clock=clock,
        progress=model.progress,
        rounding=lambda device: rounding(model.project, device),
    )
    stages, rows = recipe.run()
    return Compressed(Staged(model, stages[-1] if len(stages) > 1 else None), rows)


def check_torch_device(name: str) -> None:
    """Refuse a device that this machine's torch has not.

    Raises:
        ConfigError: no GPU that torch can use.
    """
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            'compress.torch_device = "cuda" needs a GPU that PyTorch can use',
            seen=f"PyTorch {torch.__version__} sees none",
            allowed='"cpu" on this machine',
            next_step="leave the key out, or install a PyTorch with CUDA",
        )


def check_others(model: TorchModel) -> None:
    """Refuse students and teachers that are not there, before anything is trained.

    Raises:
        ConfigError: an unknown network of the zoo, or a file that is missing.
    """
    from toolchain.frontend.source import default_input

    steps = [step.options for step in model.project.compress.steps]
    for number, options in ((n, each) for n, each in enumerate(steps, 1) if isinstance(each, Distill)):
        with named(number, options):
            for source in options.sources:
                default_input(source)
            files = [*options.files, *(Path(text) for text in options.sources if text.endswith(".pt2"))]
            for path in (model.project.folder / file for file in files):
                if not path.is_file():
                    raise ConfigError(
                        "wanted a teacher's or a student's file",
                        seen=f"{path}: {'a folder' if path.is_dir() else 'no such file'}",
                        next_step="correct the path; relative ones begin at the folder of the project file",
                    )


def make_context(model: TorchModel) -> Context:
    """What the steps of a project may use; loads the data."""
    project = model.project
    return Context(
        inputs=model.sample,
        data=model.data.splits if model.data else None,
        task=project.model.task,
        seed=seed_of(model),
        training=training_of(model),
        device=project.compress.torch_device,
        root=project.folder,
        classes=model.spec.classes,
        input=model.spec.input,
    )


def seed_of(model: TorchModel) -> int:
    """Of everything that a recipe draws."""
    section, train = model.project.compress, model.project.train
    return section.seed if section.seed is not None else train.seed if train else 0


def training_of(model: TorchModel) -> TrainSpec:
    """How steps train: what ``[compress]`` says, else ``[train]``, else the defaults."""
    section, train = model.project.compress, model.project.train
    found: dict[str, Any] = {"seed": seed_of(model)}
    if train is not None:
        found |= {name: getattr(train, name) for name in (*_TRAINING, "label_smoothing")}
    found |= {name: value for name in _TRAINING if (value := getattr(section, name)) is not None}
    return TrainSpec(**found)


def _others(model: TorchModel) -> list[Any]:
    """The user's code of students and teachers."""
    steps = [step.options for step in model.project.compress.steps]
    sources = [source for options in steps if isinstance(options, Distill) for source in options.sources]
    specs = [ModelSpec(source, root=model.project.folder) for source in sources if not source.startswith("zoo:")]
    return [user_code(spec) for spec in specs if not spec.source.endswith(".pt2")]


class CacheStore:
    """Keeps stages in the cache of pipeline steps; checkpoints of a step that was interrupted lie beside it."""

    def __init__(self, model: TorchModel) -> None:
        self._model = model
        self._base = {
            "start": model.key(model.spec),
            "data": model.data.key() if model.data else None,
            "sample": model.sample,
            "task": model.project.model.task,
            "training": training_of(model),
            "seed": seed_of(model),
            "torch device": model.project.compress.torch_device,
            "code": source_digest(*CODE, __name__),
            "others": _others(model),
        }

    def keep(self, inputs: Mapping[str, Any], make: Make) -> Stage:
        """See :class:`toolchain.compress.stages.Store`."""
        cache = self._model.cache
        everything = {**self._base, **inputs}
        key = step_key(_NAME, 1, everything)
        work = cache.root / "checkpoints" / key
        made: list[tuple[Any, Row]] = []

        def produce(out: Path) -> None:
            made.append(make(work))
            save_stage(out, *made[0], self._model.module)

        try:
            place = cache.folder(_NAME, everything, produce)
        except NotKeptError as error:
            model, row = made[0]
            shutil.rmtree(work, ignore_errors=True)
            return Stage(key, row.noted(NOT_KEPT.format(error)), lambda: model)
        shutil.rmtree(work, ignore_errors=True)
        load = lambda: load_model(place.path, lambda: self._model.module, self._model.project.folder)  # noqa: E731
        return Stage(key, load_row(place.path), load, cached=place.hit)
