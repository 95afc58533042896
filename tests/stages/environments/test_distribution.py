"""Distributions: their values in mmdebstrap's command line and in lists of packages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factory.model.distribution import TRIXIE, Distribution
from factory.stages.environments.debian.bootstrap import Selection, mmdebstrap_command
from factory.stages.environments.debian.clang import clang_variables
from factory.stages.environments.debian.native_tools import native_packages
from factory.stages.environments.debian.rust import native_rust_packages

OTHER = replace(TRIXIE, suite="other", python="3.15", gcc="16", rust="", mirror="m", keyring=Path("/keys.gpg"))
SELECTION = Selection(variant="extract", architectures="amd64", packages=("make", "dash"), hooks=["--extract-hook=x"])


def command(distribution: Distribution, mirror: str | None) -> list[str]:
    return mmdebstrap_command(Path("/tree"), SELECTION, distribution, mirror, ("Acquire::Retries 5",))


def test_command_without_mirror_takes_release_only() -> None:
    words = command(TRIXIE, None)
    assert words[-2:] == ["trixie", "/tree"]
    assert '--setup-hook=sed -i "/trixie-/d" "$1/etc/apt/sources.list"' in words
    assert not [word for word in words if word.startswith("--keyring")]


def test_command_has_mirror_and_keyring_of_distribution() -> None:
    words = command(OTHER, OTHER.mirror)
    assert words[-3:] == ["other", "/tree", "m"]
    assert {"--keyring=/keys.gpg", "--include=make,dash", "--aptopt=Acquire::Retries 5"} <= set(words)
    assert not [word for word in words if word.startswith("--setup-hook")]


def test_packages_have_versions_of_distribution() -> None:
    assert {"g++-16-riscv64-linux-gnu", "python3.15-minimal"} <= set(native_packages(OTHER))
    assert {"rustc", "libstd-rust-dev:riscv64", "gcc-16"} <= set(native_rust_packages(OTHER))
    assert clang_variables(replace(OTHER, clang="30")) == {"CC": "clang-30", "CXX": "clang++-30"}


def test_python_suite_of_default_python_is_own_suite() -> None:
    assert [TRIXIE.python_suite(python) for python in ("3.13", "3.14")] == ["trixie", "forky"]
