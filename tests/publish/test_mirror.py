"""The mirror against an upstream index of the tests' own, and once against the one this machine is configured with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from factory.errors import PublishError
from factory.host.pip import pip_settings
from factory.model.target import Target
from factory.publish.index_files import write_simple
from factory.publish.mirror import mirror_dependencies, refetch
from factory.publish.server import serve
from factory.util.log import LogFile
from factory.util.process import run
from tests.support.upstream import Upstream
from tests.support.wheelmaker import RISCV, make_wheel, release_of, tree_of

X86 = "cp313-cp313-manylinux_2_28_x86_64"


def mirror(tmp_path: Path, *wheels: Path) -> list[str]:
    log = LogFile(tmp_path / "mirror.log")
    found = mirror_dependencies(wheels, (), target=Target(), cache=tmp_path / "cache", log=log)
    return [path.name for path in found]


def test_the_closure_is_mirrored_and_our_own_wheels_are_not(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("numpy", "9.0", tag=RISCV)
    upstream.add("jinja", requires=["markup"])
    markup = upstream.add("markup", tag=RISCV)
    upstream.add("markup", tag=X86)
    engine = make_wheel(tmp_path / "ours", "engine", tag=RISCV, requires=["numpy>=1", "jinja"])
    numpy = make_wheel(tmp_path / "ours", "numpy", "2.0", tag=RISCV)
    assert mirror(tmp_path, engine, numpy) == ["jinja-1.0-py3-none-any.whl", f"markup-1.0-{RISCV}.whl"]
    assert (tmp_path / "cache" / markup.name).read_bytes() == markup.read_bytes()


def test_mirror_prefers_our_wheel_of_the_same_version(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("numpy", "2.0", tag="cp313-cp313-manylinux_2_39_riscv64")
    engine = make_wheel(tmp_path / "ours", "engine", requires=["numpy"])
    numpy = make_wheel(tmp_path / "ours", "numpy", "2.0", tag=RISCV)
    assert mirror(tmp_path, engine, numpy) == []
    assert upstream.asked == []


def test_an_older_wheel_gets_the_older_of_our_numpys(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("jinja")
    old = make_wheel(tmp_path / "ours", "engine", requires=["numpy<2", "jinja"])
    numpys = [make_wheel(tmp_path / "ours", "numpy", version) for version in ("1.9", "2.0")]
    assert mirror(tmp_path, old, *numpys) == ["jinja-1.0-py3-none-any.whl"]


def test_markers_are_read_as_the_target_does(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("onboard")
    requires = [
        "nowhere; platform_machine == 'x86_64'",
        "backport; python_version < '3.13'",
        "onboard; platform_machine == 'riscv64' and python_version >= '3.13'",
        "optional; extra == 'server'",
    ]
    assert mirror(tmp_path, make_wheel(tmp_path, "engine", requires=requires)) == ["onboard-1.0-py3-none-any.whl"]


def test_a_complete_mirror_asks_no_index(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("jinja", "1.0")
    engine = make_wheel(tmp_path / "ours", "engine", requires=["jinja"])
    first = mirror(tmp_path, engine)
    upstream.add("jinja", "2.0")
    upstream.asked.clear()
    assert mirror(tmp_path, engine) == first == ["jinja-1.0-py3-none-any.whl"]
    assert upstream.asked == []


def test_the_mirror_grows_when_a_requirement_does(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("jinja", "1.0")
    old = make_wheel(tmp_path / "ours", "engine", "1.0", requires=["jinja<2"])
    mirror(tmp_path, old)
    upstream.add("jinja", "2.0")
    new = make_wheel(tmp_path / "ours", "engine", "2.0", requires=["jinja>=2"])
    assert mirror(tmp_path, old, new) == ["jinja-1.0-py3-none-any.whl", "jinja-2.0-py3-none-any.whl"]


def test_mirror_names_missing_wheel_and_its_dependent(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("nowheel", tag=X86)
    upstream.add("between", requires=["nowheel"])
    engine = make_wheel(tmp_path / "ours", "engine", requires=["between"])
    with pytest.raises(PublishError) as caught:
        mirror(tmp_path, engine)
    assert caught.value.message.startswith("engine==1.0: cannot resolve")
    assert "nowheel" in caught.value.message
    assert "between" in caught.value.message
    assert str(caught.value.hint).startswith("write a recipe")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_index_that_does_not_answer_is_no_missing_wheel(
    tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple/")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    engine = make_wheel(tmp_path / "ours", "engine", requires=["jinja"])
    with pytest.raises(PublishError, match="cannot look up its dependencies") as caught:
        mirror(tmp_path, engine)
    assert "pip config list" in str(caught.value.hint)


def test_a_folder_of_wheels_in_pips_configuration_counts(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(tmp_path / "wheelhouse", "inhouse")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheelhouse"))
    engine = make_wheel(tmp_path / "ours", "engine", requires=["inhouse"])
    assert mirror(tmp_path, engine) == ["inhouse-1.0-py3-none-any.whl"]


def test_a_lost_file_is_fetched_again_by_its_hash(upstream: Upstream, tmp_path: Path) -> None:
    release = release_of(upstream.add("jinja", "1.0"))
    upstream.add("jinja", "2.0")
    log = LogFile(tmp_path / "log")
    refetch([release], target=Target(), cache=tmp_path / "cache", log=log)
    assert release_of(tmp_path / "cache" / release.filename) == release


def test_each_python_gets_its_own_files(upstream: Upstream, tmp_path: Path) -> None:
    tags = {"3.13": RISCV, "3.14": RISCV.replace("313", "314")}
    log, cache = LogFile(tmp_path / "log"), tmp_path / "cache"
    for tag in tags.values():
        upstream.add("markup", tag=tag)
    engines = [make_wheel(tmp_path / "ours", "engine", tag=tag, requires=["markup"]) for tag in tags.values()]
    for (python, tag), engine in zip(tags.items(), engines, strict=True):
        found = mirror_dependencies([engine], engines, target=Target(python=python), cache=cache, log=log)
        assert [path.name for path in found] == [f"markup-1.0-{tag}.whl"]
    refetch([release_of(path) for path in cache.iterdir()], target=Target(), cache=tmp_path / "again", log=log)
    assert tree_of(tmp_path / "again") == tree_of(cache)


def test_pips_settings_are_read_as_pip_writes_them(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://one/ http://two/it's")
    assert pip_settings()["extra-index-url"] == "http://one/ http://two/it's"


def test_jinja2_and_markupsafe_come_from_the_configured_index(tmp_path: Path) -> None:
    """The real thing: an index with riscv64 wheels of a compiled package, asked by real clients."""
    engine = make_wheel(tmp_path / "ours", "engine", tag=RISCV, requires=["jinja2>=3.1"])
    names = mirror(tmp_path, engine)
    assert [name.split("-")[0].lower() for name in names] == ["jinja2", "markupsafe"]
    assert names[1].endswith("riscv64.whl")
    files = {release_of(path): path for path in (engine, *(tmp_path / "cache").glob("*.whl"))}
    write_simple(list(files), files.__getitem__, tmp_path / "out")
    with serve(tmp_path / "out") as base:
        argv = [sys.executable, "-m", "pip", "--isolated", "download", f"--index-url={base}/simple/", "engine"]
        argv += ["--only-binary=:all:", "--python-version=3.13", "--abi=cp313", f"--dest={tmp_path / 'got'}"]
        argv += [f"--platform=manylinux_2_{minor}_riscv64" for minor in range(39, 26, -1)]
        run(argv)
    assert {path.name for path in (tmp_path / "got").iterdir()} == {engine.name, *names}
