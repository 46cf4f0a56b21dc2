"""The rows of the compression benchmark: every method of the catalogue at a fixed point, and a few whole recipes."""

from __future__ import annotations

import dataclasses
from typing import Any

from toolchain.compress import Distill, Finetune, LowRank, Prune, Sparsify, Teacher
from toolchain.compress.catalogue import Method, all_methods
from toolchain.project.recipe import StepOptions

#: Epochs that every method may recover in, and that a student or a factorised network is trained from scratch in.
RECOVERY, SCRATCH = 12, 20
#: Epochs of the dense models that everything starts from.
DENSE_EPOCHS = 60
TEACHER = "resnet56"
#: Network to the prefix of its rows, and to the teacher of its students.
PREFIX = {"resnet20": "", "resnet8": "resnet8-"}
TEACHERS = {"resnet20": TEACHER, "resnet8": "resnet20"}
#: Models that are trained by themselves; another one among several teachers is an assistant without weights.
TRAINED = ("resnet20", "resnet56")
#: Share of the MACs that is left after structured pruning and factorisation.
LEFT = 0.5
#: Share of the weights that are zero after unstructured pruning.
SPARSITY = 0.8

#: Learning rates: from scratch, and of students that learn from features or relations.
SCRATCH_LR, FEATURES_LR = 0.2, 0.1
_CAREFUL = 0.05
_EPOCHS = ("epochs", "sparse_epochs")


@dataclasses.dataclass(frozen=True)
class Row:
    """One point of the benchmark.

    Attributes:
        name: unique; safe as a file name.
        family: of the catalogue, or ``recipe``.
        steps: of the recipe; none is the dense model itself.
        model: ``zoo:`` name that it starts from.
        fresh: start from initial weights instead of the trained ones.
        after: the row whose model it starts from, instead of a dense one.
        seeds: how many times, with seeds from 0.
    """

    name: str
    family: str
    steps: tuple[StepOptions, ...] = ()
    model: str = "resnet20"
    fresh: bool = False
    seeds: int = 1
    after: str = ""

    @property
    def baseline(self) -> str:
        """The row of the dense model that it is held against."""
        return f"{PREFIX[self.model]}dense"

    @property
    def teachers(self) -> tuple[str, ...]:
        """Dense models that must be there, beside the one that it starts from."""
        asked = [step.teacher for step in self.steps if isinstance(step, Distill)]
        several = [each.source for given in asked if isinstance(given, tuple) for each in given]
        found = [*several, *(given for given in asked if isinstance(given, str))]
        return tuple({text.removeprefix("zoo:") for text in found if text} & set(TRAINED))


def rows() -> list[Row]:
    """All of them: recipes for ResNet-20, then both networks with controls and every method."""
    return [*rows_of("resnet20")[:3], *recipes(), *rows_of("resnet20")[3:], *rows_of("resnet8")]


def rows_of(model: str) -> list[Row]:
    """The dense network, controls, every method of the catalogue, variants."""
    prefix, often = PREFIX[model], 3 if model == "resnet20" else 1
    controls = [
        Row(f"{prefix}dense", "baseline", model=model, seeds=often),
        Row(f"{prefix}dense-longer", "baseline", (Finetune(epochs=RECOVERY, lr=_CAREFUL),), model),
        Row(f"{prefix}plain-student", "baseline", (Finetune(epochs=SCRATCH, lr=SCRATCH_LR),), model, True, often),
    ]
    methods = [_row(method, model) for method in all_methods() if method.step in _STEPS and _fits(method, model)]
    made = controls + methods + variants(model)
    return made if model == "resnet20" else [_briefer(row) for row in made]


def _briefer(row: Row) -> Row:
    """With half of the epochs: smaller networks come after the one that the goal is about, on the same machine."""
    halves = [
        step.model_copy(update={name: getattr(step, name) // 2 for name in _EPOCHS if getattr(step, name, 0)})
        for step in row.steps
    ]
    return dataclasses.replace(row, steps=tuple(halves))


def _fits(method: Method, model: str) -> bool:
    """ResNet-8 has one block only that can be left out, which is less than half of its MACs."""
    return (method.step, method.name, model) != ("prune", "gates", "resnet8")


def _row(method: Method, model: str) -> Row:
    """A method at its step's fixed point, with what it needs for itself."""
    family, kind, point = _STEPS[method.step]
    own = _OWN.get((method.step, method.name), {})
    if method.step == "distill":
        own = {"teacher": f"zoo:{TEACHERS[model]}", **own, **_SMALL.get((model, method.name), {})}
    step = kind(**{"loss" if method.step == "distill" else "method": method.name, **point, **own})
    fresh = method.step == "distill" or method.name in _FROM_SCRATCH
    seeds = 3 if method.name in _OFTEN and model == "resnet20" else 1
    return Row(f"{PREFIX[model]}{method.step}-{method.name}", family, (step,), model, fresh, seeds)


_RECOVERED: dict[str, Any] = {"epochs": RECOVERY, "lr": _CAREFUL}
_TAUGHT: dict[str, Any] = {"epochs": SCRATCH, "lr": FEATURES_LR, "alpha": 0.5}
#: Step to its family, its options' class, and the fixed point.
_STEPS: dict[str, tuple[str, type[StepOptions], dict[str, Any]]] = {
    "prune": ("structured pruning", Prune, {**_RECOVERED, "macs": LEFT}),
    "sparsify": ("unstructured pruning", Sparsify, {**_RECOVERED, "sparsity": SPARSITY}),
    "lowrank": ("low rank", LowRank, {**_RECOVERED, "macs": LEFT}),
    "distill": ("distillation", Distill, _TAUGHT),
}
#: Methods that are run with three seeds.
_OFTEN = {"l1", "group_norm", "magnitude", "tucker2", "kd", "dkd", "logit_std"}
_FROM_SCRATCH = {"snip", "rigl", "lottery", "bn_lowrank"}
_BY_LAYER = {"scope": "layer"}
_SPARSE_TRAINING = {"sparse_epochs": RECOVERY // 2, "epochs": RECOVERY - RECOVERY // 2}
_PRUNE: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("l1", "l2", "random", "fpgm", "feature_rank"), _BY_LAYER),
    "slimming": _SPARSE_TRAINING,
    "gates": _SPARSE_TRAINING,
    "oto": {"sparse_epochs": RECOVERY, "epochs": 0},
}
_SPARSE: dict[str, dict[str, Any]] = {
    "snip": {"epochs": SCRATCH, "lr": SCRATCH_LR},
    "rigl": {"epochs": SCRATCH, "lr": SCRATCH_LR},
    "lottery": {"epochs": SCRATCH, "lr": SCRATCH_LR, "rounds": 3},
    "nm": {"sparsity": 0.5, "pattern": "2:4"},
    "sr_ste": {"sparsity": 0.5, "pattern": "2:4"},
}
_LOW_RANK: dict[str, dict[str, Any]] = {
    "bn_lowrank": {"epochs": SCRATCH, "lr": SCRATCH_LR},
    # It stores less and computes more: no share of the MACs can be asked of it.
    "sparse_lowrank": {"macs": None, "bytes": LEFT},
}
_OUTPUTS = {"alpha": 0.9, "lr": SCRATCH_LR}
_DISTILL: dict[str, dict[str, Any]] = {
    "kd": _OUTPUTS,
    "logit_std": _OUTPUTS,
    "low_resolution": {**_OUTPUTS, "resolution": 24},
    "sequential": {**_OUTPUTS, "teacher": (Teacher(source=f"zoo:{TEACHER}"), Teacher(source="zoo:resnet32"))},
    "multi_teacher": {**_OUTPUTS, "teacher": tuple(Teacher(source=f"zoo:{name}") for name in TRAINED)},
    "confidence": {**_OUTPUTS, "teacher": tuple(Teacher(source=f"zoo:{name}") for name in TRAINED)},
}

#: What a smaller network's students need instead: a chain of teachers that ends nearer to them.
_SMALL: dict[tuple[str, str], dict[str, Any]] = {
    ("resnet8", "sequential"): {"teacher": (Teacher(source="zoo:resnet20"), Teacher(source="zoo:resnet8"))},
}
#: What single methods need beyond that.
_OWN = {
    (step, name): options
    for step, methods in (("prune", _PRUNE), ("sparsify", _SPARSE), ("lowrank", _LOW_RANK), ("distill", _DISTILL))
    for name, options in methods.items()
}


def variants(model: str) -> list[Row]:
    """Other schedules of magnitude pruning, and what the second order gives without any training."""
    sparse: dict[str, dict[str, Any]] = {
        "magnitude-cubic": {"method": "magnitude", "schedule": "cubic"},
        "magnitude-iterative": {"method": "magnitude", "schedule": "iterative", "rounds": 3},
        "magnitude-untrained": {"method": "magnitude", "epochs": 0},
        "obs-untrained": {"method": "obs", "epochs": 0},
    }
    common = {"sparsity": SPARSITY, "epochs": RECOVERY, "lr": _CAREFUL}
    return [
        Row(f"{PREFIX[model]}sparsify-{name}", "unstructured pruning", (Sparsify(**{**common, **options}),), model)
        for name, options in sparse.items()
    ]


def recipes() -> list[Row]:
    """Whole recipes, among them the one that the project's goal is held against."""

    def learn(epochs: int) -> Distill:
        return Distill(loss="kd", teacher=f"zoo:{TEACHER}", epochs=epochs, lr=0.1)

    def pruned(method: str, left: float, scope: str = "global") -> Prune:
        return Prune(method=method, macs=left, scope=scope, round_to=4)

    def shallower(left: float) -> Prune:
        return Prune(method="gates", macs=left, sparse_epochs=RECOVERY // 2)

    return [
        Row("recipe-gates-group-kd-40", "recipe", (shallower(0.5), pruned("group_norm", 0.93), learn(40)), seeds=3),
        Row("recipe-gates-kd-33", "recipe", (shallower(0.33), learn(40)), seeds=3),
        Row("recipe-group-kd-40", "recipe", (pruned("group_norm", 0.4), learn(40)), seeds=3),
        Row("recipe-taylor-kd-40", "recipe", (pruned("taylor", 0.4), learn(40)), seeds=3),
        Row("recipe-taylor-kd-33", "recipe", (pruned("taylor", 0.33), learn(40))),
        Row("recipe-kd-taylor-kd-40", "recipe", (learn(20), pruned("taylor", 0.4), learn(40))),
        Row("recipe-l1-kd-40", "recipe", (pruned("l1", 0.4, "layer"), learn(40))),
        Row("recipe-taylor-finetune-40", "recipe", (pruned("taylor", 0.4), Finetune(epochs=40, lr=0.1))),
        Row("recipe-tucker-kd-40", "recipe", (LowRank(method="tucker2", macs=0.4), learn(40))),
    ]
