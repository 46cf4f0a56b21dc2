import pytest
import torch

from profiles.errors import ConfigError, MissingToolError, ModelError
from toolchain.frontend.zoo import pytorchcv

needs_package = pytest.mark.skipif(
    pytorchcv.importlib.util.find_spec("pytorchcv") is None, reason=f"SKIPPED: needs pytorchcv ({pytorchcv.INSTALL})"
)


@needs_package
def test_the_table_of_names_is_read_without_importing_the_package():
    names = pytorchcv.names()
    assert len(names) > 800, f"pytorchcv 0.0.74 has 867 networks, found {len(names)}"
    assert names["resnet50"] == "pytorchcv.models.resnet"


@needs_package
def test_a_small_network_with_its_own_head_and_without_in_place_activations():
    model = pytorchcv.build("resnet20_cifar10", classes=10, channels=1, size=(32, 32)).eval()
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 10)
    assert not [m for m in model.modules() if getattr(m, "inplace", False)]


@needs_package
def test_resnet50_has_its_published_size():
    model = pytorchcv.build("resnet50", classes=None, channels=None, size=None)
    assert sum(p.numel() for p in model.parameters()) == 25_557_032, "the package's own table says 25,557,032"


@needs_package
def test_unknown_names_get_the_nearest_one():
    with pytest.raises(ConfigError) as caught:
        pytorchcv.build("resnt50", classes=None, channels=None, size=None)
    assert "resnet50" in caught.value.next_step


@needs_package
def test_arguments_that_a_network_does_not_take_are_a_model_error():
    with pytest.raises(ModelError, match=r"num_classes in \[10, 100\]"):
        pytorchcv.build("resnet20_cifar10", classes=3, channels=None, size=None)


def test_without_the_package_the_error_names_the_command(monkeypatch):
    pytorchcv.names.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingToolError) as caught:
        pytorchcv.names()
    assert caught.value.next_step == "pip install --no-deps pytorchcv==0.0.74"


@needs_package
def test_with_a_size_the_last_pooling_covers_the_image_and_changes_nothing_at_the_published_size():
    sized = pytorchcv.build("mobilenet_wd4", classes=10, channels=3, size=(224, 224)).eval()
    plain = pytorchcv.build("mobilenet_wd4", classes=10, channels=3, size=None).eval()
    plain.load_state_dict(sized.state_dict())
    x = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        assert torch.equal(sized(x), plain(x))
        assert sized(torch.randn(2, 3, 40, 64)).shape == (2, 10)
