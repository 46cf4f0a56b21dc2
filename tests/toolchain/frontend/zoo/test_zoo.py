import pytest
import torch

from profiles.errors import ConfigError
from toolchain.frontend import ZOO, InputSpec, zoo_entry
from toolchain.frontend.macs import count
from toolchain.frontend.zoo import RECONSTRUCTION

ENTRIES = pytest.mark.parametrize("entry", ZOO.values(), ids=list(ZOO))

#: Of the reference models: weights that Keras lists ("Total params", statistics of batch normalisation
#: included) and multiply-accumulates. The field notes and MLPerf Tiny results round the latter to
#: 12.50 M, 2.66 M, 7.49 M and 0.264 M.
PUBLISHED = {
    "resnet8": (78_666, 12.50),
    "dscnn": (24_908, 2.66),
    "mobilenet_v1_025": (221_794, 7.49),
    "fc_autoencoder": (269_992, 0.26),
}


@ENTRIES
def test_size_and_work_are_the_published_ones(entry):
    model = entry.build().eval()
    stored = sum(value.numel() for name, value in model.state_dict().items() if "num_batches" not in name)
    _, macs = count(model, (torch.zeros(entry.input_shape),))
    assert stored == entry.stored == PUBLISHED[entry.name][0], f"{entry.name} stores {stored} weights"
    assert macs == entry.macs
    assert round(macs / 1e6, 2) == PUBLISHED[entry.name][1], f"{entry.name} has {macs} multiply-accumulates"


@ENTRIES
def test_default_output(entry):
    model = entry.build().eval()
    output = model(torch.randn(2, *entry.input_shape[1:]))
    assert output.shape == (2, entry.classes)
    assert torch.isfinite(output).all()
    InputSpec(entry.input_shape, entry.layout)
    assert entry.citation
    assert entry.title


@ENTRIES
def test_other_classes_and_channels(entry):
    if entry.task == RECONSTRUCTION:
        assert entry.build(channels=64).eval()(torch.randn(2, 64)).shape == (2, 64)
        return
    channels = 1 if entry.input_shape[1] == 3 else 3
    model = entry.build(classes=7, channels=channels).eval()
    assert model(torch.randn(2, channels, 33, 40)).shape == (2, 7), "odd and oblong images must work too"


@ENTRIES
def test_no_activation_works_in_place(entry):
    found = [type(m).__name__ for m in entry.build().modules() if getattr(m, "inplace", False)]
    assert not found, f"in-place activations hide groups from graph tracers: {found}"


@ENTRIES
def test_trains(entry):
    """Every weight gets a gradient from a batch of two."""
    model = entry.build().train()
    model(torch.randn(2, *entry.input_shape[1:])).square().mean().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert not without, f"these weights get no gradient: {without}"


def test_unknown_names_get_the_nearest_one():
    with pytest.raises(ConfigError) as caught:
        zoo_entry("resnet_8")
    assert caught.value.next_step == "did you mean 'resnet8'?"
    assert "zoo:dscnn" in caught.value.allowed
