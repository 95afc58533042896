"""Fixtures for tests of whole builds."""

from __future__ import annotations

import pytest

from factory.util.paths import Layout
from tests.support.checkouts import Checkout, make_checkout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, layout: Layout, hybrid: object, clean_root: object) -> Checkout:
    """Build the plain package once, for tests that only read the result."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "cache").mkdir()
    (folder / "cache/layers").symlink_to(layout.layers)
    checkout = make_checkout(folder / "checkout", folder / "cache")
    finished = checkout.factory("build", "vectors-c")
    assert finished.returncode == 0, finished.stderr
    return checkout
