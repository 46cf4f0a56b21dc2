"""Parameters of the array: what can be built, and what cannot."""

import pytest

from profiles.errors import ConfigError
from targets.tvm_fpga.geometry import LANES, Geometry


@pytest.mark.parametrize("lanes", LANES)
def test_every_size_has_its_peak_and_passes(lanes):
    geometry = Geometry(lanes=lanes)
    assert geometry.macs_per_cycle == lanes**2
    assert (geometry.passes - 1) * lanes < 9 <= geometry.passes * lanes


@pytest.mark.parametrize(
    "given",
    [
        {"lanes": 12},
        {"port": 4},
        {"activations": 1000},
        {"activations": 1 << 21},
        {"weights": 8},
        {"parameters": 1 << 13},
        {"accumulators": 0},
        {"line": -16},
    ],
)
def test_what_cannot_be_built_is_refused(given):
    with pytest.raises(ConfigError) as caught:
        Geometry(**given)
    (name, value), error = next(iter(given.items())), caught.value
    assert name in error.wanted and error.seen == str(value) and error.allowed


def test_it_survives_as_plain_data():
    geometry = Geometry(lanes=8, port=16, weights=64)
    assert Geometry(**geometry.as_dict()) == geometry
