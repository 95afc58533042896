"""Registry of builders: each name in `model.recipe.BUILDERS` is a module of this package."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from factory.stages.builders.base import Builder


def builder_of(name: str) -> Builder:
    """Return the builder of that name."""
    return cast(Builder, import_module(f"factory.stages.builders.{name}"))
