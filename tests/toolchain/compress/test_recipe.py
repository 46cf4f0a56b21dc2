"""The mechanism of compression steps, with passes of the tests' own."""

import dataclasses

import numpy as np
import pytest

from profiles.errors import ModelError
from toolchain.compress import recipe
from toolchain.compress.recipe import Row, compress
from toolchain.project.steps import STEPS

torch = pytest.importorskip("torch", reason="compression works on torch modules")


@dataclasses.dataclass(frozen=True)
class Step:
    """A step as a project file gives it."""

    name: str
    options: object = None


INPUTS = {"x": np.ones((1, 4), np.float32)}


def net(width=8):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Linear(width, 3)).eval()


@pytest.fixture
def passes(monkeypatch):
    """``narrow`` makes the middle narrower, ``break`` changes the output, ``train`` leaves training mode on."""

    def narrow(model, options):
        return net(options)

    def broken(model, options):
        return torch.nn.Linear(4, 5)

    def train(model, options):
        return model.train()

    made = {"narrow": narrow, "break": broken, "train": train}
    monkeypatch.setattr(recipe, "PASSES", made)
    return made


def test_no_steps_change_nothing():
    model = net()
    result = compress(model, [], INPUTS)
    assert result.model is model
    assert result.rows == (Row("start", 4 * 8 + 8 + 8 * 3 + 3, 4 * 8 + 8 * 3),)


def test_steps_run_in_order_and_each_leaves_a_row(passes):
    result = compress(net(), [Step("narrow", 6), Step("narrow", 2)], INPUTS)
    assert [row.step for row in result.rows] == ["start", "narrow", "narrow"]
    assert [row.macs for row in result.rows] == [4 * width + width * 3 for width in (8, 6, 2)]
    assert result.model[0].out_features == 2


def test_a_step_that_changes_the_outputs_is_refused(passes):
    with pytest.raises(ModelError, match="'break'") as caught:
        compress(net(), [Step("narrow", 4), Step("break")], INPUTS)
    assert "(1, 5)" in caught.value.seen and "(1, 3)" in caught.value.allowed


def test_models_come_out_in_eval_mode(passes):
    assert not compress(net(), [Step("train")], INPUTS).model.training


def test_every_registered_step_has_options_and_a_pass():
    """A step lives in two places under one name: its options for the project file, its function here."""
    assert set(recipe.PASSES) == set(STEPS)


def test_importing_the_mechanism_loads_no_torch():
    import subprocess
    import sys

    code = "import sys, toolchain.compress.recipe; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
