"""Whole networks on every emulated core, bit for bit, and on the host with sanitizers."""

import harness
import networks
import numpy as np
import pytest

CORES = ("cortex-m3-an385", "cortex-m4-an386", "cortex-m7-an500", "cortex-m33-an505", "cortex-m55-an547")
SAMPLES = 64


def mixed():
    """Max and average pools between convolutions, odd channel counts, a dilated and a grouped layer, a residual sum."""
    net = networks.Net((1, 24, 20, 3), seed=3)
    first = net.conv(9, 3)
    net.conv(9, 3, source=first)
    net.add(net.last, first)
    for kind, channels in (("MAX_POOL_2D", 10), ("AVERAGE_POOL_2D", 17)):
        net.pool(kind, 3, 2)
        net.conv(channels, (3, 1))
    net.depthwise()
    net.conv(24, 1)
    net.depthwise(5, 2)
    net.conv(7, 1, act=networks.NONE)
    net.head(5)
    return net.bytes()


NETWORKS = {"resnet8": networks.resnet8, "dscnn": networks.dscnn, "mixed": mixed}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    model = NETWORKS[request.param]()
    samples = harness.random_samples(model, SAMPLES, seed=1)
    return model, samples, harness.reference(model, samples)


@pytest.mark.parametrize("core", CORES)
def test_a_network_on_a_core(network, core):
    model, samples, wanted = network
    problem = harness.difference(wanted, harness.firmware(model, samples, core))
    assert not problem, f"{core}: {problem}"


@pytest.mark.parametrize("variant", ["portable", "dsp"])
def test_a_network_under_sanitizers(network, variant):
    model, samples, wanted = network
    few = slice(0, 12)
    problem = harness.difference(wanted[few], harness.host(model, samples[few], variant, sanitize=True))
    assert not problem, f"{variant}: {problem}"


@pytest.mark.parametrize("name", ["ic_resnet8_int8", "kws_dscnn_int8"])
@pytest.mark.parametrize("core", ["cortex-m4-an386", "cortex-m55-an547"])
def test_a_network_of_mlperf_tiny(name, core):
    variants = ("portable", "dsp") if core == "cortex-m4-an386" else ()  # on the host once
    harness.check(harness.shared_model(name), SAMPLES, variants=variants, devices=(core,))


def test_the_random_networks_use_the_whole_range_of_int8():
    for name, make in NETWORKS.items():
        model = make()
        outputs = np.concatenate([row[0].ravel() for row in harness.reference(model, harness.random_samples(model, 8))])
        assert len(set(outputs.tolist())) > 10, (
            f"{name} answers with {sorted(set(outputs.tolist()))}: too tame to test anything"
        )
