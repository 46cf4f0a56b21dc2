"""One network of the coverage benchmark: pruned by us and by Torch-Pruning, each judged the same way.

The judge looks at neither pruner: it finds by value which weights survived (no two random weights are alike), sets
all others to zero in the dense network, and compares outputs in float64.
"""

from __future__ import annotations

import copy
import dataclasses
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from profiles.errors import EdgewrightError
from toolchain.compress.structured.equivalence import compare, exact, randomise
from toolchain.compress.structured.groups import Pruner
from toolchain.frontend.zoo.pytorchcv import build

RIGHT, REFUSED, WRONG, CRASHED = "right", "refused", "silently wrong", "crashed"
RATIO = 0.5
#: Seconds after which a pruner is given up.
PATIENCE = 420
_WORDS = 160
#: The side that networks have without being asked; some cannot be asked.
_PUBLISHED = 224


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How one pruner did.

    Attributes:
        verdict: one of the four words.
        reason: why, where it is not right.
        kept: share of the parameters that is left.
        groups: that were pruned; 0 where unknown.
        left_out: layers whose filters stay at least in part, the outputs too.
    """

    verdict: str
    reason: str = ""
    kept: float = 1.0
    groups: int = 0
    left_out: int = 0


def judged(name: str, size: int) -> dict[str, dict[str, Any]]:
    """Both pruners on one network; ``size`` is the image's side."""
    model = build(name, classes=None, channels=None, size=None if size == _PUBLISHED else (size, size)).double().eval()
    randomise(model, 0)
    x = torch.randn(1, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pruners = {"ours": _ours, "peer": _peer}
    return {who: dataclasses.asdict(_tried(prune, copy.deepcopy(model), model, x)) for who, prune in pruners.items()}


def _tried(
    prune: Callable[[torch.nn.Module, torch.Tensor], tuple[int, int]],
    model: torch.nn.Module,
    dense: torch.nn.Module,
    x: torch.Tensor,
) -> Outcome:
    def give_up(number: int, frame: object) -> None:
        raise TimeoutError(f"no answer within {PATIENCE} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    try:
        groups, left_out = prune(model, x)
        with torch.no_grad():
            model.eval()(x)
    except EdgewrightError as error:
        return Outcome(REFUSED, str(error)[:_WORDS])
    except Exception as error:  # any failure of a pruner, or of the network that it made, is a result
        return Outcome(CRASHED, f"{type(error).__name__}: {error}"[:_WORDS])
    finally:
        signal.alarm(0)
    kept = _parameters(model) / _parameters(dense)
    if kept == 1:
        return Outcome(REFUSED, "nothing was pruned, and nothing was said")
    problem = _problem(model, dense, x)
    return Outcome(WRONG if problem else RIGHT, problem[:_WORDS], kept, groups, left_out)


def _parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def _problem(pruned: torch.nn.Module, dense: torch.nn.Module, x: torch.Tensor) -> str:
    """Why a pruned network is not the dense one with zeros; empty if it is."""
    masked = copy.deepcopy(dense)
    left = dict(_values(pruned))
    for name, value in _values(masked):
        value[~_survived(value, left[name])] = 1.0 if name.endswith("running_var") else 0.0
    generator = torch.Generator().manual_seed(1)
    samples = [x, torch.randn(x.shape, dtype=x.dtype, generator=generator)]
    with exact():
        want, have = ([_flat(net(sample)) for sample in samples] for net in (masked, pruned))
    return compare(want, have).problem


def _values(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            yield name, value


def _survived(dense: torch.Tensor, pruned: torch.Tensor) -> torch.Tensor:
    if dense.shape == pruned.shape:
        return torch.ones_like(dense, dtype=torch.bool)
    return torch.from_numpy(np.isin(dense.numpy(), pruned.numpy()))


def _flat(out: Any) -> torch.Tensor:
    from toolchain.compress.structured.groups_trace import tensors_of

    return torch.cat([t.reshape(-1) for t in tensors_of(out)])


def _ours(model: torch.nn.Module, x: torch.Tensor) -> tuple[int, int]:
    """L1 norms of the filters, half of every group."""
    pruner = Pruner(model, (x,))
    drop = {}
    for group in pruner.groups:
        made = [m.weights().detach().abs().sum(1) for m in group.members if m.axis in ("out", "parameter")]
        count = min(pruner.allowed(group), int(group.channels * RATIO))
        drop[group.name] = torch.stack(made).sum(0).argsort()[:count].tolist()
    pruner.remove(drop)
    return len(pruner.groups), len(pruner.left_out)


def _peer(model: torch.nn.Module, x: torch.Tensor) -> tuple[int, int]:
    """As Torch-Pruning's README does it: group magnitude, half of every layer, layers with as many outputs as classes
    are left alone. In-place activations are off, which its README does not do, and which helps it."""
    import torch_pruning as tp

    with torch.no_grad():
        outputs = {t.shape[1] for t in _tensors(model(x)) if t.ndim > 1}
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.modules.conv._ConvNd)]
    last = [m for m in convolutions if m.out_channels in outputs]
    last += [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features in outputs]
    importance = tp.importance.GroupMagnitudeImportance(p=1)
    pruner = tp.pruner.BasePruner(model, x, importance=importance, pruning_ratio=RATIO, ignored_layers=last)
    pruner.step()
    return len(pruner.pruning_history()), len(last)


def _tensors(out: Any) -> list[torch.Tensor]:
    from toolchain.compress.structured.groups_trace import tensors_of

    return tensors_of(out)
