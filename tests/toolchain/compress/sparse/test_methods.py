"""Every method on a tiny network: exact counts, rules of its own, honest facts, refusals."""

import copy

import numpy as np
import pytest
import torch

from profiles.errors import ConfigError, DataError, ModelError
from targets.sparsity import has_pattern
from toolchain.compress.catalogue import find_method
from toolchain.compress.catalogue.unstructured import METHODS
from toolchain.compress.passes import implementation
from toolchain.compress.sparse import snip as snip_module
from toolchain.compress.sparse.calibration import hessians
from toolchain.compress.sparse.masks import Masks
from toolchain.compress.sparse.obs import l_obs, obs
from toolchain.compress.sparse.snip import mean_gradients, sensitivity
from toolchain.project.recipe import Sparsify

WEIGHTS = ("0.weight", "3.weight", "7.weight")
TRAINED = ("movement", "surgery", "rigl", "lottery", "sr_ste")


def run(method, model, context, **options):
    options.setdefault("lr", 0.02)
    return implementation(find_method("sparsify", method))(model, Sparsify(method=method, **options), context)


def weights(model):
    state = model.state_dict()
    return {name: state[name] for name in WEIGHTS}


def zeros(model):
    return sum(int((weight == 0).sum()) for weight in weights(model).values())


def test_the_catalogue_names_functions_that_exist():
    assert len({method.name for method in METHODS}) == len(METHODS) == 10
    assert all(callable(implementation(method)) for method in METHODS)


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("method", [one.name for one in METHODS if one.name not in ("nm", "sr_ste")])
def test_the_share_is_reached_exactly_and_the_model_is_plain(method, scope, make_net, context):
    """896 weights, 288, 576 and 32 a layer: 60 % are 538 of all, or 173 + 346 + 19."""
    epochs = 2 if method in TRAINED else 0
    outcome = run(method, make_net(), context, sparsity=0.6, scope=scope, epochs=epochs, samples=64)
    assert zeros(outcome.model) == 538
    assert outcome.facts["zeros"] == 538 / 896 and outcome.facts["weights"] == 896 and outcome.facts["layers"] == 3
    if scope == "layer":
        assert [int((w == 0).sum()) for w in weights(outcome.model).values()] == [173, 346, 19]
    assert list(outcome.model.state_dict()) == list(make_net().state_dict())
    assert not outcome.model.training and not any(m._forward_pre_hooks for m in outcome.model.modules())


@pytest.mark.parametrize("method", [one.name for one in METHODS])
def test_training_afterwards_keeps_the_zeros_and_moves_the_rest(method, make_net, context):
    before = weights(make_net())
    outcome = run(method, make_net(), context, epochs=2, samples=64)
    assert zeros(outcome.model) == 448
    assert "final_loss" in outcome.facts
    for name, weight in weights(outcome.model).items():
        assert (weight != before[name])[weight != 0].all(), "what stays is trained"


@pytest.mark.parametrize("method", ["magnitude", "nm"])
def test_methods_without_needs_run_without_data(method, make_net, bare):
    assert zeros(run(method, make_net(), bare).model) == 448
    assert find_method("sparsify", method).needs == ()


@pytest.mark.parametrize("method", [one.name for one in METHODS if "data" in one.needs])
def test_methods_with_needs_say_so(method, make_net, bare):
    with pytest.raises(DataError, match=f"the method '{method}.*needs training samples"):
        run(method, make_net(), bare, epochs=2)


@pytest.mark.parametrize("method", TRAINED)
def test_methods_that_train_refuse_no_epochs(method, make_net, context):
    with pytest.raises(ConfigError, match="works while it trains") as caught:
        run(method, make_net(), context)
    assert "epochs = 0" in str(caught.value)


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("snip", {"schedule": "cubic"}, "no such schedule"),
        ("obs", {"schedule": "iterative"}, "no such schedule"),
        ("magnitude", {"rounds": 2}, "set schedule = 'iterative'"),
        ("rigl", {"rounds": 2, "epochs": 1}, "leave rounds out"),
        ("magnitude", {"pattern": "2:4"}, "use the method 'nm'"),
        ("magnitude", {"schedule": "cubic"}, "works while it trains"),
        ("lottery", {"rounds": 3, "epochs": 3}, "4 or more"),
        ("nm", {"pattern": "2:4", "sparsity": 0.7}, "leave sparsity out"),
        ("nm", {"pattern": "2:3"}, "no multiple of 3"),
    ],
)
def test_options_that_would_be_ignored_are_refused(method, options, words, make_net, context):
    with pytest.raises((ConfigError, ModelError)) as caught:
        run(method, make_net(), context, **options)
    assert words in str(caught.value)


def test_magnitude_removes_the_smallest(make_net, bare):
    model = make_net()
    before = torch.cat([weight.flatten() for weight in weights(model).values()])
    after = torch.cat([weight.flatten() for weight in weights(run("magnitude", make_net(), bare).model).values()])
    assert torch.equal(after, torch.where(before.abs() > before.abs().sort().values[447], before, 0.0))


def test_rounds_without_training_are_one(make_net, bare):
    one = run("magnitude", make_net(), bare, sparsity=0.8).model
    many = run("magnitude", make_net(), bare, sparsity=0.8, schedule="iterative", rounds=4).model
    assert all(torch.equal(weights(one)[name], weights(many)[name]) for name in WEIGHTS)


def test_rounds_train_between(make_net, context):
    """2 rounds with 4 epochs are the first round's pruning, 2 epochs, the second's, 2 epochs."""
    first = run("magnitude", make_net(), context, sparsity=1 - 0.2**0.5, epochs=2).model
    expected = run("magnitude", first, context, sparsity=0.8, epochs=2).model
    found = run("magnitude", make_net(), context, sparsity=0.8, schedule="iterative", rounds=2, epochs=4).model
    assert all(torch.equal(weights(expected)[name], weights(found)[name]) for name in WEIGHTS)


def test_layers_left_out_stay_and_are_named(make_net, bare):
    outcome = run("magnitude", make_net(), bare, exclude=("7",))
    assert torch.equal(outcome.model[7].weight, make_net()[7].weight)
    assert outcome.notes == ("left dense: 7 (excluded)",)
    assert outcome.facts["weights"] == 864


def test_a_layer_of_which_nothing_is_left_is_named(make_net, bare):
    model = make_net()
    with torch.no_grad():
        model[7].weight.mul_(1e-6)
    outcome = run("magnitude", model, bare)
    assert outcome.notes == ("nothing is left of: 7; try scope = 'layer', or exclude",)
    assert run("magnitude", model, bare, scope="layer").notes == ()


def test_snips_sensitivity_is_the_derivative_by_a_connection(make_net, context, monkeypatch):
    """The oracle: the mean loss of two batches, in training mode, with one connection c_j changed by ± ε."""
    monkeypatch.setattr(snip_module, "BATCH", 32)
    model = make_net()
    state = copy.deepcopy(model.state_dict())
    masks = Masks(model)
    found = sensitivity(mean_gradients(model, masks, context, 64, "a test"), masks.weights())
    assert not model.training
    assert all(torch.equal(model.state_dict()[name], state[name]) for name in ("1.running_mean", "1.running_var"))
    batches = list(context.batches("a test", 2, 32, labels=True))

    def loss(position, factor):
        net = make_net().double().train()
        with torch.no_grad():
            net[3].weight.view(-1)[position] *= factor
        return np.mean([torch.nn.functional.cross_entropy(net(b.x.double()), b.labels).item() for b in batches])

    for position in (0, 100, 575):
        derivative = (loss(position, 1 + 1e-4) - loss(position, 1 - 1e-4)) / 2e-4
        assert found[1].flatten()[position].item() == pytest.approx(abs(derivative), rel=1e-3, abs=1e-8)


@pytest.mark.parametrize("pattern", ["2:4", "1:4", "4:8"])
@pytest.mark.parametrize("method", ["nm", "sr_ste"])
def test_the_pattern_is_the_one_that_tensor_cores_take(method, pattern, make_net, context):
    """Checked by what the TensorRT target itself looks for: neighbours along the input channels, axis 1."""
    kept, group = map(int, pattern.split(":"))
    net = make_net()
    outcome = run(method, net, context, pattern=pattern, epochs=1)
    assert has_pattern(outcome.model[3].weight.detach().numpy(), 1, kept, group)
    assert has_pattern(outcome.model[7].weight.detach().numpy(), 1, kept, group)
    assert int((outcome.model[3].weight == 0).sum()) == 576 * (group - kept) // group
    if group == 8:
        assert (outcome.model[0].weight != 0).all()
        assert outcome.notes == ("left dense: 0 (4 input channels are no multiple of 8)",)
    else:
        assert has_pattern(outcome.model[0].weight.detach().numpy(), 1, kept, group)


def test_grouped_and_transposed_convolutions_in_a_pattern(bare):
    model = torch.nn.Sequential(
        torch.nn.Conv2d(8, 8, 3, groups=8), torch.nn.ConvTranspose2d(8, 8, 3), torch.nn.Conv2d(8, 8, 3, groups=2)
    )
    outcome = run("nm", model, bare)
    assert (model[0].weight != 0).all() and (model[1].weight != 0).all()
    assert has_pattern(model[2].weight.detach().numpy(), 1)
    assert "0 (1 input channels are no multiple of 4), 1 (transposed" in outcome.notes[0]


@pytest.mark.parametrize("method", [obs, l_obs])
def test_brain_surgery_errs_less_than_zeroing_on_its_own_mask_and_than_magnitude(method, make_net, context):
    """In every layer, by the layer's own output error on the calibration samples."""
    model = make_net()
    options = Sparsify(method=method.__name__, samples=64, scope="layer", sparsity=0.6)
    found = hessians(model, {name: model[int(name)] for name in "037"}, context, 64, "a test")
    magnitude = run("magnitude", make_net(), context, sparsity=0.6, scope="layer").model
    outcome = method(make_net(), options, context)
    for name, h in found.items():
        before = model[int(name)].weight.detach().double().flatten(1)

        def error(other, before=before, h=h):
            change = other.detach().double().flatten(1) - before
            return ((change @ h[0]) * change).sum().item() / 2

        after = outcome.model[int(name)].weight
        assert error(after) < error(before * (after.flatten(1) != 0))
        assert error(after) < error(magnitude[int(name)].weight)


def test_brain_surgery_works_on_groups(context):
    """A grouped convolution is two convolutions: same weights as on their own."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(4, 6, 3, groups=2), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    halves = [torch.nn.Sequential(torch.nn.Conv2d(4, 3, 3)) for _ in range(2)]
    for group, half in enumerate(halves):
        with torch.no_grad():
            half[0].weight.zero_()
            half[0].weight[:, 2 * group : 2 * group + 2] = model[0].weight[3 * group : 3 * group + 3]
    outcome = run("l_obs", copy.deepcopy(model), context, samples=64, scope="layer")
    h = hessians(model, {"0": model[0]}, context, 64, "a test")["0"]
    for group, half in enumerate(halves):
        full = hessians(half, {"0": half[0]}, context, 64, "a test")["0"]
        rows = slice(18 * group, 18 * group + 18)
        assert torch.allclose(h[group], full[0, rows, rows])
    assert zeros_of(outcome.model[0].weight) == 54


def zeros_of(weight):
    return int((weight == 0).sum())
