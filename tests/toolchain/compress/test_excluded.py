"""What ``exclude`` leaves out."""

import pytest

from profiles.errors import ConfigError

torch = pytest.importorskip("torch", reason="compression works on torch modules")
from torch import nn  # noqa: E402

from toolchain.compress.excluded import excluded  # noqa: E402


def net():
    def block():
        return nn.ModuleDict({"conv": nn.Conv2d(1, 1, 1), "convert": nn.Linear(1, 1)})

    return nn.ModuleDict({"layer1": nn.ModuleList([block(), block()]), "layer10": nn.Linear(1, 1)})


def test_nothing_is_left_out_unless_named():
    assert excluded(net(), ()) == frozenset()


def test_a_name_stands_for_all_below_it_and_for_nothing_beside_it():
    assert excluded(net(), ("layer1.0",)) == {"layer1.0", "layer1.0.conv", "layer1.0.convert"}
    assert "layer10" not in excluded(net(), ("layer1",))
    assert excluded(net(), ("layer1.1.conv",)) == {"layer1.1.conv"}, "no prefix of a name"


def test_a_star_stands_for_any_text():
    assert excluded(net(), ("*.conv",)) == {"layer1.0.conv", "layer1.1.conv"}
    assert len(excluded(net(), ("*",))) == 8


@pytest.mark.parametrize(("pattern", "next_step"), [("layer2", "did you mean 'layer1'?"), ("x*", "use * for any text")])
def test_a_pattern_that_fits_nothing_is_an_error(pattern, next_step):
    with pytest.raises(ConfigError, match="exclude names a layer") as caught:
        excluded(net(), ("layer1", pattern))
    assert caught.value.seen == repr(pattern) and "layer10" in caught.value.allowed
    assert caught.value.next_step == next_step
