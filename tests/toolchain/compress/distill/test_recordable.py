"""What a term says of itself, that it can be recorded as a CUDA graph, against the operators that it calls."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="terms are torch modules")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from toolchain.compress.catalogue import names  # noqa: E402

MODES = {"sequential", "multi_teacher", "confidence", "low_resolution"}
#: Operators that wait for values, or whose results' shapes depend on them.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "linalg_eigh", "linalg_svd", "unique")


class Calls(TorchDispatchMode):
    """Collects operators that cannot be recorded."""

    def __init__(self):
        super().__init__()
        self.bad = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masks = name in ("index", "index_put", "index_put_") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if masks or any(word in name for word in WAITING):
            self.bad.add(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", sorted(set(names("distill")) - MODES))
def test_terms_that_can_be_recorded_wait_for_nothing(name, build, seen, batch, draw):
    student = [draw(4, 3, 4, 4).requires_grad_(), draw(4, 5, 2, 2, seed=1).requires_grad_()]
    teacher = [draw(4, 4, 4, 4, seed=2), draw(4, 5, 4, 4, seed=3)]
    outputs = draw(4, 4).requires_grad_(), draw(4, 4, seed=1)
    labels = np.arange(8) % 4
    term = build(name, student, teacher, labels=labels)
    with Calls() as calls:
        term(seen(outputs[0], *student), seen(outputs[1], *teacher), batch(labels[:4])).backward()
    assert not (term.captured and calls.bad), calls.bad
    assert term.captured == (name not in ("crd", "svd_ss"))
