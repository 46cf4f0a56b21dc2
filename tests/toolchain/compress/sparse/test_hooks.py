"""What methods do in every step of a training, and that a stopped one goes on to the same bits."""

import dataclasses
import itertools

import pytest
import torch

from toolchain.compress.catalogue import find_method
from toolchain.compress.passes import implementation
from toolchain.compress.sparse.lottery import Snapshot, search
from toolchain.compress.sparse.masks import Masks
from toolchain.compress.sparse.movement import Movement
from toolchain.compress.sparse.nm import DECAY, SrSte
from toolchain.compress.sparse.rigl import RigL, kept_counts, moved
from toolchain.compress.sparse.schedules import Cosine, Cubic
from toolchain.compress.sparse.selection import keep_mask
from toolchain.compress.sparse.surgery import THRESHOLDS, Surgery
from toolchain.compress.sparse.training import Gradual, MaskHook
from toolchain.frontend.specs import TrainSpec
from toolchain.frontend.train.hooks import Hook, TrainingState
from toolchain.project.recipe import Sparsify


class Watch(Hook):
    """Writes down the masks' counts before every step's update."""

    def __init__(self, masks):
        self.masks, self.counts, self.seen = masks, [], []

    def after_backward(self, state):
        self.counts.append([int(mask.sum()) for mask in self.masks.masks()])
        self.seen.append([mask.clone() for mask in self.masks.masks()])


def line(values):
    """A linear layer with one output and these weights, its masks, and a state as within a training of 100 steps."""
    model = torch.nn.Sequential(torch.nn.Linear(len(values), 1, bias=False))
    model[0].weight.data.copy_(torch.tensor([values]))
    masks = Masks(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return masks, TrainingState(model, optimizer, TrainSpec(), 100, "cpu")


def test_gradual_sparsity_follows_the_cubic_schedule_step_by_step(make_net, context):
    """8 epochs of 4 steps; what is gone stays gone."""
    model = make_net()
    masks = Masks(model)
    schedule = Cubic(0.8, updates=6)
    watch = Watch(masks)
    context.fit(model, "a test", epochs=8, lr=0.01, hooks=[Gradual(masks, schedule, "global"), watch])
    assert len(watch.counts) == 32
    for step, counts in enumerate(watch.counts):
        latest = max(before for before in range(step + 1) if schedule.due(before, 32))
        assert abs(896 - sum(counts) - 896 * schedule.sparsity(latest, 32)) <= 0.5
    for before, after in itertools.pairwise(watch.seen):
        assert all((b | ~a).all() for b, a in zip(before, after, strict=True))


def test_a_training_too_short_for_the_schedule_ends_with_its_share(make_net, context):
    model = make_net()
    masks = Masks(model)
    short = dataclasses.replace(context, training=dataclasses.replace(context.training, batch=64))
    short.fit(model, "a test", epochs=1, lr=0.01, hooks=[Gradual(masks, Cubic(0.5), "global")])
    assert sum(int(mask.sum()) for mask in masks.masks()) == 448


def test_masked_weights_get_no_gradient_and_keep_no_momentum():
    masks, state = line([1.0, 2.0, 3.0])
    masks.set([torch.tensor([[True, False, True]])])
    hook, weight = MaskHook(masks), masks.layers[0].weight
    for _ in range(2):
        state.model(torch.ones(1, 3)).sum().backward()
        hook.after_backward(state)
        assert weight.grad.tolist() == [[1.0, 0.0, 1.0]]
        state.optimizer.step()
        hook.after_step(state)
        state.optimizer.zero_grad()
    assert weight.tolist() == [[pytest.approx(1 - 0.1 - 0.19), 0.0, pytest.approx(3 - 0.29)]]


def test_movement_scores_are_minus_the_sum_of_gradient_times_weight():
    """Gradients of all weights count, masked ones too; weights behind the mask keep their values."""
    masks, state = line([1.0, 2.0, -3.0])
    masks.set([torch.tensor([[True, False, True]])])
    hook, weight = Movement(masks, Cubic(0.5), "layer"), masks.layers[0].weight
    hook.start(state)
    for gradient in ([1.0, 1.0, 1.0], [0.5, -2.0, 0.0]):
        weight.grad = torch.tensor([gradient])
        hook.after_backward(state)
        assert weight.grad[0, 1] == 0
        hook.after_step(state)
    assert hook.scores()[0].tolist() == [[-1.5, -2.0 + 4.0, 3.0]]
    assert weight.tolist() == [[1.0, 2.0, -3.0]]
    state.step = 75
    hook.after_backward(state)
    assert hook.scores()[0].tolist() == [[-1.5, 2.0, 3.0]], "with the last update scores are final"


def test_movement_removes_what_falls_and_lets_it_come_back():
    """Of four weights the two with the lowest scores go, the largest of all among them; later another score wins."""
    masks, state = line([9.0, 1.0, 1.0, 1.0])
    hook = Movement(masks, Cubic(0.5), "layer")
    hook.start(state)
    state.step = 75
    hook.scores()[0].copy_(torch.tensor([[-1.0, 0.0, 2.0, 1.0]]))
    hook.before_step(state)
    assert masks.masks()[0].tolist() == [[False, False, True, True]]
    hook.scores()[0].copy_(torch.tensor([[5.0, 0.0, 2.0, 1.0]]))
    hook.before_step(state)
    assert masks.masks()[0].tolist() == [[True, False, True, False]]


def test_surgery_has_two_thresholds():
    """Kept 1.0, 0.95, 0.85 and pruned 1.05, 1.2: cut at b = 1.2 x 0.9 / 1.1 ... between them nothing changes."""
    masks, state = line([1.0, 0.95, 0.85, 1.05, 1.2])
    masks.set([torch.tensor([[True, True, True, False, False]])])
    hook = Surgery(masks, Cubic(0.4, initial=0.4), "layer")
    hook.before_step(state)
    assert masks.masks()[0].tolist() == [[True, True, False, False, True]], "0.85 x 1.22 < 1.05 < 0.95 x 1.22 < 1.2"
    hook.before_step(state)
    assert masks.masks()[0].tolist() == [[True, True, False, False, True]], "and so it stays"
    assert pytest.approx(11 / 9) == THRESHOLDS


def test_surgery_trains_what_is_pruned_until_it_is_spliced_back():
    masks, state = line([1.0, 0.5])
    hook, weight = Surgery(masks, Cubic(0.5, initial=0.5), "layer"), masks.layers[0].weight
    hook.before_step(state)
    assert masks.masks()[0].tolist() == [[True, False]]
    for _ in range(4):
        state.optimizer.zero_grad()
        state.model(torch.tensor([[0.0, -1.0]])).sum().backward()
        hook.after_backward(state)
        state.optimizer.step()
        hook.after_step(state)
    assert weight[0, 1] > THRESHOLDS
    hook.before_step(state)
    assert masks.masks()[0].tolist() == [[False, True]]


def test_rigl_drops_the_smallest_and_grows_where_gradients_are_largest():
    """Active: 5, 1, 4, 2 (first four); gradients of the others 3, 9, 1. The dropped 2 has the largest of all."""
    weight = torch.tensor([5.0, -1.0, 4.0, 2.0, 0.0, 0.0, 0.0])
    gradient = torch.tensor([99.0, 2.0, 0.0, 10.0, -3.0, 9.0, 1.0])
    mask = torch.tensor([True, True, True, True, False, False, False])
    assert moved(weight, gradient, mask, 4, 1).nonzero()[:, 0].tolist() == [0, 2, 3, 5]
    assert moved(weight, gradient, mask, 4, 2).nonzero()[:, 0].tolist() == [0, 2, 3, 5]
    assert moved(weight, gradient, mask, 4, 3).nonzero()[:, 0].tolist() == [0, 3, 4, 5]
    assert torch.equal(moved(weight, gradient, mask, 4, 0), mask)


def test_what_rigl_grows_starts_at_zero_without_momentum():
    masks, state = line([5.0, 1.0, 7.0])
    masks.set([torch.tensor([[True, True, False]])])
    weight = masks.layers[0].weight
    state.optimizer.state[weight]["momentum_buffer"] = torch.ones(1, 3)
    weight.grad = torch.tensor([[0.0, 1.0, 2.0]])
    state.step = 7
    RigL(masks, [2], Cosine(alpha=1.0, interval=7, moves=1)).after_backward(state)
    assert masks.masks()[0].tolist() == [[True, False, True]]
    assert weight.tolist() == [[5.0, 0.0, 0.0]]
    assert weight.grad.tolist() == [[0.0, 0.0, 2.0]]
    assert state.optimizer.state[weight]["momentum_buffer"].tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_rigl_is_equally_sparse_in_every_step_and_moves(make_net, context, scope):
    model = make_net()
    masks = Masks(model)
    kept = kept_counts(masks, 0.7, scope)
    masks.set([keep_mask(s, s.numel() - k) for s, k in zip(masks.magnitudes(), kept, strict=True)])
    watch = Watch(masks)
    context.fit(model, "a test", epochs=4, lr=0.01, hooks=[RigL(masks, kept, Cosine()), watch])
    assert watch.counts == [kept] * 16 and sum(kept) == (269 if scope == "global" else 86 + 173 + 10)
    changes = sum(not torch.equal(a[1], b[1]) for a, b in itertools.pairwise(watch.seen))
    assert changes >= 5


def test_sr_ste_is_the_papers_update():
    """W' = W - γ (g(W̃) + λ (Ē ⊙ W)), without momentum; the mask follows W."""
    masks, state = line([3.0, 1.0, 2.0, 0.5])
    weight, hook = masks.layers[0].weight, SrSte(masks, 2, 4)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    hook.before_step(state)
    state.model(torch.tensor([[1.0, -20.0, 2.0, 3.0]])).sum().backward()
    hook.after_backward(state)
    optimizer.step()
    expected = [3 - 0.1, 1 - 0.1 * (-20 + DECAY * 1), 2 - 0.2, 0.5 - 0.1 * (3 + DECAY * 0.5)]
    assert weight.tolist() == [pytest.approx(expected, rel=1e-6)]
    hook.finish(state)
    assert masks.masks()[0].tolist() == [[True, True, False, False]]


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_ticket_has_the_weights_of_the_early_step(make_net, context, rounds):
    """Survivors equal, bit by bit, those of a training of the same length, looked at where a tenth of it is over."""
    model = make_net()
    early = Snapshot(0.1)
    context.fit(model, "a test", epochs=5, lr=0.05, hooks=[early])
    options = Sparsify(method="lottery", sparsity=0.6, rounds=rounds, lr=0.05)
    ticket = make_net()
    masks = search(ticket, options, context, [5] * rounds)
    kept = [mask.clone() for mask in masks.masks()]
    masks.fold()
    state = ticket.state_dict()
    assert sum(int(mask.sum()) for mask in kept) == 896 - 538
    for name, mask in zip(("0.weight", "3.weight", "7.weight"), kept, strict=True):
        assert torch.equal(state[name], early.state[name] * mask)
        assert not torch.equal(state[name], make_net().state_dict()[name] * mask), "not those of step 0"
    for name in ("0.bias", "1.running_mean", "1.num_batches_tracked", "7.bias"):
        assert torch.equal(state[name], early.state[name])


def test_the_snapshot_is_taken_at_its_step(make_net, context):
    """A tenth of 20 steps: after 2, as a training that is stopped there (same schedule) would leave it."""
    early, seen = Snapshot(0.1), []

    class Look(Hook):
        def after_step(self, state):
            seen.append({name: value.clone() for name, value in state.model.state_dict().items()})

    context.fit(make_net(), "a test", epochs=5, hooks=[early, Look()])
    assert all(torch.equal(value, seen[1][name]) for name, value in early.state.items())


class Stop(Exception):
    """Stands for a power cut."""


RUNS = [
    {"method": "magnitude", "schedule": "cubic"},
    {"method": "magnitude", "schedule": "iterative", "rounds": 3},
    {"method": "movement"},
    {"method": "surgery"},
    {"method": "rigl"},
    {"method": "lottery", "rounds": 2},
    {"method": "sr_ste"},
]


@pytest.mark.parametrize("options", RUNS, ids=lambda options: options["method"])
def test_a_stopped_run_goes_on_to_the_same_bits(options, make_net, context, tmp_path):
    """6 epochs of 4 steps; stopped in the middle of an epoch, in the middle of what the method does."""
    chosen = Sparsify(epochs=6, lr=0.05, **options)
    carry_out = implementation(find_method("sparsify", chosen.method))
    steps = []

    def stop(done, total, text):
        if text.startswith("epoch"):
            steps.append(done)
            if len(steps) == 14:
                raise Stop

    whole = carry_out(make_net(), chosen, context)
    with pytest.raises(Stop):
        carry_out(make_net(), chosen, dataclasses.replace(context, work=tmp_path, progress=stop))
    again = dataclasses.replace(context, work=tmp_path, progress=lambda done, total, text: steps.append(done))
    resumed = carry_out(make_net(), chosen, again)
    assert len(steps) - 14 < 24, "something was taken up"
    different = [k for k, v in whole.model.state_dict().items() if not torch.equal(v, resumed.model.state_dict()[k])]
    assert not different
    assert whole.facts == resumed.facts


HOOKS = {
    "fixed": MaskHook,
    "cubic": lambda masks: Gradual(masks, Cubic(0.5), "global"),
    "cubic by layer": lambda masks: Gradual(masks, Cubic(0.5), "layer"),
    "movement": lambda masks: Movement(masks, Cubic(0.5), "global"),
    "surgery": lambda masks: Surgery(masks, Cubic(0.5, initial=0.5), "global"),
    "rigl": lambda masks: RigL(masks, kept_counts(masks, 0.5, "global"), Cosine()),
    "sr_ste": lambda masks: SrSte(masks, 2, 4),
    "lottery": lambda masks: Snapshot(0.5),
}


@pytest.mark.parametrize("name", HOOKS)
def test_no_step_waits_for_an_accelerator_or_mixes_devices(name, make_net):
    """Torch's "meta" device has no values: to look at one is an error there, and so is a tensor from the CPU."""
    model = make_net().train()
    masks = Masks(model)
    hook = HOOKS[name](masks)
    model.to("meta")
    state = TrainingState(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), TrainSpec(), 8, "meta")
    hook.start(state)
    for _ in range(8):
        hook.before_step(state)
        state.optimizer.zero_grad()
        model(torch.ones(2, 4, 6, 6, device="meta")).sum().backward()
        hook.after_backward(state)
        state.optimizer.step()
        hook.after_step(state)
        state.step += 1
    hook.finish(state)
    with pytest.raises(RuntimeError):
        float(model[0].bias.detach().sum())
    with pytest.raises(RuntimeError):
        model[0].bias * torch.ones(8)
