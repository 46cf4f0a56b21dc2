"""Whole regions: random ones, and three networks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import UnsupportedError
from targets.tvm_fpga.geometry import Geometry
from tests.targets.tvm_fpga.compiler.agree import agree
from tests.targets.tvm_fpga.networks import NETWORKS
from tests.targets.tvm_fpga.regions import random_region

#: Memories of the chip, down to what hardly holds a row.
DEPTHS = {
    "activations": st.sampled_from([128, 512, 2048]),
    "weights": st.sampled_from([128, 512, 4096]),
    "parameters": st.sampled_from([16, 128]),
    "accumulators": st.sampled_from([16, 64, 256]),
    "line": st.sampled_from([16, 128]),
    "raw": st.sampled_from([32, 1024]),
    "lanes": st.sampled_from([4, 8]),
    "port": st.sampled_from([8, 16]),
}


@settings(max_examples=50)
@given(st.integers(0, 1 << 30), st.fixed_dictionaries(DEPTHS))
def test_random_regions_agree_or_are_refused(seed, depths):
    """Several inputs and outputs, branches, additions, concatenations; whatever does not fit is refused in words."""
    try:
        agree(random_region(seed), Geometry(**depths), seed)
    except UnsupportedError as error:
        assert error.seen and error.allowed, str(error)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_agree(name):
    agree(NETWORKS[name](), Geometry(lanes=16))
