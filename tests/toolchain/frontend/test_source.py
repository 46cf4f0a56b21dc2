import sys
from pathlib import Path

import pytest
import torch

from profiles.errors import ConfigError, ModelError
from toolchain.frontend import InputSpec, ModelSpec
from toolchain.frontend.source import default_input, default_task, load_module
from toolchain.frontend.weights import save_weights

NET = """
import torch

class Holder:
    @staticmethod
    def small(width=4):
        return torch.nn.Linear(3, width)

READY = torch.nn.Linear(3, 2)
NUMBER = 3

def wrong():
    return "not a module"

def fails():
    raise RuntimeError("the weights moved out")
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "net_of_test_source.py").write_text(NET)
    yield tmp_path
    sys.modules.pop("net_of_test_source", None)


def same_weights(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_zoo_models_are_in_eval_mode_and_follow_their_seed():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = load_module(ModelSpec("zoo:resnet8", seed=3))
    assert torch.equal(before, torch.random.get_rng_state()), "loading must not disturb torch's random state"
    assert not first.training
    assert same_weights(first, load_module(ModelSpec("zoo:resnet8", seed=3)))
    assert not same_weights(first, load_module(ModelSpec("zoo:resnet8", seed=4)))


def test_zoo_models_adapt_to_classes_and_channels():
    spec = InputSpec((1, 1, 28, 28))
    model = load_module(ModelSpec("zoo:mobilenet_v1_025", classes=10, input=spec))
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_zoo_models_have_one_layout():
    with pytest.raises(ConfigError, match="takes the layout NCHW"):
        load_module(ModelSpec("zoo:resnet8", input=InputSpec((1, 32, 32, 3), "NHWC")))


def test_defaults_of_sources():
    assert default_input("zoo:dscnn") == InputSpec((1, 1, 49, 10))
    assert default_input("zoo:fc_autoencoder") == InputSpec((1, 640), "NC")
    assert default_input("zoo:pytorchcv/resnet18") is None
    assert default_input("net:make") is None
    assert default_task("zoo:fc_autoencoder") == "reconstruction"
    assert default_task("zoo:resnet8") == default_task("net:make") == "classification"


@pytest.mark.parametrize("source", ["resnet8", "model.onnx", "", "net.py"])
def test_sources_of_no_known_form(source):
    with pytest.raises(ConfigError, match="zoo:NAME"):
        load_module(ModelSpec(source))


def test_a_callable_from_a_file_beside_the_project(project):
    path_before = list(sys.path)
    spec = ModelSpec("net_of_test_source:Holder.small", root=project, options={"width": 7})
    assert load_module(spec)(torch.zeros(2, 3)).shape == (2, 7)
    assert sys.path == path_before


def test_a_ready_module_is_copied(project):
    spec = ModelSpec("net_of_test_source:READY", root=project)
    first = load_module(spec)
    first.weight.data.zero_()
    assert load_module(spec).weight.abs().sum() > 0, "training one build must not change the next one's start"


def test_a_module_of_the_same_name_in_another_project(project, tmp_path_factory):
    load_module(ModelSpec("net_of_test_source:READY", root=project))
    other = tmp_path_factory.mktemp("other")
    (other / "net_of_test_source.py").write_text("import torch\nREADY = torch.nn.Linear(9, 9)\n")
    model = load_module(ModelSpec("net_of_test_source:READY", root=other))
    assert model.in_features == 9, "the module must come from the project that asks"


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ("net_of_test_source:smal", ConfigError, "no 'smal'"),
        ("net_of_test_source:Holder.smal", ConfigError, "did you mean 'small'?"),
        ("net_of_test_sourc:small", ConfigError, "did you mean 'net_of_test_source'?"),
        ("net_of_test_source:NUMBER", ConfigError, "callable"),
        ("net_of_test_source:wrong", ModelError, "a str"),
        (
            "net_of_test_source:fails",
            ModelError,
            "RuntimeError: the weights moved out (net_of_test_source.py, line 16)",
        ),
        ("broken_of_test_source:make", ModelError, "SyntaxError"),
        ("needy_of_test_source:make", ModelError, "no_such_package_anywhere"),
    ],
)
def test_what_goes_wrong_in_user_code(project, source, kind, words):
    (project / "broken_of_test_source.py").write_text("def make(:\n")
    (project / "needy_of_test_source.py").write_text("import no_such_package_anywhere\n")
    with pytest.raises(kind) as caught:
        load_module(ModelSpec(source, root=project))
    assert words in str(caught.value), str(caught.value)


def test_weights_come_from_a_file_below_the_root(tmp_path):
    trained = load_module(ModelSpec("zoo:dscnn", seed=9))
    save_weights(trained, tmp_path / "w.safetensors")
    loaded = load_module(ModelSpec("zoo:dscnn", weights=Path("w.safetensors"), root=tmp_path))
    assert same_weights(trained, loaded)


def test_nan_in_a_callables_own_weights(tmp_path):
    (tmp_path / "nan_of_test_source.py").write_text(
        "import torch\ndef make():\n    m = torch.nn.Linear(2, 2)\n    m.bias.data[1] = float('nan')\n    return m\n"
    )
    with pytest.raises(ModelError, match="1 of 2 values of 'bias'"):
        load_module(ModelSpec("nan_of_test_source:make", root=tmp_path))


def test_pytorchcv_without_the_package(monkeypatch):
    from profiles.errors import MissingToolError
    from toolchain.frontend.zoo import pytorchcv

    pytorchcv.names.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingToolError):
        load_module(ModelSpec("zoo:pytorchcv/resnet18"))
