"""Which layers are paired, and what is kept of them."""

import pytest
import torch
from torch.nn import functional

from profiles.errors import ConfigError, ModelError
from toolchain.compress.distill.pairing import pair_layers, stages
from toolchain.compress.distill.taps import Taps, probe
from toolchain.compress.distill.term import outputs_of
from toolchain.frontend import ModelSpec
from toolchain.frontend.source import load_module

IMAGE = (torch.zeros(1, 3, 8, 8),)


def calls_of(model, inputs=IMAGE):
    return probe(model.eval(), inputs, "the model")[0]


def names(pairs):
    return [(own.name, other.name) for own, other in pairs]


def paired(student, teacher, layers=(), inputs=IMAGE):
    return pair_layers(calls_of(student, inputs), calls_of(teacher, inputs), dict(layers), (student, teacher))


def small(*modules):
    return torch.nn.Sequential(*modules)


def test_stages_end_before_each_change_of_resolution():
    net = load_module(ModelSpec("zoo:resnet8"))
    found = stages(calls_of(net, (torch.zeros(1, 3, 32, 32),)))
    assert [(call.name, call.shape) for call in found] == [
        ("1.relu", (16, 32, 32)),
        ("2.relu", (32, 16, 16)),
        ("3.relu", (64, 8, 8)),
    ]


def test_vectors_have_a_stage_for_each_width():
    net = load_module(ModelSpec("zoo:fc_autoencoder"))
    found = stages(calls_of(net, (torch.zeros(1, 640),)))
    assert [call.shape for call in found] == [(128,), (8,), (128,)], "the wide part, the bottleneck, the wide part"


def test_squeeze_and_excitation_makes_no_stage():
    class Squeeze(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.small = torch.nn.Conv2d(4, 4, 1), torch.nn.Linear(4, 2)
            self.wide, self.a, self.b, self.c = torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.ReLU(), torch.nn.ReLU()

        def forward(self, x):
            x = self.a(self.conv(x))
            gate = torch.sigmoid(self.wide(self.b(self.small(x.mean((2, 3))))))
            return self.c(x * gate[:, :, None, None])

    net = small(torch.nn.Conv2d(3, 4, 1), Squeeze(), Squeeze(), torch.nn.Flatten(), torch.nn.Linear(256, 2))
    assert [call.name for call in stages(calls_of(net))] == ["2.c"]


def test_functional_activations_leave_whole_layers_as_stages():
    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Conv2d(4, 5, 3, stride=2)
            self.head = torch.nn.Linear(5, 2)

        def forward(self, x):
            return self.head(functional.relu(self.second(functional.relu(self.first(x)))).mean((2, 3)))

    assert [call.name for call in stages(calls_of(Plain()))] == ["first", "second"]


def test_a_layer_that_is_called_several_times_is_seen_as_it_was_last():
    relu = torch.nn.ReLU()
    net = small(torch.nn.Conv2d(3, 4, 3), relu, torch.nn.Conv2d(4, 5, 3, stride=2), relu)
    call = next(call for call in calls_of(small(net, torch.nn.Flatten())) if call.name == "0.1")
    assert call.shape == (5, 2, 2)


def test_models_with_as_many_stages_pair_one_by_one_and_others_from_the_end(net):
    deep = net((5, 7, 9))
    shallow = small(torch.nn.Conv2d(3, 4, 3, stride=2, padding=1), torch.nn.ReLU())
    shallow = small(shallow, torch.nn.Conv2d(4, 6, 3, stride=2, padding=1), torch.nn.ReLU(), torch.nn.Flatten())
    assert names(paired(net(), deep)) == [(f"stage{i}.2", f"stage{i}.2") for i in range(3)]
    assert names(paired(shallow, deep)) == [("0.1", "stage1.2"), ("2", "stage2.2")]


def test_a_hidden_vector_does_not_shift_the_maps():
    def body():
        return small(torch.nn.Conv2d(3, 4, 1), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 1, stride=4), torch.nn.ReLU())

    other = small(*body(), torch.nn.Flatten(), torch.nn.Linear(16, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2))
    plain = small(body(), torch.nn.Flatten(), torch.nn.Linear(16, 2))
    assert names(paired(plain, other)) == [("0.1", "1"), ("0.3", "3")]


def test_a_pruned_network_pairs_by_name():
    def mlp(*widths):
        ins = (12, *widths)
        layers = [
            layer for a, b in zip(ins, widths, strict=False) for layer in (torch.nn.Linear(a, b), torch.nn.ReLU())
        ]
        return small(*layers, torch.nn.Linear(widths[-1], 12))

    vectors = (torch.zeros(1, 12),)
    wanted = [("3", "3"), ("5", "5"), ("7", "7")]
    assert names(paired(mlp(7, 5, 2, 6), mlp(8, 8, 4, 8), inputs=vectors)) == wanted


def test_named_layers_are_paired_in_the_order_of_the_student(net):
    pairs = paired(net(), net((5, 7, 9)), {"stage2": "stage1.0", "stage0.1": "stage0"})
    assert names(pairs) == [("stage0.1", "stage0"), ("stage2", "stage1.0")]


@pytest.mark.parametrize(
    ("layers", "who", "hint"),
    [({"stage2.relu": "stage2"}, "student", ""), ({"stage2": "stge2"}, "teacher", "did you mean 'stage2'?")],
)
def test_unknown_layers_are_named_with_the_nearest_one(net, layers, who, hint):
    with pytest.raises(ConfigError, match=f"{who} has no such layer") as caught:
        paired(net(), net(), layers)
    assert "stage0.2" in caught.value.allowed and hint in caught.value.next_step


def test_layers_that_do_not_fit_are_refused(net):
    with pytest.raises(ConfigError, match="number of axes") as caught:
        paired(net(), net(), {"stage2": "head"})
    assert "(8, 2, 2) and (3,)" in caught.value.seen
    idle = net()
    idle.idle = torch.nn.ReLU()
    with pytest.raises(ModelError, match="one tensor"):
        paired(idle, net(), {"idle": "stage0"})


def test_a_model_that_cannot_run_is_said_so(net):
    with pytest.raises(ModelError, match="the teacher must run on inputs of shape \\(1, 5, 8, 8\\)"):
        probe(net(), (torch.zeros(1, 5, 8, 8),), "the teacher")


def test_taps_keep_what_layers_gave_before_it_was_overwritten():
    net = small(torch.nn.Conv2d(3, 4, 1), torch.nn.ReLU(inplace=True), torch.nn.Flatten())
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    call = calls_of(net)[0]
    taps = Taps(net, [call])
    net(x)
    (kept,) = taps.take()
    assert call.overwritten and torch.equal(kept, net[0](x)) and bool((kept < 0).any())
    taps.close()
    assert not net[0]._forward_hooks


def test_tokens_are_turned_to_channels():
    net = small(torch.nn.Linear(6, 5), torch.nn.GELU(), torch.nn.Linear(5, 2))
    inputs = (torch.zeros(1, 7, 6),)
    call = calls_of(net, inputs)[1]
    taps = Taps(net, [call])
    net(inputs[0])
    assert call.shape == (5, 7) and taps.take()[0].shape == (1, 5, 7)
    sound = small(torch.nn.Conv1d(6, 5, 1), torch.nn.ReLU(), torch.nn.Flatten())
    assert calls_of(sound, (torch.zeros(1, 6, 9),))[1].shape == (5, 9), "convolutions have channels first"


def test_outputs_may_be_nested():
    a, b, c = (torch.full((1,), float(i)) for i in range(3))
    assert [value.item() for value in outputs_of((a, {"x": b, "y": [c]}))] == [0, 1, 2]
    assert outputs_of(None) == ()
