"""Layer stores for tests."""

from __future__ import annotations

from factory.stages.environments.layers import LayerStore
from factory.util.paths import Layout
from tests.support.logs import unreported


def layer_store(layout: Layout) -> LayerStore:
    """Return the layers of a cache folder, without progress reports."""
    return LayerStore(layout=layout, open_stage=unreported)
