"""The rows of the catalogue say what is true of the methods."""

import pytest

torch = pytest.importorskip("torch", reason="the methods work on torch modules")

from profiles.errors import DataError, UnsupportedError  # noqa: E402
from toolchain.compress import Prune, compress  # noqa: E402
from toolchain.compress.catalogue.structured import METHODS  # noqa: E402
from toolchain.compress.passes import implementation  # noqa: E402

NAMES = [method.name for method in METHODS]
FREE = [method.name for method in METHODS if not method.needs]
#: What a method needs beside a ratio, to run at all.
EXTRAS = {"oto": {"epochs": 1}, "gates": {"sparse_epochs": 1}, "netadapt": {"rounds": 1}}


def test_everything_that_the_issue_names_is_there():
    asked = "l1 l2 random fpgm taylor slimming hessian lamp group_norm thinet energy_aware netadapt oto gates"
    assert set(asked.split()) | {"feature_rank"} == set(NAMES)
    assert FREE == ["l1", "l2", "random", "fpgm", "lamp", "group_norm", "slimming"]


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_a_method_has_a_paper_a_limit_and_a_function_that_cites_it(method):
    first = method.paper.split(",")[0].split(" et al")[0].split(" ")[0]
    text = implementation(method).__doc__ or ""
    module = __import__(implementation(method).__module__, fromlist=["_"])
    assert method.limits.endswith(".") and method.step == "prune" and method.saves
    assert method.name == "random" or first in text + (module.__doc__ or "")


@pytest.mark.parametrize("name", NAMES)
def test_only_methods_that_need_nothing_run_without_data(net, around, name):
    step = Prune(method=name, ratio=0.3, scope="layer", samples=16, **EXTRAS.get(name, {}))
    context = around(data=None)
    if name in FREE:
        assert compress(net(), [step], context=context).rows[1].facts["kept"] < 1
        return
    with pytest.raises(UnsupportedError if name == "gates" else DataError, match=name):
        compress(net(), [step], context=context)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gates"])
def test_the_same_seed_gives_the_same_model(net, around, name):
    step = Prune(method=name, ratio=0.3, scope="layer", samples=16, **EXTRAS.get(name, {}))
    one, other = (compress(net(), [step], context=around()).model.state_dict() for _ in range(2))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert sum(value.numel() for value in one.values()) < sum(value.numel() for value in net().state_dict().values())
