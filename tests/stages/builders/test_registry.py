"""Tests of the registry of builders."""

import pytest

from factory.model.recipe import BUILDERS
from factory.stages.builders.base import Builder
from factory.stages.builders.registry import builder_of


@pytest.mark.parametrize("name", BUILDERS)
def test_builder_module_has_every_member(name: str) -> None:
    members = {member for member in vars(Builder) if not member.startswith("_")}
    assert members == {"IN_MANYLINUX", "install_requirements", "build_wheel"}
    assert members <= vars(builder_of(name)).keys()
