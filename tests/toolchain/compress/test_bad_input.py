"""Recipes that cannot be carried out: one clear error each, and what was good is kept."""

import dataclasses
import re

import numpy as np
import pytest

from profiles.errors import ConfigError, DataError, EdgewrightError, ModelError, UnsupportedError

torch = pytest.importorskip("torch", reason="compression works on torch modules")
from torch import nn  # noqa: E402

from toolchain.compress import Finetune, LowRank, Prune, Sparsify, compress  # noqa: E402
from toolchain.compress.catalogue import all_methods  # noqa: E402
from toolchain.compress.context import Context  # noqa: E402
from toolchain.frontend import DataSpec, InputSpec, TrainSpec  # noqa: E402
from toolchain.frontend.data import load_data  # noqa: E402

IMAGE = (1, 1, 8, 8)
X = torch.linspace(-1, 1, 64).reshape(IMAGE)
L1 = Prune(method="l1", ratio=0.5, scope="layer")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def net(width=10):
    """Widths are such that counts have no round numbers."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width + 3, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(4 * (width + 3), 3),
    ).eval()  # fmt: skip


def make_data(folder, labels=True, count=60, **more):
    values = np.random.default_rng(0).standard_normal((count, *IMAGE[1:])).astype(np.float32)
    given = {"y": np.arange(count) % 3} if labels else {}
    np.savez(folder / "data.npz", x=values, **given)
    return load_data(DataSpec(f"npz:{folder / 'data.npz'}", **more), InputSpec(IMAGE))


@pytest.fixture
def data(tmp_path):
    """Sixty samples of three classes."""
    return make_data(tmp_path)


@pytest.fixture
def around(data, tmp_path):
    """A context with data, and a folder for checkpoints."""
    spec = TrainSpec(epochs=1, batch=16, augment=False, precision="fp32", threads=1)
    return Context({"input": X.numpy()}, data, training=spec, work=tmp_path / "work")


def refusal(kind, steps, model=None, **given):
    """The error of a recipe that must fail."""
    given = {"example_input": X, **given} if "context" not in given else given
    with pytest.raises(kind) as caught:
        compress(model or net(), steps, **given)
    error = caught.value
    assert error.wanted and (error.seen or error.next_step), "a message says what was wanted and what was seen"
    return error


# --- methods and options ---


@pytest.mark.parametrize(
    ("make", "nearest"),
    [
        (lambda: Prune(method="group_nrom"), "group_norm"),
        (lambda: LowRank(method="tuker2"), "tucker2"),
        (lambda: Sparsify(method="magnitud"), "magnitude"),
    ],
)
def test_an_unknown_method_names_the_nearest(make, nearest):
    with pytest.raises(ValueError, match="no such method") as caught:
        make()
    assert f"did you mean '{nearest}'?" in str(caught.value)


def test_a_method_of_another_step_is_none_of_this_one():
    with pytest.raises(ValueError, match="no such method"):
        Prune(method="tucker2")


def test_two_goals_are_one_too_many():
    with pytest.raises(ValueError, match="more than one goal"):
        Prune(method="l1", ratio=0.5, macs=0.5)


# --- goals ---

GOALS = {
    "prune": (lambda **goal: Prune(method="l1", **goal), "bytes"),
    "prune with a cap": (lambda **goal: Prune(method="group_norm", cap=0.3, **goal), "macs"),
    "prune by eights": (lambda **goal: Prune(method="l2", round_to=8, **goal), "params"),
    "low rank": (lambda **goal: LowRank(method="tucker2", **goal), "macs"),
    "svd": (lambda **goal: LowRank(method="svd", **goal), "bytes"),
}


def costs(row):
    return {"params": row.params, "macs": row.macs, "bytes": row.bytes}


@pytest.mark.parametrize("name", GOALS)
def test_beyond_what_the_structure_allows_the_minimum_is_named_and_can_be_had(name):
    """The named minimum is true in both directions: it can be asked for, and one less cannot."""
    make, kind = GOALS[name]
    model = net(37)

    def asked(amount):
        return [make(**{kind: f"{amount:.0f} B" if kind == "bytes" else amount})]

    error = refusal(UnsupportedError, asked(2), model)
    least = float(re.search(r'(?: = | of )"?([\d.]+(e\+\d+)?)', error.allowed)[1])
    reached = compress(model, asked(least), example_input=X)
    assert costs(reached.rows[-1])[kind] == least
    refusal(UnsupportedError, asked(least - 1), model)


def test_a_ratio_that_rounding_makes_impossible_says_so_or_does_nothing_and_says_so():
    """Multiples of 64 of 10 channels: there is nothing that may go."""
    try:
        result = compress(net(), [Prune(method="l1", ratio=0.5, round_to=64)], example_input=X)
    except (UnsupportedError, ModelError) as error:
        assert "64" in str(error)
        return
    assert result.rows[-1].params == result.rows[0].params
    assert any("64" in note or "round" in note for note in (*result.rows[-1].notes, *result.rows[-1].flags))


@pytest.mark.parametrize(
    "make",
    [
        lambda exclude: Prune(method="l1", ratio=0.5, exclude=exclude),
        lambda exclude: LowRank(method="svd", ratio=0.5, exclude=exclude),
        lambda exclude: Sparsify(method="magnitude", sparsity=0.5, exclude=exclude),
    ],
    ids=["prune", "lowrank", "sparsify"],
)
def test_a_pattern_that_no_layer_has_is_told(make):
    error = refusal((ConfigError, ModelError), [make(("convv*",))])
    assert "convv*" in error.wanted + error.seen
    assert "0" in error.allowed, "the layers that there are"


def test_nothing_left_to_prune_is_an_error():
    error = refusal((UnsupportedError, ModelError), [Prune(method="l1", ratio=0.5, exclude=("*",))])
    assert "exclude" in str(error)


def test_a_model_of_one_output_layer_has_nothing_to_prune():
    refusal((UnsupportedError, ModelError), [L1], nn.Linear(8, 3), example_input=torch.ones(1, 8))


# --- data ---


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x)


WITH_DATA = [method for method in all_methods() if "data" in method.needs and method.step in ("prune", "lowrank")]


@pytest.mark.parametrize("method", WITH_DATA, ids=lambda method: method.name)
def test_methods_that_need_data_ask_for_it(method):
    kinds, model = {"prune": Prune, "lowrank": LowRank}, net()
    if method.name == "gates":  # it looks for residual blocks first
        model = nn.Sequential(Residual(), *model)
    goal = {"ratio": 0.3, "epochs": 1}
    if method.step == "prune":
        goal["sparse_epochs"] = 1
    error = refusal(DataError, [kinds[method.step](method=method.name, **goal)], model)
    assert "needs training samples" in error.wanted and error.seen == "none" and error.next_step


def test_recovery_without_data_asks_for_it():
    assert "needs training samples" in refusal(DataError, [Finetune(epochs=1)]).wanted


def test_an_empty_training_part_is_told(data, around):
    empty = dataclasses.replace(data, train=dataclasses.replace(data.train, rows=data.train.rows[:0], labels=None))
    error = refusal(DataError, [Finetune(epochs=1)], context=dataclasses.replace(around, data=empty))
    assert "empty" in error.seen
    assert "empty" in refusal(DataError, [L1], data=empty, example_input=None).seen


def test_an_empty_test_part_is_told(data, around):
    none = data.test.labels[:0]
    empty = dataclasses.replace(data, test=dataclasses.replace(data.test, rows=data.test.rows[:0], labels=none))
    refusal(DataError, [L1], context=dataclasses.replace(around, data=empty))


def test_labels_that_are_missing_are_told(tmp_path, around):
    unlabelled = make_data(tmp_path, labels=False)
    error = refusal(DataError, [Finetune(epochs=1)], context=dataclasses.replace(around, data=unlabelled))
    assert "labels" in error.wanted
    fine = compress(net(), [L1], context=dataclasses.replace(around, data=unlabelled))
    assert fine.rows[-1].accuracy is None, "a method without data needs no labels"


def test_a_task_that_does_not_fit_the_outputs_is_told(around):
    wrong = dataclasses.replace(around, task="reconstruction")
    error = refusal(EdgewrightError, [Finetune(epochs=1)], context=wrong)
    assert "1, 8, 8" in str(error) or "(16, 3)" in str(error), "both shapes"


def test_neither_data_nor_an_example_input_is_told():
    assert "example_input" in refusal(ConfigError, [L1], example_input=None).next_step


def test_an_example_input_of_another_shape_is_told():
    refusal(EdgewrightError, [L1], example_input=torch.ones(1, 2, 8, 8))


# --- numbers ---


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_before_anything_is_done(value):
    model = net()
    with torch.no_grad():
        model[3].weight[0, 0, 0, 0] = value
    error = refusal(ModelError, [L1], model)
    assert "3.weight" in error.seen and "NaN or infinity" in error.seen
    assert error.wanted.startswith("before 'prune'") or "before 'prune'" in error.wanted


class Diverges(nn.Module):
    """Fine for the first epoch, and NaN from then on."""

    def __init__(self, good):
        super().__init__()
        self.net, self.good, self.steps = net(), good, 0

    def forward(self, x):
        self.steps += self.training
        return self.net(x) * (float("nan") if self.training and self.steps > self.good else 1.0)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_weights(around):
    batches = -(-len(around.data.train) // 16)
    error = refusal(ModelError, [Finetune(epochs=5)], Diverges(good=2 * batches), context=around)
    assert "training diverged; the weights after epoch 2 are kept" in error.wanted
    assert "the loss became nan in step 1 of epoch 3" in error.seen and "lower lr" in error.next_step
    (kept,) = around.work.rglob("*.pt*")
    found = torch.load(kept, weights_only=True)
    assert all(torch.isfinite(value).all() for value in found["model"].values() if value.is_floating_point())


def test_steps_before_the_one_that_failed_are_kept(around):
    model = net()
    bad = Finetune(epochs=1, lr=1e30)
    refusal(ModelError, [L1, bad], model, context=around)
    from toolchain.progress import Progress

    again = compress(model, [L1], context=around, progress=Progress(quiet=True))
    assert again.rows[-1].params < again.rows[0].params
    assert (around.work / "stages").is_dir() and len(list((around.work / "stages").iterdir())) == 2


def test_a_given_model_is_left_as_it_is_by_recipes_that_fail(around):
    model = net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    refusal(ModelError, [L1, Finetune(epochs=1, lr=1e30)], model, context=around)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# --- models that cannot be followed ---


NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 8, 3), nn.Linear(8, 3)

    def forward(self, x):
        x = torch.relu(self.a(x)).mean((2, 3))
        return self.b(x)


class Odd(Net):
    def forward(self, x):
        x = torch.relu(self.a(x)).mean((2, 3))
        if x.sum() > 0:
            x = x * 2
        return self.b(x)
"""


@pytest.fixture
def refused(here, cli):
    """``refused(status, steps)``: ``edgewright compress`` on a project with these steps, which must fail."""
    (here / "net.py").write_text(NET)

    def run(status, steps, *, source="net:Net", more=""):
        (here / "edge.toml").write_text(
            f'[model]\nsource = "{source}"\ninput = {{ name = "x", shape = [1, 1, 8, 8] }}\n{more}'
            f'[[device]]\nprofile = "local-cpu"\ntarget = "onnxruntime"\n[compress]\nsteps = [\n{steps}\n]\n'
        )
        return cli("compress", "edge.toml", "--no-profile", "--quiet").refused(status)

    return run


def test_a_model_that_cannot_be_traced_names_what_and_where(refused, here):
    """As users see it: which operation, on which line of their file."""
    error = refused(3, '{ prune = { method = "l1", ratio = 0.5 } }', source="net:Odd")
    line = 1 + NET.splitlines().index("        if x.sum() > 0:")
    assert f"net.py:{line}" in error.seen or f'net.py", line {line}' in error.seen, error
    assert not (here / "compressed").exists()


@pytest.mark.parametrize(
    ("steps", "where", "nearest"),
    [
        ('{ prune = { method = "l1" } },\n{ prune = { method = "taylr" } }', "line 10", "did you mean 'taylor'?"),
        ('{ prunne = { method = "l1" } }', "line 9", "did you mean 'prune'?"),
        ('{ distill = { loss = "kdd", teacher = "zoo:resnet8" } }', "line 9", "did you mean 'kd'?"),
        ('{ prune = { method = "l1", device = "local-gpu" } }', "line 9", "did you mean 'local-cpu'?"),
    ],
    ids=["method", "step", "loss", "device"],
)
def test_a_project_file_with_a_typo_names_the_line_and_the_nearest(refused, steps, where, nearest):
    error = refused(2, steps)
    assert where in error.wanted and error.next == nearest, error


def test_an_impossible_goal_reaches_the_user_with_the_minimum(refused):
    error = refused(3, '{ prune = { method = "l1", params = 3 } }')
    assert "prune (l1): wanted a model with at most 3 parameters" in error.wanted
    assert error.allowed.startswith("params = ") and "structure allows" in error.seen


def test_a_method_that_needs_data_asks_for_a_section(refused):
    error = refused(2, '{ prune = { method = "taylor", ratio = 0.5 } }')
    assert "needs training samples" in error.wanted and "[data]" in error.next


def test_a_loss_that_is_not_finite_stops_the_command(refused, npz, here):
    npz(here / "data.npz", x=np.random.default_rng(0).standard_normal((60, 1, 8, 8)).astype(np.float32) * 1e30)
    error = refused(3, "{ finetune = { epochs = 2 } }", more='[data]\nsource = "npz:data.npz"\n')
    assert "step 1 of the recipe, finetune: training diverged; the " in error.wanted
    assert "lower lr" in error.next


def test_recovery_on_random_samples_is_refused(refused):
    error = refused(2, "{ finetune = { epochs = 2 } }", more='[data]\nsource = "random"\n')
    assert "random" in error.wanted + error.seen and error.next
