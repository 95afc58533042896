"""Text and links of the pages that are written from a ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec import UNSET, structs

from factory.errors import PublishError
from factory.model.artifacts import CompilerCacheUse, SourceOrigin
from factory.publish.failures import write_failures
from factory.publish.ledger import Ledger
from factory.publish.ledger_entry import encode_entry
from factory.publish.reports import About, Stage, write_report
from factory.publish.source_texts import write_texts
from factory.site import filters
from factory.site.boards import BOARDS
from factory.site.wheels import make_wheel
from factory.site.writer import site_pages
from tests.support.boards import SAMPLES
from tests.support.ledgers import ALPHA, ALPHA_NEXT, FAILURE, PURE, build, make_ledger, release, report
from tests.support.page_text import plain
from tests.support.snippets import snippets_of
from tests.support.wheelmaker import RISCV

ATOM = "{http://www.w3.org/2005/Atom}"


def pages(ledger: Ledger) -> dict[str, str]:
    return dict(site_pages(ledger))


def test_front_page_shows_state_for_each_python(tmp_path: Path) -> None:
    front = plain(pages(make_ledger(tmp_path))["index.html"])
    assert "2 packages that install on a riscv64 board without a compiler: 1 built here" in front
    assert "alpha Adds numbers 1.10 checked on 2 CPUs none" in front
    assert "plain-text Text as it is 2.0 pure Python 2.0 pure Python" in front
    assert "broken build failed none" in front


def test_front_page_tells_of_a_dependency_without_wheel(tmp_path: Path) -> None:
    """A wheel for any Python was shown for Pythons with which pip cannot install it."""
    ledger = make_ledger(tmp_path)
    requires = {"outer": "Inner", "inner": "alpha>=1", "third": "alpha; python_version < '3.14'"}
    for name, requirement in requires.items():
        filename = f"{name}-1.0-py3-none-any.whl"
        ledger.add(release(filename))
        about = About(requires=(requirement, "no-such; extra == 'more'"))
        write_report(ledger.folder, name, report(filename, about=about))
    made = pages(ledger)
    rows = dict(re.findall(r'<tr data-name="([\w-]+)".*?<td>(.*?)</tr>', made["index.html"], re.DOTALL))
    lacks = {name: re.findall(r"needs [^<]*", row) for name, row in rows.items()}
    told = ["needs alpha, which has no wheel here for Python 3.14"]
    assert lacks == {"alpha": [], "broken": [], "inner": told, "outer": told, "plain-text": [], "third": []}


def test_front_page_has_install_commands_and_settings(tmp_path: Path) -> None:
    page = pages(make_ledger(tmp_path))["index.html"]
    shown = snippets_of(page)
    assert shown[:2] == ["pip install --index-url URL/simple/ NAME", "uv pip install --default-index URL/simple/ NAME"]
    assert "[global]\nindex-url = URL/simple/" in shown
    assert '[[index]]\nurl = "URL/simple/"\ndefault = true' in shown
    assert page.index("pip install") < page.index('id="search"')


def test_site_without_addresses_names_the_owner_for_reports(tmp_path: Path) -> None:
    front = plain(pages(make_ledger(tmp_path))["index.html"])
    assert "To ask for a package, write to whoever gave you the address of this index, with its name" in front


def test_pages_link_to_the_repository_and_issues(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    settings = 'repository = "https://git.example/factory"\nissues = "https://git.example/factory/issues"\n'
    (tmp_path / "index/site.toml").write_text(settings)
    made = pages(ledger)
    for name in ("index.html", "project/alpha/index.html", "project/alpha/1.10.html", "boards/index.html"):
        assert '<a href="https://git.example/factory">Recipes and patches</a>' in made[name]
        assert '<a href="https://git.example/factory/issues">Report a problem</a>' in made[name]
    assert '<a href="https://git.example/factory/issues">Ask for a package</a>' in made["index.html"]


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("http://board.example:8000", "--index-url http://board.example:8000/simple/ --trusted-host board.example"),
        ("https://wheels.example", "--index-url https://wheels.example/simple/"),
        ("http://127.0.0.1:8000", "--index-url http://127.0.0.1:8000/simple/"),
    ],
)
def test_commands_trust_the_host_of_an_http_index(url: str, options: str, tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    (tmp_path / "index/site.toml").write_text(f'url = "{url}"\n')
    made = pages(ledger)
    commands = [text for page in made.values() for text in snippets_of(page) if text.startswith("pip ")]
    assert all(options in text for text in commands if "--index-url" in text)
    settings = [text for text in snippets_of(made["index.html"]) if text.startswith("[global]")]
    assert ["trusted-host" in text for text in settings] == ["trusted-host" in options]


def test_project_page_has_dependencies_links_and_modules(tmp_path: Path) -> None:
    page = pages(make_ledger(tmp_path))["project/alpha/index.html"]
    assert '<a href="../plain-text/index.html">plain-text&gt;=1</a>' in page
    assert '<a href="https://git.example/alpha/news">Changelog</a>' in page
    assert "Extras more [more]: extras-only Modules alpha_module Project Changelog , Source" in plain(page)
    assert "Licence MIT" in plain(pages(make_ledger(tmp_path / "other"))["project/plain-text/index.html"])


def test_files_have_their_python_and_glibc(tmp_path: Path) -> None:
    """The tag states glibc 2.39, and the symbols 2.38."""
    ledger = make_ledger(tmp_path)
    name = ALPHA_NEXT.replace("2_38", "2_39").replace("1.10", "1.11")
    ledger.add(release(name))
    write_report(ledger.folder, "alpha", report(name, build=build()))
    made = pages(ledger)
    assert "12.3 MB 3.13 Requires-Python: &gt;=3.9 2.39 2026-01-02" in plain(made["project/alpha/index.html"])
    assert "C library glibc 2.39 or newer" in plain(made["project/alpha/1.11.html"])


def test_report_of_older_factory_has_no_about_section(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    for name in (ALPHA, ALPHA_NEXT):
        write_report(ledger.folder, "alpha", report(name, about=UNSET, build=build()))
    assert "About alpha" not in pages(ledger)["project/alpha/index.html"]


def test_recipe_and_patch_link_to_their_texts(tmp_path: Path) -> None:
    ledger, texts = make_ledger(tmp_path), {"a" * 64: b"[package]\n", "b" * 64: b"--- a\n+++ b \xe2\x80\xae\n"}
    (patch,) = build().patches
    made = build(recipe="alpha", recipe_sha256="a" * 64, patches=(structs.replace(patch, sha256="b" * 64),))
    write_texts(ledger.folder, "alpha", made, texts)
    write_report(ledger.folder, "alpha", report(ALPHA_NEXT, build=made))
    written = pages(ledger)
    for name in ("index", "1.10"):
        page = written[f"project/alpha/{name}.html"]
        assert f'<a href="text-{"a" * 16}.txt">alpha</a>' in page
        assert f'<a href="text-{"b" * 16}.txt"><code>0001-load-modules.patch</code></a>' in page
    assert written[f"project/alpha/text-{'a' * 16}.txt"] == "[package]\n"
    assert written[f"project/alpha/text-{'b' * 16}.txt"] == "--- a\n+++ b \N{REPLACEMENT CHARACTER}\n"
    assert "text-" not in written["project/alpha/1.0.html"]


def test_project_page_shows_install_command_first(tmp_path: Path) -> None:
    page = pages(make_ledger(tmp_path))["project/alpha/index.html"]
    assert "pip install --index-url URL/simple/ alpha" in page
    assert "uv pip install --default-index URL/simple/ alpha" in page
    assert page.index("pip install") < page.index("Checks") < page.index("About this build")


def test_grid_cell_links_to_its_check(tmp_path: Path) -> None:
    made = pages(make_ledger(tmp_path))
    links = re.findall(r'href="([^"]+)#([^"]+)" class="passed"', made["project/alpha/index.html"])
    assert len(links) == 4
    for path, place in links:
        assert f'id="{place}"' in made[f"project/alpha/{path}"]


def test_grid_links_to_each_log_of_a_version_once(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    other = ALPHA_NEXT.replace("313", "314")
    ledger.add(release(other))
    write_report(ledger.folder, "alpha", report(other, build=build("3.14")))
    grid = pages(ledger)["project/alpha/index.html"].partition('<table class="grid">')[2].partition("</table>")[0]
    assert "1.10 logs: build for 3.13 of 1.10 , check on Python 3.13 of 1.10 , build for 3.14" in plain(f"<main{grid}")
    for wheel, python in ((ALPHA, "3.13"), (ALPHA_NEXT, "3.13"), (other, "3.14")):
        for log in ("build", f"check-{python}"):
            assert grid.count(f'href="../../files/{wheel}.{log}.txt"') == 1


def test_version_page_links_to_logs(tmp_path: Path) -> None:
    page = pages(make_ledger(tmp_path))["project/alpha/1.10.html"]
    checked, built = (f"../../files/{ALPHA_NEXT}.{name}.txt" for name in ("check-3.13", "build"))
    assert page.count(f'<td class="passed"><a href="{checked}">passed</a></td>') == 2
    assert f'<a href="{built}">build</a>, <a href="{checked}">check on Python 3.13</a>' in page


def test_wheel_without_logs_has_no_log_links(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    write_report(ledger.folder, "alpha", report(ALPHA_NEXT, build=build(logs=())))
    made = pages(ledger)
    assert '<td class="passed">passed</td>' in made["project/alpha/1.10.html"]
    assert "Logs" not in made["project/alpha/1.10.html"]
    assert f"{ALPHA_NEXT}.build.txt" not in made["project/alpha/index.html"]
    assert json.loads(made["project/alpha/index.json"])["versions"][0]["files"][0]["logs"] == []


def test_version_page_shows_all_details_of_the_build(tmp_path: Path) -> None:
    page = plain(pages(make_ledger(tmp_path))["project/alpha/1.10.html"])
    for words in (
        "12.3 MB",
        "rv64gc: instruction set that this wheel needs",
        "alpha/fast.so (v, zvfh)",
        "glibc 2.38 or newer",
        "External libraries libc.so.6, libm.so.6 of the system, or of packages that it requires",
        "SBOMs in the wheel alpha.dist-info/sboms/crates.json",
        "Licence texts in the wheel alpha.dist-info/licenses/LICENSE",
        "alpha.dist-info/licenses/debian/libgfortran5/copyright",
        "alpha.libs/libgfortran-2c0fd224.so.5.0.0 from the Debian package libgfortran5 14.2.0-19",
        "0001-load-modules.patch Upstream-Status: Pending",
        "BSD-3-Clause",
        "sum 499500.0",
        "build 4 min 21 s, check 20 s",
        "g++-14-riscv64-linux-gnu 14.2.0-19cross1",
        "cython==3.3.1",
        "factory rebuild alpha --record kkkkkkkkkkkkkkkk --verify",
    ):
        assert words in page


def test_failed_build_is_shown_with_last_lines(tmp_path: Path) -> None:
    made = pages(make_ledger(tmp_path))
    for name in ("project/broken/index.html", "builds/index.html"):
        assert "failed at stage build" in plain(made[name])
        assert "vec.c:3:1: error: expected &#39;;&#39;" in made[name]
    assert "simple/broken/index.html" not in made
    assert 'href="broken/"' not in made["simple/index.html"]


def test_version_page_links_to_sources_on_no_index(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    sources = (
        SourceOrigin(kind="git", urls=("https://git.example/alpha",), folder="third-party", commit="c" * 40, tag="v1"),
        SourceOrigin(kind="git", urls=("javascript:alert(1)",)),
    )
    write_report(ledger.folder, "alpha", report(ALPHA_NEXT, build=build(sources=sources)))
    page = pages(ledger)["project/alpha/1.10.html"]
    assert '<a href="https://git.example/alpha">https://git.example/alpha</a>' in page
    assert f"folder third-party, tag v1, commit {'c' * 40}" in plain(page)
    assert "javascript" not in page


def test_version_page_gives_reasons_of_replaced_requirements(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    assert "Replaced requirements" not in pages(ledger)["project/alpha/1.10.html"]
    replaced = {"cffi>=2": "1.17 does not know 3.14"}
    write_report(ledger.folder, "alpha", report(ALPHA_NEXT, build=build(replaced_requires=replaced)))
    assert "cffi&gt;=2: 1.17 does not know 3.14" in pages(ledger)["project/alpha/1.10.html"]


def test_failed_build_links_to_its_log(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    assert "Log of the stage" not in pages(ledger)["builds/index.html"]
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/build.log").write_text("vec.c: no\n")
    write_failures(ledger.folder, [replace(FAILURE, log="logs/build.log")], cache=tmp_path)
    made = pages(ledger)
    assert made["project/broken/failed-broken-3.13.txt"] == "vec.c: no\n"
    assert '<a href="failed-broken-3.13.txt">Log of the stage</a>' in made["project/broken/index.html"]
    assert '<a href="../project/broken/failed-broken-3.13.txt">Log of the stage</a>' in made["builds/index.html"]


def test_upstream_provenance_is_linked_at_its_address(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.update([structs.replace(release(PURE), provenance_url="https://upstream.example/plain.provenance")])
    made = pages(ledger)
    for name in ("index", "2.0"):
        assert 'href="https://upstream.example/plain.provenance">provenance' in made[f"project/plain-text/{name}.html"]


def test_project_with_yanked_versions_alone_says_so(tmp_path: Path) -> None:
    """Installers take a yanked version only if its exact version is asked for."""
    ledger = make_ledger(tmp_path)
    ledger.update([structs.replace(release(name), yanked="wrong sums") for name in (ALPHA, ALPHA_NEXT)])
    page = pages(ledger)["project/alpha/index.html"]
    assert "Every version here is yanked: installers take one only if its exact version is asked for. " in plain(page)
    assert "Reason for 1.10: wrong sums" in plain(page)
    assert "pip install --index-url URL/simple/ alpha==1.10" in snippets_of(page)


def test_yanked_version_is_marked_and_not_current(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.update([structs.replace(release(ALPHA_NEXT), yanked="wrong at VLEN 512")])
    made = pages(ledger)
    assert '<span class="version">1.0</span>' in made["project/alpha/index.html"]
    assert "Yanked wrong at VLEN 512" in plain(made["project/alpha/1.10.html"])
    assert "1.10 yanked: wrong at VLEN 512" in plain(made["project/alpha/index.html"])


def test_unlisted_file_is_on_no_page(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.update([structs.replace(release(ALPHA), listed=False)])
    assert [name for name, page in pages(ledger).items() if ALPHA in page] == []


def test_wheel_unchecked_on_a_python_is_marked(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    name = RISCV.replace("cp313-cp313", "py3-none")
    ledger.add(release(f"beta-1.0-{name}.whl"))
    assert "beta 1.0 checked on 2 CPUs 1.0 not checked on 3.14" in plain(pages(ledger)["index.html"])


def test_page_with_extra_index_url_warns_of_confusion(tmp_path: Path) -> None:
    for name, page in pages(make_ledger(tmp_path)).items():
        if "--extra-index-url" in page and name.endswith(".html"):
            assert "dependency confusion" in page, name


def test_pages_load_nothing_from_other_servers(tmp_path: Path) -> None:
    for name, page in pages(make_ledger(tmp_path)).items():
        if not name.startswith("simple/") and name.endswith((".html", ".css")):
            assert re.findall(r'(?:src=|<link[^>]*href=)"(?:https?:)?//|url\(|@import', page) == [], name


def test_links_between_pages_have_targets(tmp_path: Path) -> None:
    made = pages(make_ledger(tmp_path))
    places = {name: set(re.findall(r'\bid="([^"]+)"', page)) for name, page in made.items()}
    for name, page in made.items():
        if not name.endswith(".html") or name == "404.html":
            continue
        for link in re.findall(r'\b(?:href|src)="([^"]+)"', page):
            if link.startswith("https://git.example/"):
                continue
            path, _, place = link.partition("#")
            target = (Path("/") / name).parent / path if path else Path("/") / name
            resolved = str(target.resolve().relative_to("/"))
            if "files/" not in resolved:
                resolved += "/index.html" if link.endswith("/") else ""
                assert resolved in made, (name, link)
                assert not place or place in places[resolved], (name, link)


def test_feeds_are_atom_with_times_of_publication(tmp_path: Path) -> None:
    made = pages(make_ledger(tmp_path))
    feed = ElementTree.fromstring(made["feed.xml"])
    assert [entry.findtext(f"{ATOM}title") for entry in feed.iter(f"{ATOM}entry")] == ["alpha 1.10", "alpha 1.0"]
    assert feed.findtext(f"{ATOM}updated") == "2026-01-02T03:04:05Z"
    own = ElementTree.fromstring(made["project/plain-text/feed.xml"])
    assert own.findtext(f"{ATOM}entry/{ATOM}title") == "plain-text 2.0"
    ids = feed_ids(made, "plain-text")
    assert len(set(ids)) == len(ids)


def test_feed_ids_are_unique_to_the_site_address(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    found = [feed_ids(pages(ledger), "alpha")]
    for url in ("https://one.example", "https://two.example/", "https://two.example"):
        (tmp_path / "index/site.toml").write_text(f'url = "{url}"\n')
        found.append(feed_ids(pages(ledger), "alpha"))
    assert found[2] == found[3]
    assert len({each for ids in found[:3] for each in ids}) == 3 * len(set(found[0]))
    assert "urn:uuid:87bd06c0-3d31-53cd-b764-28bf163974a9" in found[0]


def feed_ids(made: Mapping[str, str], project: str) -> list[str]:
    """Return the identifiers of the site's and a project's feed and of their entries."""
    feeds = (ElementTree.fromstring(made[name]) for name in ("feed.xml", f"project/{project}/feed.xml"))
    return [node.text or "" for feed in feeds for node in feed.iter(f"{ATOM}id")]


def test_project_json_has_states_and_files(tmp_path: Path) -> None:
    entry = json.loads(pages(make_ledger(tmp_path))["project/alpha/index.json"])
    assert entry["states"]["3.13"] == {"kind": "built", "version": "1.10", "profiles": 2, "repacked": False}
    assert (entry["requires"][0], entry["modules"]) == ("plain-text>=1", ["alpha_module"])
    assert entry["links"]["Source"] == "https://git.example/alpha"
    (file,) = entry["versions"][0]["files"]
    assert (file["filename"], file["profiles"], file["glibc"]) == (ALPHA_NEXT, ["rv64gc", "k1"], "2.38")
    assert (file["sbom"], file["repacked_from"]) == (f"../../files/{ALPHA_NEXT}.cdx.json", None)
    assert file["logs"] == [f"../../files/{ALPHA_NEXT}.{name}.txt" for name in ("build", "check-3.13")]


def test_sidecar_addresses_agree_in_pages_and_json(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    name = ALPHA_NEXT.replace("-1.10-", "-1.10+local-")
    ledger.add(release(name))
    write_report(ledger.folder, "alpha", report(name, build=build()))
    made = pages(ledger)
    (file,) = json.loads(made["project/alpha/index.json"])["versions"][0]["files"]
    for address in (file["url"], file["sbom"], *file["logs"]):
        assert address.startswith(f"../../files/{name.replace('+', '%2B')}")
        assert f'href="{address}"' in made["project/alpha/index.html"]
        assert f'href="{address}"' in made["project/alpha/1.10+local.html"]


def test_repacked_wheel_is_marked_as_not_compiled(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    made = build(repacked_from="Debian's python3-alpha 1.10-2", patches=())
    write_report(ledger.folder, "alpha", report(ALPHA_NEXT, build=made))
    written = pages(ledger)
    words = "Repacked from Debian&#39;s python3-alpha 1.10-2, not compiled here"
    for name in ("index", "1.10"):
        assert words in plain(written[f"project/alpha/{name}.html"])
        assert "unmodified upstream source" not in plain(written[f"project/alpha/{name}.html"])
    assert "Repacked" not in written["project/alpha/1.0.html"]
    assert "alpha Adds numbers 1.10 repacked, checked on 2 CPUs" in plain(written["index.html"])
    assert "alpha 1.10 repacked, not compiled here" in plain(written["builds/index.html"])
    entry = json.loads(written["project/alpha/index.json"])
    assert entry["versions"][0]["files"][0]["repacked_from"] == "Debian's python3-alpha 1.10-2"
    assert entry["states"]["3.13"]["repacked"] is True


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({}, f"../../files/{ALPHA}.provenance"),
        ({"provenance_url": "https://wheels.example/files/p"}, f"../../files/{ALPHA}.provenance"),
        ({"url": "https://cdn.example/w"}, f"../../files/{ALPHA}.provenance"),
        ({"url": "https://cdn.example/w", "provenance_url": "https://cdn.example/p"}, "https://cdn.example/p"),
    ],
)
def test_provenance_link_follows_the_file(changes: dict[str, str], address: str) -> None:
    published = release(ALPHA, provenance_sha256="8" * 64, **changes)
    assert make_wheel(published, None).provenance == address


def test_failure_is_shown_for_the_project_of_the_recipe(tmp_path: Path) -> None:
    failure = replace(FAILURE, name="alpha-debian", project="alpha", python="3.14")
    made = pages(make_ledger(tmp_path, [failure]))
    assert "Build of alpha-debian for Python 3.14 failed" in plain(made["project/alpha/index.html"])
    assert '<a href="../project/alpha/index.html">Project page of alpha</a>' in made["builds/index.html"]
    assert "project/alpha-debian/index.html" not in made


def test_rebuild_command_has_the_name_of_the_recipe(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    write_report(ledger.folder, "alpha", report(ALPHA_NEXT, build=build(recipe="alpha-repacked")))
    page = pages(ledger)["project/alpha/1.10.html"]
    assert "factory build alpha-repacked --python 3.13\nfactory rebuild alpha-repacked --record kkkk" in page


def test_site_address_is_in_commands_feeds_and_sitemap(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    assert "sitemap.xml" not in pages(ledger)
    (tmp_path / "index/site.toml").write_text('title = "Wheels"\nurl = "https://wheels.example/riscv/"\n')
    made = pages(ledger)
    assert "pip install --index-url https://wheels.example/riscv/simple/ alpha" in made["project/alpha/index.html"]
    assert "https://wheels.example/riscv/project/alpha/1.10.html" in made["feed.xml"]
    found = {address.removeprefix("https://wheels.example/riscv/") for address in addresses_in(made["sitemap.xml"])}
    assert {name or "index.html" for name in found} <= set(made)
    assert "project/alpha/1.0.html" in found


def test_sitemap_beyond_limit_is_split_into_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = make_ledger(tmp_path)
    (tmp_path / "index/site.toml").write_text('url = "https://wheels.example/riscv/"\n')
    whole = addresses_in(pages(ledger)["sitemap.xml"])
    monkeypatch.setattr("factory.site.sitemaps.ADDRESSES", 6)
    made = pages(ledger)
    maps = [address.removeprefix("https://wheels.example/riscv/") for address in addresses_in(made["sitemap.xml"])]
    assert maps == [f"sitemap-{number}.xml" for number in range(1, len(maps) + 1)]
    assert [address for name in maps for address in addresses_in(made[name])] == whole
    assert all(len(addresses_in(made[name])) <= 6 for name in maps)


def addresses_in(sitemap: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(sitemap).iter() if node.tag.endswith("loc")]


def test_downloaded_board_finder_has_the_index_address(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    assert 'default="URL/simple/"' in pages(ledger)["static/board.py"]
    (tmp_path / "index/site.toml").write_text('url = "https://wheels.example/riscv/"\n')
    made = pages(ledger)
    assert 'default="https://wheels.example/riscv/simple/"' in made["static/board.py"]
    assert (
        "curl -fsSL https://wheels.example/riscv/static/board.py | python3 - --index-url" in made["boards/index.html"]
    )


def test_profile_page_lists_packages_that_passed_on_it(tmp_path: Path) -> None:
    made = pages(make_ledger(tmp_path))
    assert "1 package passed the checks on it alpha 1.10" in plain(made["boards/k1.html"])
    assert "No package has passed its checks on this profile" in plain(made["boards/vlen1024.html"])


def test_profile_page_claims_no_unchecked_package(tmp_path: Path) -> None:
    made = pages(make_ledger(tmp_path))
    assert "install on it too, but their current versions have not passed checks on it" in plain(made["boards/k1.html"])
    assert "Not every package was checked on every profile" in plain(made["boards/index.html"])
    assert "depends on the system: glibc" in made["static/site.js"]


def test_builds_page_shows_dates_and_durations(tmp_path: Path) -> None:
    page = plain(pages(make_ledger(tmp_path))["builds/index.html"])
    assert "alpha 1.10 2026-01-02 3.13 rv64gc, k1 4 min 21 s 18 s" in page


def test_builds_page_has_slowest_cached_and_larger_builds(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    larger = release(ALPHA_NEXT, size=2 * release(ALPHA).size)
    (ledger.folder / "alpha" / f"{ALPHA_NEXT}.json").write_bytes(encode_entry(larger))
    use = CompilerCacheUse(hits=3, misses=1)
    later = build(finished="2026-01-03T00:00:00+00:00", compiler_cache=use)
    write_report(ledger.folder, "alpha", report(ALPHA_NEXT, build=later))
    page = plain(pages(ledger)["builds/index.html"])
    assert "alpha 1.10 cp313-cp313 4 min 41 s not recorded not recorded" in page
    assert "alpha 1.10 cp313-cp313 4 3" in page
    assert "+100.0 %" in page


def test_builds_page_tells_since_when_a_build_fails(tmp_path: Path) -> None:
    failure = FAILURE.after(replace(FAILURE, finished="2026-02-01T00:00:00+00:00"))
    page = plain(pages(make_ledger(tmp_path, failures=(failure,)))["builds/index.html"])
    assert re.search("failed at stage build, 2026-03-04 ?, failing since 2026-02-01", page)


@pytest.mark.parametrize(
    "lines",
    [
        "title = 3",
        'url = "ftp://x"',
        'colour = "red"',
        "title",
        'title = "a\\u202eb"',
        'locks = ["app"]',
        'url = "https://x"\nlocks = "app"',
        'url = "https://x"\nlocks = ["../app"]',
    ],
)
def test_invalid_settings_error_has_allowed_keys(lines: str, tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    (tmp_path / "index/site.toml").write_text(lines)
    with pytest.raises(PublishError, match=r"site\.toml: invalid settings") as caught:
        pages(ledger)
    assert 'url = "https://..."' in str(caught.value.hint)


def test_failed_check_is_shown_as_failed(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    checks = tuple(structs.replace(check, passed=check.profile != "k1") for check in build().checks)
    write_report(ledger.folder, "alpha", report(ALPHA_NEXT, build=build(checks=checks)))
    assert 'class="failed">failed' in pages(ledger)["project/alpha/index.html"]


def test_board_profiles_agree_with_board_finder() -> None:
    told = {name: board for board in BOARDS for name in board.names.split(", ")}
    samples = {
        "StarFive VisionFive 2": "VisionFive 2, Linux 6.6",
        "SiFive HiFive Premier P550": "HiFive Premier P550",
        "Lichee RV": "Lichee RV (D1), its vendor's Linux 5.4",
        "Lichee Pi 4A": "Lichee Pi 4A (TH1520), Linux 6.6",
        "Milk-V Pioneer": "Milk-V Pioneer (SG2042), its vendor's kernel",
        "CanMV K230": "CanMV K230 (C908)",
        "Banana Pi BPI-F3": "BPI-F3 (K1), its vendor's Linux 6.1",
        "MUSE Book": "BPI-F3 (K1)",
        "Boards with SG2044": "SG2044 (C920v2)",
        "Boards with SpacemiT K3": "K3",
    }
    assert {name: told[name].profile for name in samples} == {
        name: SAMPLES[sample][1] for name, sample in samples.items()
    }


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_499, "999 kB"), (999_999, "1.0 MB"), (21_900_000, "21.9 MB")],
)
def test_size_has_unit_and_three_digits(count: int, words: str) -> None:
    assert filters.size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (9.96, "10.0 s"), (59.4, "59 s"), (59.7, "1 min 0 s"), (7325, "2 h 2 min")]
)
def test_duration_has_at_most_two_units(seconds: float, words: str) -> None:
    assert filters.duration(seconds) == words


def test_stages_show_recorded_cpu_time_and_memory() -> None:
    built = Stage(name="build", seconds=90.0, processors=171.0, memory=2_100_000_000)
    told = filters.stages((Stage(name="source", seconds=2.0), built))
    assert told == "source 2.0 s, build 1 min 30 s (2 min 51 s of CPU time, 2.1 GB)"


def test_builds_page_without_failures_says_so(tmp_path: Path) -> None:
    made = pages(make_ledger(tmp_path, failures=()))
    assert FAILURE.name not in made["index.html"]
    assert "None: the last build of every package succeeded." in made["builds/index.html"]


@pytest.mark.parametrize(
    ("pythons", "text"), [(("3.13", "3.14"), ">=3.13"), (("3.14",), ">=3.14"), (("3.13",), ">=3.13,<3.14")]
)
def test_python_range_excludes_pythons_without_files(pythons: tuple[str, ...], text: str) -> None:
    assert filters.python_range(pythons) == text
