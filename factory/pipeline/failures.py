"""Failures of packages, as the store and a plan keep them."""

from __future__ import annotations

from pathlib import Path

from msgspec import UNSET, UnsetType
from packaging.utils import canonicalize_name

from factory.errors import FactoryError
from factory.model.recipe import Recipe
from factory.model.record import BuildFailure
from factory.util.jsonio import timestamp
from factory.util.redaction import redact


def failure_of(recipe: Recipe, python: str, error: FactoryError, cache: Path) -> BuildFailure:
    """Return the failure of a recipe for a Python, with its hint.

    Secrets and the path of the cache are left out.
    """
    text = f"{error.message}\n  hint: {error.hint}" if error.hint else error.message
    return BuildFailure(
        name=canonicalize_name(recipe.name),
        version=recipe.version,
        python=python,
        stage=error.stage,
        finished=timestamp(),
        message=redact(text.replace(str(cache), "$FACTORY_CACHE")),
        project=canonicalize_name(recipe.distribution),
        log=_below(error.log, cache),
    )


def _below(log: str, cache: Path) -> str | UnsetType:
    """Return a log's path below the cache; unset without a log there."""
    return str(Path(log).relative_to(cache)) if log and Path(log).is_relative_to(cache) else UNSET
