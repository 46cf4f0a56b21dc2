"""The whole step: teachers, students, several losses, prunings, and what is refused."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.nn.utils import parametrize, prune

from profiles.errors import ConfigError, DataError, ModelError, UnsupportedError
from toolchain.compress.catalogue import find_method, names
from toolchain.compress.distill.modes import confidences, fuse
from toolchain.compress.distill.setup import objective
from toolchain.compress.distill.step import distill, loss_classes
from toolchain.compress.distill.term import Term
from toolchain.frontend.train import train
from toolchain.frontend.weights import save_weights
from toolchain.project.recipe import Distill, Teacher

MODES = {"sequential", "multi_teacher", "confidence", "low_resolution"}
LOSSES = [name for name in names("distill") if name not in MODES]
#: Those that need neither logits nor maps.
ANYWHERE = ["kd", "fitnets", "ab", "vid", "rkd", "sp", "cc", "irg", "crd"]
#: Learning rates small enough for losses with large weights.
RATES = {"kd": 0.02, "logit_std": 0.002, "sp": 0.01, "attention": 0.005, "fitnets": 0.002, "crd": 1e-4}


def weights_file(model, path):
    save_weights(model, path)
    return path


def fitted(model, context, options):
    """The losses of every epoch of the distillation alone."""
    with objective(model, [context.start], options, loss_classes(options, 1), context) as (loss, _):
        return context.fit(model, "a test", epochs=options.epochs, lr=options.lr, objective=loss)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_falls_and_leaves_the_teacher_alone(images, net, name):
    teacher = net((5, 6, 9), seed=7)
    before = copy.deepcopy(teacher.state_dict())
    context = dataclasses.replace(images, start=teacher)
    options = Distill(loss=name, alpha=1.0, epochs=4, lr=RATES.get(name, 0.01))
    student = net((3, 4, 5))
    losses = fitted(student, context, options)
    assert losses[-1] < losses[0], f"{name} did not fall: {losses}"
    assert all(torch.equal(value, teacher.state_dict()[key]) for key, value in before.items())
    assert all(not module._forward_hooks for model in (student, teacher) for module in model.modules())
    assert not student.training and not any(p.requires_grad and p.grad is not None for p in teacher.parameters())


def test_the_student_moves_towards_the_teacher(images, net):
    teacher = net((5, 6, 9), seed=7)
    context = dataclasses.replace(images, start=teacher)
    x = torch.from_numpy(images.data.test.batch(np.arange(8)))

    def apart(model):
        with torch.no_grad():
            return functional.mse_loss(functional.softmax(model(x), 1), functional.softmax(teacher(x), 1)).item()

    student = net((3, 4, 5))
    before = apart(student)
    outcome = distill(student, Distill(epochs=15, lr=0.05, alpha=1.0, temperature=1.0), context)
    assert outcome.model is student and apart(student) < before / 3
    assert outcome.facts["losses"] == ["kd"] and outcome.facts["alpha"] == 1.0


@pytest.mark.parametrize("name", ANYWHERE)
def test_reconstruction_learns_from_every_loss_that_says_so(vectors, name):
    assert find_method("distill", name).tasks == ("any",)

    def coder(width, seed):
        torch.manual_seed(seed)
        layers = [torch.nn.Linear(12, width), torch.nn.ReLU(), torch.nn.Linear(width, 3), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers, torch.nn.Linear(3, 12)).eval()

    context = dataclasses.replace(vectors, start=coder(8, 1))
    student = coder(5, 0)
    losses = fitted(student, context, Distill(loss=name, alpha=0.9, epochs=3, lr=RATES.get(name, 0.005)))
    assert losses[-1] < losses[0]


def test_losses_without_an_answer_for_a_task_say_so(vectors):
    start = torch.nn.Sequential(torch.nn.Linear(12, 4), torch.nn.ReLU(), torch.nn.Linear(4, 12)).eval()
    context = dataclasses.replace(vectors, start=start)
    for name in ("dkd", "logit_std"):
        assert find_method("distill", name).tasks == ("classification",)
        with pytest.raises(UnsupportedError, match="class logits"):
            distill(copy.deepcopy(start), Distill(loss=name), context)


def test_a_head_with_two_outputs_learns_by_features_and_by_squared_errors(unlabelled, net):
    teacher = net((5, 6, 9), seed=7, boxes=4)
    context = dataclasses.replace(unlabelled, start=teacher)
    plain = dataclasses.replace(context, task="reconstruction")
    losses = fitted(net(boxes=4), plain, Distill(loss=("kd", "fitnets", "sp"), alpha=1.0, epochs=3, lr=0.001))
    assert losses[-1] < losses[0]
    with pytest.raises(ConfigError, match="one output") as caught:
        distill(net(boxes=4), Distill(loss="fitnets", alpha=0.5), context)
    assert "alpha = 1" in caught.value.next_step


def test_the_loss_is_the_weighted_sum_of_task_and_terms(images, net):
    teacher, student = net((5, 6, 9), seed=7), net()
    options = Distill(loss=("kd", "sp"), alpha=0.7, temperature=2.0)
    batch = next(images.batches("a test", 1, 8, labels=True))
    with objective(student, [teacher], options, loss_classes(options, 1), images) as (loss, pairs):
        output = student(batch.x)
        found = loss(output, batch)
        assert "teachers=[" in repr(loss) and "temperature=2.0" in repr(loss) and "alpha=0.7" in repr(loss)
        assert not list(loss.parameters()) and not loss.state_dict(), "the teacher is no part of the module"
    with torch.no_grad():
        shown = teacher(batch.x)
        p, log_q = functional.softmax(shown / 2, 1), functional.log_softmax(output / 2, 1)
        kd = 4 * (p * (p.log() - log_q)).sum(1).mean()
        last = [m.stage2(m.stage1(m.stage0(batch.x))).flatten(1) for m in (student, teacher)]
        g = [functional.normalize(rows @ rows.T, dim=1) for rows in last]
        wanted = 0.3 * functional.cross_entropy(output, batch.labels) + 0.7 * (kd + 3000 * ((g[0] - g[1]) ** 2).mean())
    assert torch.allclose(found, wanted, rtol=1e-4)
    assert pairs == [f"stage{i}.2 <- stage{i}.2" for i in range(3)]


def test_teachers_of_other_weights_have_other_names(images, net):
    options = Distill()

    def text(teacher):
        with objective(net(), [teacher], options, loss_classes(options, 1), images) as (loss, _):
            return repr(loss)

    assert text(net(seed=1)) == text(net(seed=1)) != text(net(seed=2))


def test_several_teachers_are_averaged(images, net):
    teachers = [net(seed=seed) for seed in (1, 2)]
    options = Distill(loss=("kd", "sp"), alpha=1.0)
    batch = next(images.batches("a test", 1, 8))
    student = net()

    def value(models, loss):
        wanted = options.model_copy(update={"loss": loss})
        with objective(student, models, wanted, loss_classes(wanted, len(models)), images) as (made, _):
            return made(student(batch.x), batch)

    assert torch.allclose(value(teachers, "sp"), sum(value([t], "sp") for t in teachers) / 2)
    with torch.no_grad():
        mean = sum(t(batch.x) for t in teachers) / 2
    p, log_q = functional.softmax(mean / 4, 1), functional.log_softmax(student(batch.x) / 4, 1)
    assert torch.allclose(value(teachers, "kd"), 16 * (p * (p.log() - log_q)).sum(1).mean(), rtol=1e-4)


def test_confident_teachers_count_more():
    right, wrong = torch.tensor([[4.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    labels = torch.tensor([0])
    costs = [-functional.log_softmax(z, 1)[0, 0] for z in (right, wrong)]
    shares = torch.stack(costs).exp() / torch.stack(costs).exp().sum()
    weights = confidences([right, wrong], labels)
    assert torch.allclose(weights[:, 0], 1 - shares) and weights[0, 0] > 0.9
    assert torch.allclose(fuse([right, wrong], labels, by_confidence=True), weights[0] * right + weights[1] * wrong)
    three = confidences([right, right, wrong], labels)
    assert torch.allclose(three.sum(0), torch.ones(1))
    with pytest.raises(UnsupportedError, match="confidence"):
        fuse([right, wrong], None, by_confidence=True)


def test_teachers_come_from_files(images, net, tmp_path):
    context = dataclasses.replace(images, start=net(seed=3), root=tmp_path)
    weights_file(net(seed=5), tmp_path / "other.safetensors")
    options = Distill(weights=tmp_path / "other.safetensors", epochs=1, lr=0.01)
    (tmp_path / "mine.py").write_text(
        "import torch\ndef make(): return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))\n"
    )
    outcome = distill(net(), options, context)
    assert outcome.facts["teachers"] == ["the model that the recipe began with"]
    several = (Teacher(), Teacher(source="mine:make"))
    outcome = distill(net(), Distill(teacher=several, loss="confidence", epochs=1, lr=0.01), context)
    assert outcome.facts["teachers"] == ["the model that the recipe began with", "mine:make"]
    student = distill(net(), Distill(student="mine:make", epochs=1, lr=0.01), context).model
    assert isinstance(student[1], torch.nn.Linear), "a student in the model's place"


@pytest.fixture
def taught(monkeypatch):
    """Who learned from whom, with ``context.load`` and training left out: (student, teachers) in order."""
    from toolchain.compress.distill import step

    lessons = []
    monkeypatch.setattr(step, "_learn", lambda student, teachers, *_, **__: lessons.append((student, teachers)) or {})
    return lessons


def test_assistants_learn_first_and_trained_teachers_teach_in_turn(images, net, taught, monkeypatch, tmp_path):
    start, student = net(seed=9), net()
    made = {}

    def load(self, source, weights):
        return made.setdefault(source, net(seed=len(made)))

    monkeypatch.setattr(type(images), "load", load)
    context = dataclasses.replace(images, start=start)
    chain = tuple(Teacher(source=f"zoo:{name}", weights=w) for name, w in [("a", "a.pt"), ("b", None), ("c", None)])
    distill(student, Distill(teacher=chain, loss="sequential"), context)
    a, b, c = (made[f"zoo:{name}"] for name in "abc")
    assert [(s, *t) for s, t in taught] == [(b, a), (c, b), (student, c)]
    taught.clear()
    made.clear()
    turns = tuple(Teacher(source=f"zoo:{name}", weights="w.pt") for name in "ab")
    distill(student, Distill(teacher=turns, loss=("sequential", "dkd")), context)
    assert [(s, *t) for s, t in taught] == [(student, made["zoo:a"]), (student, made["zoo:b"])]


def test_a_chain_really_trains(images, net, tmp_path, monkeypatch):
    assistant = net((4, 5, 6), seed=2)
    before = copy.deepcopy(assistant.state_dict())
    monkeypatch.setattr(type(images), "load", lambda *_: assistant)
    context = dataclasses.replace(images, start=net((5, 6, 9), seed=7))
    options = Distill(teacher=(Teacher(), Teacher(source="zoo:x")), loss=("sequential", "fitnets"), epochs=1, lr=0.001)
    student = net()
    start = copy.deepcopy(student.state_dict())
    distill(student, options, context)
    assert not torch.equal(before["head.weight"], assistant.head.weight)
    assert not torch.equal(start["head.weight"], student.head.weight)


@pytest.mark.parametrize("resolution", [4, 3, 6])
def test_the_student_of_a_lower_resolution_takes_the_same_input(images, net, resolution):
    teacher = net(seed=7)
    context = dataclasses.replace(images, start=teacher)
    options = Distill(loss=("kd", "attention"), resolution=resolution, epochs=2, lr=0.01)
    outcome = distill(net(), options, context)
    x = torch.rand(2, 3, 8, 8)
    small = functional.avg_pool2d(x, 8 // resolution)
    small = functional.interpolate(small, (resolution, resolution), mode="bilinear", align_corners=False)
    assert torch.allclose(outcome.model(x), outcome.model.network(small), atol=1e-6)
    again = distill(outcome.model, options, context).model
    assert again.network is outcome.model.network, "a second distillation does not make it smaller twice"


def test_lower_resolutions_pair_and_pool_their_maps(images, net):
    with_layers = Distill(loss="fitnets", resolution=4, layers={"stage1": "stage1"}, epochs=1, lr=0.001)
    outcome = distill(net(), with_layers, dataclasses.replace(images, start=net(seed=7)))
    assert outcome.facts["pairs"] == ["stage1 <- stage1"], "names are those of the network inside"


def test_masked_students_learn_and_keep_their_masks(images, net):
    student = net()
    prune.random_unstructured(student.stage1[0], "weight", 0.5)

    class Mask(torch.nn.Module):
        def __init__(self, mask):
            super().__init__()
            self.register_buffer("mask", mask)

        def forward(self, weight):
            return weight * self.mask

    mask = (torch.arange(student.stage2[0].weight.numel()) % 2).reshape(student.stage2[0].weight.shape).float()
    parametrize.register_parametrization(student.stage2[0], "weight", Mask(mask))
    context = dataclasses.replace(images, start=net(seed=7))
    losses = fitted(student, context, Distill(loss=("kd", "fsp"), epochs=5, lr=0.01))
    assert losses[-1] < losses[0]
    assert bool((student.stage2[0].weight[mask == 0] == 0).all()), "what is masked is still masked"
    assert float((student.stage1[0].weight == 0).float().mean()) == 0.5


def test_training_in_bfloat16_gives_a_float32_loss(images, net):
    half = dataclasses.replace(images.training, precision="bf16")
    context = dataclasses.replace(images, start=net((5, 6, 9), seed=7), training=half)
    everything = tuple(name for name in LOSSES if name != "kd")
    losses = fitted(net(), context, Distill(loss=everything, alpha=0.5, epochs=1, lr=1e-5))
    assert np.isfinite(losses).all()


def test_all_losses_at_once_survive_a_stop(images, net, tmp_path):
    """The checkpoint holds what is trained along; what a stopped run goes on to is what one run gives."""
    context = dataclasses.replace(images, start=net((5, 6, 9), seed=7), work=tmp_path)
    options = Distill(loss=tuple(LOSSES), alpha=0.5, epochs=2, lr=1e-5)
    spec = dataclasses.replace(context.training, epochs=2, lr=1e-5)

    def run(student, on_progress=None):
        with objective(student, [context.start], options, loss_classes(options, 1), context) as (loss, _):
            path = tmp_path / ("stopped.pt" if on_progress else "whole.pt")
            train(student, images.data, spec, checkpoint=path, objective=loss, on_progress=on_progress)

    def stop(done, total, text):
        if text.startswith("epoch") and done == 3:
            raise KeyboardInterrupt

    whole, stopped = net(), net()
    run(whole)
    with pytest.raises(KeyboardInterrupt):
        run(stopped, stop)
    resumed = net()
    (tmp_path / "whole.pt").unlink()
    (tmp_path / "stopped.pt").rename(tmp_path / "whole.pt")
    run(resumed)
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in whole.state_dict().items())


def test_samples_without_labels_are_enough_where_labels_do_not_count(unlabelled, net):
    context = dataclasses.replace(unlabelled, start=net(seed=7))
    assert distill(net(), Distill(alpha=1.0, epochs=1, lr=0.01), context).facts["final_loss"] > 0
    with pytest.raises(DataError, match="labels"):
        distill(net(), Distill(alpha=0.9, epochs=1), context)
    with pytest.raises(DataError, match="'dkd' needs labels"):
        distill(net(), Distill(loss="dkd", alpha=1.0), context)


def test_no_epochs_change_nothing(images, net):
    student = net()
    before = copy.deepcopy(student.state_dict())
    outcome = distill(student, Distill(epochs=0), images)
    assert outcome.notes == ("no epochs: nothing was learned",)
    assert all(torch.equal(value, student.state_dict()[key]) for key, value in before.items())


def test_gradients_are_clipped_all_together(net):
    from toolchain.compress.distill.clip import ClipGradients
    from toolchain.frontend.train.hooks import TrainingState

    weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:]}], lr=1.0)
    state = TrainingState(net(), optimizer, None, 1, "cpu")
    for scale, wanted in ((10.0, [3.0, 4.0]), (0.1, [0.3, 0.4])):
        weights[0].grad, weights[1].grad = torch.tensor([3.0, 0]) * scale, torch.tensor([0, 4.0]) * scale
        ClipGradients(5.0).after_backward(state)
        assert [weights[0].grad[0].item(), weights[1].grad[1].item()] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_all_losses_train_on_a_gpu(images, net):
    context = dataclasses.replace(images, start=net((5, 6, 9), seed=7), device="cuda")
    student = distill(net(), Distill(loss=tuple(LOSSES), alpha=0.5, epochs=2, lr=1e-5), context).model
    assert all(value.device.type == "cpu" for value in student.state_dict().values())
    several = (Teacher(), Teacher())
    distill(net(), Distill(teacher=several, loss=("confidence", "crd"), resolution=4, epochs=1, lr=1e-5), context)


def test_diverging_training_is_an_error(images, net):
    start = net()
    with torch.no_grad():
        start.head.bias.fill_(float("nan"))
    with pytest.raises(ModelError, match="diverged"):
        distill(net(), Distill(epochs=1), dataclasses.replace(images, start=start))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"teacher": "zoo:resnet8"}, "a teacher must be trained"),
        ({"teacher": ()}, "at least one entry"),
        ({"loss": "sequential"}, "at least two teachers"),
        ({"loss": ("kd", "multi_teacher")}, "at least two teachers"),
        ({"loss": "confidence"}, "at least two teachers"),
        ({"loss": ("sequential", "confidence"), "teacher": (Teacher(), Teacher())}, "in turn or at once"),
        ({"loss": "low_resolution"}, "needs the student's resolution"),
        ({"resolution": 8}, "smaller than the images"),
        ({"loss": "fitnets", "layers": {"stage9": "stage1"}}, "no such layer"),
    ],
)
def test_options_that_do_not_fit_are_refused(images, net, settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        distill(net(), Distill(**settings), images)
    assert caught.value.seen


def test_resolution_is_for_images(vectors):
    start = torch.nn.Linear(12, 12).eval()
    with pytest.raises(ConfigError, match="images") as caught:
        distill(start, Distill(resolution=4), vectors)
    assert caught.value.seen == "(1, 12)"


@pytest.mark.parametrize("name", names("distill"))
def test_every_entry_of_the_catalogue_is_a_loss_or_a_mode(name):
    module, _, attribute = find_method("distill", name).implementation.partition(":")
    found = getattr(__import__(module, fromlist=[attribute]), attribute)
    assert (name in MODES) == (not isinstance(found, type)) and (name in MODES or issubclass(found, Term))
    assert name in MODES or getattr(found, "name", name) == name
