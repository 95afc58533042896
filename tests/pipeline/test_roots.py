"""Tests of the roots that a command asks for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from factory.cli.console import Reporter
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.environments.base import Root, RootRequest
from factory.stages.environments.layers import LayerStore
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.util.paths import Layout


def test_root_of_equal_requests_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[RootRequest] = []

    def make(_store: LayerStore, request: RootRequest) -> Root:
        made.append(request)
        return Root(layers=(), variables={"PATH": request.python})

    monkeypatch.setattr("factory.pipeline.roots.MODES", {"hybrid": make})
    run = Run(layout=Layout(tmp_path), recipes=RecipeSet(tmp_path, SOURCE_KINDS), reporter=Reporter())
    one, other = RootRequest(python="3.13"), RootRequest(python="3.13", apt=("libyaml-dev",))
    again = run.with_config(run.config.for_python("3.14")).roots.build_root(RootRequest(python="3.13"))
    assert run.roots.build_root(one) is again
    assert run.roots.build_root(other) is not again
    assert made == [one, other]


def test_root_in_progress_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, other = RootRequest(python="3.13", rust=True), RootRequest(python="3.13")
    begun, ended = threading.Event(), threading.Event()

    def make(_store: LayerStore, request: RootRequest) -> Root:
        if request == slow:
            begun.set()
            assert ended.wait(30)
        return Root(layers=(), variables={})

    monkeypatch.setattr("factory.pipeline.roots.MODES", {"hybrid": make})
    run = Run(layout=Layout(tmp_path), recipes=RecipeSet(tmp_path, SOURCE_KINDS), reporter=Reporter())
    with ThreadPoolExecutor() as threads:
        first = threads.submit(run.roots.build_root, slow)
        assert begun.wait(30)
        run.roots.build_root(other)
        ended.set()
        assert first.result() is not None
