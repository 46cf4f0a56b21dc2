"""Methods of the tests' own, and the networks that they change. A method is found by its name, as real ones are."""

import torch

from profiles.errors import ModelError
from toolchain.compress.catalogue.method import Method
from toolchain.compress.passes import Outcome
from toolchain.frontend.train.hooks import Hook


class Net(torch.nn.Module):
    """4 numbers in, 3 out, ``width`` in between."""

    def __init__(self, width=8):
        super().__init__()
        self.first, self.last = torch.nn.Linear(4, width), torch.nn.Linear(width, 3)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))


def net(width=8, seed=0):
    torch.manual_seed(seed)
    return Net(width).eval()


CALLS, EPOCHS = [], []
#: Number of epochs, over all trainings, after which ``halve`` is interrupted once.
STOP = None


class Watch(Hook):
    """Writes down every epoch, and stands for an impatient user."""

    def after_epoch(self, state, epoch):
        EPOCHS.append(epoch)
        if len(EPOCHS) == STOP:
            raise KeyboardInterrupt


def halve(model, options, context):
    """Keep the first half of the middle; recover where epochs are given."""
    CALLS.append("halve")
    width = model.first.out_features // 2
    small = Net(width)
    small.first.weight.data, small.first.bias.data = model.first.weight.data[:width], model.first.bias.data[:width]
    small.last.weight.data, small.last.bias.data = model.last.weight.data[:, :width], model.last.bias.data
    context.fit(small, "halve", epochs=options.epochs, lr=options.lr, hooks=[Watch()])
    return Outcome(small, {"width": width}, ("half is gone",))


def widen(model, options, context):
    return Outcome(Net(2 * model.first.out_features))


def other_shape(model, options, context):
    return Outcome(torch.nn.Linear(4, 5))


def not_a_number(model, options, context):
    model.first.weight.data[0, 0] = float("nan")
    return Outcome(model)


def spoiled(model, options, context):
    """Answers the same to everything."""
    model.last.weight.data.zero_()
    return Outcome(model)


def masked(model, options, context):
    torch.nn.utils.parametrize.register_parametrization(model.first, "weight", torch.nn.ReLU())
    return Outcome(model)


def training(model, options, context):
    return Outcome(model.train())


def nothing(model, options, context):
    CALLS.append("nothing")
    return Outcome(model)


def fails(model, options, context):
    raise ModelError("this method never works", seen="a model", next_step="take another")


def zero(model, options, context):
    """Half of the first layer's weights and of the last one's are zero."""
    for layer in (model.first, model.last):
        layer.weight.data[:, ::2] = 0
    return Outcome(model)


class NanInTheThirdEpoch(torch.nn.Module):
    """Of 48 samples in batches of 16, three to an epoch."""

    calls = 0

    def forward(self, output, batch):
        self.calls += 1
        return output.sum() * 0 + (float("nan") if self.calls > 6 else 1.0)


def diverges(model, options, context):
    context.fit(model, "diverges", epochs=options.epochs, objective=NanInTheThirdEpoch())
    return Outcome(model)


def timed(model, options, context):
    """Needs a clock: as wide as a goal in seconds allows."""
    from toolchain.compress.goals import reach

    def make(strength):
        return Net(max(1, round(model.first.out_features * (1 - strength))))

    return Outcome(reach(make, model, options.goal(), context))


def _method(step, function, needs=()):
    name = f"tests.toolchain.compress.fakes:{function.__name__}"
    return Method(function.__name__, step, "tests", "a method of the tests", "none", name, (), needs=needs)


PRUNE = (halve, widen, other_shape, not_a_number, spoiled, masked, training, nothing, fails, diverges, timed)
METHODS = (
    *(_method("prune", function) for function in PRUNE),
    *(_method("sparsify", function) for function in (zero, nothing)),
    *(_method("lowrank", function) for function in (halve, widen, nothing)),
)
