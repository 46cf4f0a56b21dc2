"""Energy-aware pruning: shares by energy, and refitting by least squares."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="pruning works on torch modules")

from toolchain.compress import Prune, compress  # noqa: E402
from toolchain.compress.structured.energy import energy, layer_costs  # noqa: E402
from toolchain.compress.structured.energy_aware import EnergyAware, group_energies, places, refitted  # noqa: E402


def random(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_refitting_is_least_squares_and_stays_put_where_inputs_do_not_tell(seed):
    seen, wanted, old = random(seed, 30, 4), random(seed + 1, 30, 2), random(seed + 2, 4, 2)
    exact = torch.linalg.lstsq(seen, wanted).solution
    assert torch.allclose(refitted(seen, wanted, old, 1e-12), exact, atol=1e-6)
    pull = 0.3 * float(seen.square().sum()) / 4
    stacked = torch.cat([seen, pull**0.5 * torch.eye(4, dtype=torch.float64)])
    ridged = torch.linalg.lstsq(stacked, torch.cat([wanted, pull**0.5 * old])).solution
    assert torch.allclose(refitted(seen, wanted, old, 0.3), ridged)
    assert torch.allclose(refitted(torch.zeros_like(seen), wanted, old), old)


def test_a_groups_energy_is_that_of_the_layers_it_passes_through(net, around, groups_of):
    model, context = net(), around()
    costs = layer_costs(model, context.tensors())
    energies = group_energies(model, list(groups_of(model, context).values()), context)
    assert energies["0"] == pytest.approx(costs["0"].joules + costs["3"].joules)
    assert energies["7"] == pytest.approx(costs["7"].joules + costs["9"].joules)


def test_the_share_that_goes_grows_with_the_energy(net, around, groups_of):
    model, context = net(), around()
    groups = list(groups_of(model, context).values())
    options = Prune(method="energy_aware", samples=32)
    scores = EnergyAware().score(model, groups, options, context)
    energies = group_energies(model, groups, context)
    line = 0.5 / max(energies.values())
    for group in groups:
        share = float((scores[group.name] <= line).double().mean())
        assert share == pytest.approx(0.5 * energies[group.name] / max(energies.values()), abs=0.5 / group.channels)


def test_places():
    assert places(torch.tensor([5.0, 1.0, 3.0])).tolist() == pytest.approx([5 / 6, 1 / 6, 3 / 6])


def test_refitting_mends_what_removal_breaks(net, around):
    context = around()
    x = torch.cat([batch.x for batch in context.batches("a test", 1, 96)])
    options = Prune(method="energy_aware", ratio=0.4, samples=96)
    criterion = EnergyAware.adjust
    errors = []
    for adjust in (criterion, lambda *_: None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(EnergyAware, "adjust", adjust)
            model = net()
            result = compress(model, [options], context=context)
        errors.append(float((result.model(x) - model(x)).detach().square().mean()))
    assert errors[0] < 0.5 * errors[1]
    facts = result.rows[1].facts
    assert facts["energy_kind"] == "estimated"
    assert facts["energy_before"] == pytest.approx(energy(net(), context.tensors()))
    assert facts["energy_after"] < 0.8 * facts["energy_before"]
