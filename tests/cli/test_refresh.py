"""Tests of links to other projects' files, from the command to installers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from packaging.version import Version

from factory.cli.commands.refresh import read_requirements
from factory.cli.main import main
from factory.errors import PublishError, RecipeError
from factory.publish.index_files import write_simple
from factory.publish.ledger import Ledger
from factory.publish.release import Mirrored, Release
from factory.publish.reports import About, WheelReport, read_reports
from factory.publish.upstream_links import GONE, refresh
from factory.publish.wheel_metadata import describe_wheel
from factory.util.log import LogFile
from factory.util.process import run
from tests.support.clients import ALONE, FOR_RISCV
from tests.support.upstream import Upstream
from tests.support.wheelmaker import RISCV, make_wheel, release_of

X86 = "cp313-cp313-manylinux_2_28_x86_64"


def refreshed(folder: Path, *requirements: str) -> tuple[Release, ...]:
    log = LogFile(folder / "log")
    return refresh(requirements, ledger=Ledger(folder / "ledger"), output=folder / "out", log=log)


def names(releases: tuple[Release, ...]) -> list[str]:
    return [release.filename for release in releases]


def test_all_that_a_requirement_needs_on_riscv64_is_linked(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("web", requires=["markup", "backport; python_version < '3.13'"], requires_python=">=3.9")
    for tag in (RISCV, RISCV.replace("313", "314"), X86, "cp312-cp312-manylinux_2_38_riscv64"):
        upstream.add("markup", tag=tag)
    found = refreshed(tmp_path, "Web>=1")
    assert names(found) == [
        f"markup-1.0-{RISCV}.whl",
        f"markup-1.0-{RISCV.replace('313', '314')}.whl",
        "web-1.0-py3-none-any.whl",
    ]
    web = found[-1]
    assert (web.url, web.requires_python) == (f"{upstream.url}/files/{web.filename}", ">=3.9")
    assert (web.metadata_sha256 is not None, web.uploaded is not None) == (True, True)
    assert web.tracks == f"{upstream.url}/simple/web/"
    assert Ledger(tmp_path / "ledger").read() == found
    assert refreshed(tmp_path, "web") == ()


def test_linked_files_get_reports_from_their_metadata(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("web", requires=["markup>=1"])
    upstream.add("markup")
    refreshed(tmp_path, "web")
    (report,) = read_reports(tmp_path / "ledger", "web").values()
    assert report == WheelReport(
        filename="web-1.0-py3-none-any.whl", summary="", license="", about=About(requires=("markup>=1",))
    )


def test_metadata_is_fetched_of_usable_wheels_only(upstream: Upstream, tmp_path: Path) -> None:
    """An index without METADATA on its pages is asked for it, wheel by wheel."""
    for tag in ("py3-none-any", RISCV, X86):
        upstream.add("markup", tag=tag)
    upstream.hide_metadata("markup")
    usable = {release.filename for release in refreshed(tmp_path, "markup")}
    fetched = {line.split()[1] for line in upstream.asked if ".metadata " in line}
    assert usable == {f"markup-1.0-{RISCV}.whl", "markup-1.0-py3-none-any.whl"}
    assert fetched == {f"/files/{name}.metadata" for name in usable}


def test_what_we_build_is_not_linked(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("markup", "9.0")
    upstream.add("web", requires=["markup"])
    ours = make_wheel(tmp_path / "ours", "markup", "2.0")
    Ledger(tmp_path / "ledger").add(release_of(ours))
    write_simple(Ledger(tmp_path / "ledger").read(), lambda _release: ours, tmp_path / "out")
    assert names(refreshed(tmp_path, "web")) == ["web-1.0-py3-none-any.whl"]


def test_links_follow_their_projects_and_none_is_dropped(upstream: Upstream, tmp_path: Path) -> None:
    first = upstream.add("web", "1.0")
    refreshed(tmp_path, "web")
    upstream.add("web", "2.0")
    assert names(refreshed(tmp_path, "web")) == ["web-2.0-py3-none-any.whl"]
    first.unlink()
    upstream.add("unrelated")
    (gone,) = refreshed(tmp_path, "web")
    assert (gone.filename, gone.yanked) == (first.name, GONE)
    assert refreshed(tmp_path) == ()
    assert len(Ledger(tmp_path / "ledger").read()) == 2


def test_a_link_whose_file_comes_back_is_not_yanked_any_more(upstream: Upstream, tmp_path: Path) -> None:
    first = upstream.add("web", "1.0")
    refreshed(tmp_path, "web")
    away = first.rename(tmp_path / first.name)
    upstream.add("web", "2.0")
    refreshed(tmp_path, "web")
    away.rename(first)
    upstream.add("web", "3.0")
    found = {release.filename: release.yanked for release in refreshed(tmp_path, "web")}
    assert found == {first.name: None, "web-3.0-py3-none-any.whl": None}


def test_refresh_keeps_links_of_dropped_python(upstream: Upstream, tmp_path: Path) -> None:
    old = upstream.add("web", tag="cp39-cp39-manylinux_2_31_riscv64")
    link = replace(describe_wheel(old, Mirrored()), url=f"{upstream.url}/files/{old.name}")
    Ledger(tmp_path / "ledger").add(replace(link, tracks=f"{upstream.url}/simple/web/"))
    assert refreshed(tmp_path) == ()
    old.unlink()
    upstream.add("web", "2.0")
    _new, gone = refreshed(tmp_path, "web")
    assert (gone.filename, gone.yanked) == (old.name, GONE)


def test_an_index_that_never_had_a_project_takes_nothing_from_it(upstream: Upstream, tmp_path: Path) -> None:
    linked = upstream.add("web", "1.0")
    (release,) = refreshed(tmp_path, "web")
    Ledger(tmp_path / "ledger").update([replace(release, tracks="https://other.example/simple/web/")])
    linked.unlink()
    upstream.add("unrelated")
    assert refreshed(tmp_path) == ()


def test_a_yank_of_the_project_is_passed_on(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("web")
    refreshed(tmp_path, "web")
    upstream.yank("web", "it bites")
    (yanked,) = refreshed(tmp_path)
    assert yanked.yanked == "it bites"


def test_what_a_project_takes_back_of_its_yanks_is_passed_on(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("web")
    refreshed(tmp_path, "web")
    for said in ("it bites", "it bites hard", None):
        upstream.yank("web", said)
        (changed,) = refreshed(tmp_path)
        assert changed.yanked == said
    assert refreshed(tmp_path) == ()


def test_a_yank_of_our_own_stays_whatever_the_project_says(upstream: Upstream, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    upstream.add("web")
    refreshed(tmp_path, "web")
    ledger.set_yanked("web", Version("1.0"), "wrong sums")
    for said in (None, "it bites", None):
        upstream.yank("web", said)
        refreshed(tmp_path)
        assert [release.yanked for release in ledger.read()] == ["wrong sums"]
    ledger.set_yanked("web", Version("1.0"), None)
    assert refreshed(tmp_path) == ()


def test_refresh_learns_origin_of_yank_in_old_ledger(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("web")
    (linked,) = refreshed(tmp_path, "web")
    Ledger(tmp_path / "ledger").update([replace(linked, yanked="it bites")])
    for said in ("it bites", None):
        upstream.yank("web", said)
        (changed,) = refreshed(tmp_path)
        assert changed.yanked == said


def test_refresh_copies_follow_yanks_and_outlive_files(upstream: Upstream, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    kept, yanked = upstream.add("kept"), upstream.add("yanked")
    for wheel in (kept, yanked):
        ledger.add(replace(describe_wheel(wheel, Mirrored()), uploaded="2026-01-02T03:04:05Z"))
    kept.unlink()
    upstream.add("kept", "2.0")
    upstream.yank("yanked", "it bites")
    (changed,) = refreshed(tmp_path)
    assert (changed.filename, changed.yanked, changed.url) == (yanked.name, "it bites", None)
    assert changed.tracks == f"{upstream.url}/simple/yanked/"
    assert refreshed(tmp_path) == ()


def test_an_address_that_may_hold_a_credential_is_not_linked(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("web")
    upstream.sign("web")
    with pytest.raises(PublishError) as caught:
        refreshed(tmp_path, "web")
    assert caught.value.message.startswith("web-1.0-py3-none-any.whl: cannot link: ")
    assert Ledger(tmp_path / "ledger").read() == ()


def test_refresh_urls_with_new_query_stay_and_follow_yanks(upstream: Upstream, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    upstream.add("web")
    (linked,) = refreshed(tmp_path, "web")
    copied = ledger.add(describe_wheel(upstream.add("copied"), Mirrored()))
    for release in (copied, linked):
        upstream.yank(release.project, "it bites")
        upstream.sign(release.project)
        refreshed(tmp_path)
        now = ledger.find(release.filename)
        assert now is not None
        assert (now.yanked, now.url, now.metadata_sha256) == ("it bites", release.url, release.metadata_sha256)


def test_a_requirement_that_can_not_be_met_changes_nothing(upstream: Upstream, tmp_path: Path) -> None:
    upstream.add("web")
    upstream.add("nowheel", tag=X86)
    with pytest.raises(PublishError) as caught:
        refreshed(tmp_path, "web", "nowheel", "nothing>=2")
    for words in (
        "Python 3.13: nowheel: cannot resolve for riscv64",
        "Python 3.14: nothing>=2: cannot resolve for riscv64",
    ):
        assert words in caught.value.message
    assert Ledger(tmp_path / "ledger").read() == ()


def test_refresh_accepts_index_without_sizes_and_metadata(upstream: Upstream, tmp_path: Path) -> None:
    wheel = upstream.add("web")
    bare = upstream.add("bare")
    for name in ("web", "bare"):
        page = upstream.folder / "out/simple" / name / "index.v1+json"
        page.write_text(page.read_text().replace('"size"', '"x"').replace("-metadata", "-x"))
    (upstream.folder / "out/files" / f"{bare.name}.metadata").write_text("Name: other\nVersion: 1.0\n")
    without, with_metadata = refreshed(tmp_path, "web", "bare")
    assert with_metadata.size == wheel.stat().st_size
    assert with_metadata.metadata_sha256 == release_of(wheel).metadata_sha256
    assert without.metadata_sha256 is None


def test_the_command_reads_the_file_beside_the_ledger(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory.cli.main.become_root", lambda: None)
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    upstream.add("web")
    (tmp_path / "upstream.toml").write_text('packages = ["web"]\n')
    words = ["refresh", "--ledger", str(tmp_path / "ledger"), "--output", str(tmp_path / "out")]
    assert main(words) == 0
    options = f"--output {tmp_path / 'out'} --ledger {tmp_path / 'ledger'}"
    told = f"web-1.0-py3-none-any.whl: linked\nupdate the pages: factory index --pages-only {options}\n"
    assert told in capsys.readouterr().out
    assert main(words) == 0
    assert "no change" in capsys.readouterr().out


def test_mistakes_in_the_file_are_told_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "upstream.toml"
    assert read_requirements(path) == ()
    path.write_text('packages = ["web", "a b"]\npackage = 1\n')
    with pytest.raises(RecipeError) as caught:
        read_requirements(path)
    assert f"{path}:1: packages: 'a b' " in caught.value.message
    assert f"{path}:2: package: unknown key" in caught.value.message


def test_our_own_list_is_one_that_can_be_read() -> None:
    assert "requests" in read_requirements(Path(__file__).parents[2] / "index/upstream.toml")


def test_pip_installs_from_links_to_the_configured_index(tmp_path: Path) -> None:
    """Check with pip that pages link to files on the configured index."""
    linked = refreshed(tmp_path, "jinja2>=3.1")
    assert {release.project for release in linked} == {"jinja2", "markupsafe"}
    write_simple(Ledger(tmp_path / "ledger").read(), lambda _release: tmp_path, tmp_path / "out")
    certificates = {name: os.environ[name] for name in ("PIP_CERT",) if name in os.environ}
    platforms = [f"--platform=manylinux_2_{minor}_riscv64" for minor in range(37, 26, -1)]
    argv = [sys.executable, "-m", "pip", "download", f"--index-url={(tmp_path / 'out/simple').as_uri()}", "jinja2"]
    run([*argv, f"--dest={tmp_path / 'got'}", *FOR_RISCV, *platforms], env=ALONE | certificates)
    hashes = {release.filename: release.sha256 for release in linked}
    got = {path.name: release_of(path).sha256 for path in (tmp_path / "got").iterdir()}
    assert len(got) == 2
    assert got.items() <= hashes.items()
