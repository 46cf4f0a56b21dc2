import pytest
import torch

from profiles.errors import ConfigError
from toolchain.frontend import ZOO, InputSpec, zoo_entry
from toolchain.frontend.macs import count
from toolchain.frontend.zoo import RECONSTRUCTION, pytorchcv

ENTRIES = pytest.mark.parametrize("entry", ZOO.values(), ids=list(ZOO))

#: Of the reference models: weights that Keras lists ("Total params", statistics of batch normalisation
#: included) and multiply-accumulates. The field notes and MLPerf Tiny results round the latter to
#: 12.50 M, 2.66 M, 7.49 M and 0.264 M. Those of the CIFAR networks are pytorchcv's, where it has the same network,
#: plus the statistics of batch normalisation; the papers round their parameters (see below).
PUBLISHED = {
    "resnet8": (78_666, 12.50),
    "dscnn": (24_908, 2.66),
    "mobilenet_v1_025": (221_794, 7.49),
    "fc_autoencoder": (269_992, 0.26),
    "resnet20": (272_474 + 1_568, 40.81),
    "resnet32": (466_906 + 2_464, 69.12),
    "resnet56": (855_770 + 4_256, 125.75),
    "wrn16_1": (175_994, 26.66),
    "densenet40": (176_122 + 5_088, 72.37),
    "mobilenetv2_cifar": (607_674, 26.32),
    "efficientnet_cifar": (1_099_356, 35.76),
    "micronet_m0": (240_726, 0.82),
    "condconv_mobilenet": (716_242, 12.70),
    "condconv_mobilenet_static": (716_242, 29.34),
}


@ENTRIES
def test_size_and_work_are_the_published_ones(entry):
    model = entry.build().eval()
    stored = sum(value.numel() for name, value in model.state_dict().items() if "num_batches" not in name)
    _, macs = count(model, (torch.zeros(entry.input_shape),))
    assert stored == entry.stored == PUBLISHED[entry.name][0], f"{entry.name} stores {stored} weights"
    assert macs == entry.macs
    assert round(macs / 1e6, 2) == PUBLISHED[entry.name][1], f"{entry.name} has {macs} multiply-accumulates"


@pytest.mark.parametrize(("name", "millions"), [("resnet20", 0.27), ("resnet32", 0.46), ("resnet56", 0.85)])
def test_without_their_shortcuts_the_resnets_have_the_papers_parameters(name, millions):
    """He et al. 2016, table 6; option A has no parameters, option B two convolutions and normalisations."""
    parameters = dict(ZOO[name].build().named_parameters())
    shortcuts = sum(p.numel() for key, p in parameters.items() if ".shortcut." in key)
    assert shortcuts == 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert round((sum(p.numel() for p in parameters.values()) - shortcuts) / 1e6, 2) == millions


@pytest.mark.parametrize("name", ["resnet20", "resnet56", "densenet40_k12_bc"])
def test_pytorchcv_counts_the_same(name):
    pytest.importorskip("pytorchcv", reason="SKIPPED: needs pytorchcv")
    theirs = pytorchcv.build(f"{name}_cifar10", classes=None, channels=None, size=None).eval()
    ours = ZOO[name.removesuffix("_k12_bc")].build().eval()
    x = torch.zeros(1, 3, 32, 32)
    assert count(ours, (x,)) == count(theirs, (x,))


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
