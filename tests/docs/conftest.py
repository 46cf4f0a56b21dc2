"""The checkout in which documented commands are run; the tests of the README share it."""

from __future__ import annotations

import pytest

from tools.docs.checkout import Checkout


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    base = tmp_path_factory.getbasetemp()
    return Checkout(base / "documented", base / "documented-cache")
