"""What the pages say, from a ledger alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec import structs

from factory.errors import PublishError
from factory.publish.ledger import Ledger
from factory.publish.reports import Stage, write_report
from factory.site import filters
from factory.site.boards import BOARDS
from factory.site.wheels import make_wheel
from factory.site.writer import site_pages
from tests.support.boards import SAMPLES
from tests.support.ledgers import ALPHA, ALPHA_NEXT, FAILURE, PURE, build, make_ledger, release, report
from tests.support.page_text import plain
from tests.support.wheelmaker import RISCV

ATOM = "{http://www.w3.org/2005/Atom}"


def pages(ledger: Ledger) -> dict[str, str]:
    return dict(site_pages(ledger))


def test_the_front_page_says_for_each_python_what_there_is(tmp_path: Path) -> None:
    front = plain(pages(make_ledger(tmp_path))["index.html"])
    assert "2 packages that install on a riscv64 board without a compiler: 1 built here" in front
    assert "alpha Adds numbers 1.10 run on 2 CPUs none" in front
    assert "plain-text Text as it is 2.0 pure Python 2.0 pure Python" in front
    assert "broken build failed none" in front


def test_a_project_page_begins_with_the_line_to_paste(tmp_path: Path) -> None:
    page = pages(make_ledger(tmp_path))["project/alpha/index.html"]
    assert "pip install --index-url URL/simple/ alpha" in page
    assert "uv pip install --default-index URL/simple/ alpha" in page
    assert page.index("pip install") < page.index("Checks") < page.index("About this build")


def test_every_cell_of_the_grid_leads_to_what_was_seen(tmp_path: Path) -> None:
    made = pages(make_ledger(tmp_path))
    links = re.findall(r'href="([^"]+)#([^"]+)" class="passed"', made["project/alpha/index.html"])
    assert len(links) == 4
    for path, place in links:
        assert f'id="{place}"' in made[f"project/alpha/{path}"]


def test_every_cell_of_the_grid_leads_to_the_logs_of_its_check_and_of_its_build(tmp_path: Path) -> None:
    grid = pages(make_ledger(tmp_path))["project/alpha/index.html"].partition('<table class="grid">')[2]
    for wheel in (ALPHA, ALPHA_NEXT):
        for name, log in (("check", "check-3.13"), ("build", "build")):
            assert len(re.findall(rf'href="\.\./\.\./files/{wheel}\.{log}\.txt">{name}<', grid)) == 2


def test_a_check_and_its_build_lead_to_their_logs(tmp_path: Path) -> None:
    page = pages(make_ledger(tmp_path))["project/alpha/1.10.html"]
    checked, built = (f"../../files/{ALPHA_NEXT}.{name}.txt" for name in ("check-3.13", "build"))
    assert page.count(f'<td class="passed"><a href="{checked}">passed</a></td>') == 2
    assert f'<a href="{built}">build</a>, <a href="{checked}">check on Python 3.13</a>' in page


def test_a_wheel_without_logs_of_its_own_has_no_links_to_any(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    write_report(ledger.folder, "alpha", report(ALPHA_NEXT, build=build(logs=())))
    made = pages(ledger)
    assert '<td class="passed">passed</td>' in made["project/alpha/1.10.html"]
    assert "Logs" not in made["project/alpha/1.10.html"]
    assert f"{ALPHA_NEXT}.build.txt" not in made["project/alpha/index.html"]
    assert json.loads(made["project/alpha/index.json"])["versions"][0]["files"][0]["logs"] == []


def test_a_versions_page_tells_everything_of_its_build(tmp_path: Path) -> None:
    page = plain(pages(make_ledger(tmp_path))["project/alpha/1.10.html"])
    for words in (
        "12.3 MB",
        "rv64gc: every instruction that is reached without asking the CPU first",
        "alpha/fast.so (v, zvfh)",
        "glibc 2.38 or newer",
        "libc.so.6, libm.so.6",
        "SBOMs in the wheel alpha.dist-info/sboms/crates.json",
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


def test_a_failed_build_is_told_with_its_last_lines(tmp_path: Path) -> None:
    made = pages(make_ledger(tmp_path))
    for name in ("project/broken/index.html", "builds/index.html"):
        assert "at the stage" in plain(made[name])
        assert "vec.c:3:1: error: expected &#39;;&#39;" in made[name]
    assert "simple/broken/index.html" not in made
    assert 'href="broken/"' not in made["simple/index.html"]


def test_provenance_that_its_own_project_offers_is_linked_where_it_is(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.update([structs.replace(release(PURE), provenance_url="https://upstream.example/plain.provenance")])
    made = pages(ledger)
    for name in ("index", "2.0"):
        assert 'href="https://upstream.example/plain.provenance">provenance' in made[f"project/plain-text/{name}.html"]


def test_a_yanked_version_is_marked_and_not_the_current_one(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.update([structs.replace(release(ALPHA_NEXT), yanked="wrong at VLEN 512")])
    made = pages(ledger)
    assert '<span class="version">1.0</span>' in made["project/alpha/index.html"]
    assert "Yanked wrong at VLEN 512" in plain(made["project/alpha/1.10.html"])


def test_what_is_not_listed_any_more_is_on_no_page(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.update([structs.replace(release(ALPHA), listed=False)])
    assert [name for name, page in pages(ledger).items() if ALPHA in page] == []


def test_a_wheel_that_was_not_run_on_a_python_says_so(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    name = RISCV.replace("cp313-cp313", "py3-none")
    ledger.add(release(f"beta-1.0-{name}.whl"))
    assert "beta 1.0 run on 2 CPUs 1.0 not run on 3.14" in plain(pages(ledger)["index.html"])


def test_warnings_of_dependency_confusion_are_wherever_the_option_is_shown(tmp_path: Path) -> None:
    for name, page in pages(make_ledger(tmp_path)).items():
        if "--extra-index-url" in page and name.endswith(".html"):
            assert "dependency confusion" in page, name


def test_no_page_needs_anything_from_elsewhere(tmp_path: Path) -> None:
    for name, page in pages(make_ledger(tmp_path)).items():
        if not name.startswith("simple/") and name.endswith((".html", ".css")):
            assert re.findall(r'(?:src|href)="(?:https?:)?//|url\(|@import', page) == [], name


def test_every_link_between_pages_leads_to_a_page(tmp_path: Path) -> None:
    made = pages(make_ledger(tmp_path))
    places = {name: set(re.findall(r'\bid="([^"]+)"', page)) for name, page in made.items()}
    for name, page in made.items():
        if not name.endswith(".html") or name == "404.html":
            continue
        for link in re.findall(r'\b(?:href|src)="([^"]+)"', page):
            path, _, place = link.partition("#")
            target = (Path("/") / name).parent / path if path else Path("/") / name
            resolved = str(target.resolve().relative_to("/"))
            if "files/" not in resolved:
                resolved += "/index.html" if link.endswith("/") else ""
                assert resolved in made, (name, link)
                assert not place or place in places[resolved], (name, link)


def test_the_feeds_are_atom_with_the_times_of_publishing(tmp_path: Path) -> None:
    made = pages(make_ledger(tmp_path))
    feed = ElementTree.fromstring(made["feed.xml"])
    assert [entry.findtext(f"{ATOM}title") for entry in feed.iter(f"{ATOM}entry")] == ["alpha 1.10", "alpha 1.0"]
    assert feed.findtext(f"{ATOM}updated") == "2026-01-02T03:04:05Z"
    own = ElementTree.fromstring(made["project/plain-text/feed.xml"])
    assert own.findtext(f"{ATOM}entry/{ATOM}title") == "plain-text 2.0"
    ids = feed_ids(made, "plain-text")
    assert len(set(ids)) == len(ids)


def test_feeds_and_entries_of_sites_with_addresses_have_identifiers_of_their_own(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    found = [feed_ids(pages(ledger), "alpha")]
    for url in ("https://one.example", "https://two.example/", "https://two.example"):
        (tmp_path / "index/site.toml").write_text(f'url = "{url}"\n')
        found.append(feed_ids(pages(ledger), "alpha"))
    assert found[2] == found[3]
    assert len({each for ids in found[:3] for each in ids}) == 3 * len(set(found[0]))
    assert "urn:uuid:87bd06c0-3d31-53cd-b764-28bf163974a9" in found[0]


def feed_ids(made: Mapping[str, str], project: str) -> list[str]:
    """The identifiers of the feed of everything and of a project's, and of the entries in both."""
    feeds = (ElementTree.fromstring(made[name]) for name in ("feed.xml", f"project/{project}/feed.xml"))
    return [node.text or "" for feed in feeds for node in feed.iter(f"{ATOM}id")]


def test_a_project_is_json_for_programs(tmp_path: Path) -> None:
    entry = json.loads(pages(make_ledger(tmp_path))["project/alpha/index.json"])
    assert entry["states"]["3.13"] == {"kind": "built", "version": "1.10", "profiles": 2, "repacked": False}
    (file,) = entry["versions"][0]["files"]
    assert (file["filename"], file["profiles"], file["glibc"]) == (ALPHA_NEXT, ["rv64gc", "k1"], "2.38")
    assert (file["sbom"], file["repacked_from"]) == (f"../../files/{ALPHA_NEXT}.cdx.json", None)
    assert file["logs"] == [f"../../files/{ALPHA_NEXT}.{name}.txt" for name in ("build", "check-3.13")]


def test_what_lies_beside_a_wheel_has_the_same_address_on_pages_and_for_programs(tmp_path: Path) -> None:
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


def test_a_wheel_of_a_distributions_packages_says_that_it_was_not_compiled_here(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    made = build(repacked_from="Debian's python3-alpha 1.10-2", patches=())
    write_report(ledger.folder, "alpha", report(ALPHA_NEXT, build=made))
    written = pages(ledger)
    words = "Repacked from Debian&#39;s python3-alpha 1.10-2: nothing was compiled here"
    for name in ("index", "1.10"):
        assert words in plain(written[f"project/alpha/{name}.html"])
        assert "as its project published it" not in plain(written[f"project/alpha/{name}.html"])
    assert "Repacked" not in written["project/alpha/1.0.html"]
    assert "alpha Adds numbers 1.10 repacked, run on 2 CPUs" in plain(written["index.html"])
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
def test_provenance_is_linked_to_where_it_lies(changes: dict[str, str], address: str) -> None:
    published = release(ALPHA, provenance_sha256="8" * 64, **changes)
    assert make_wheel(published, None).provenance == address


def test_a_failure_is_told_of_the_project_that_the_recipe_makes(tmp_path: Path) -> None:
    failure = replace(FAILURE, name="alpha-debian", project="alpha", python="3.14")
    made = pages(make_ledger(tmp_path, [failure]))
    assert "Build of alpha-debian for Python 3.14 failed" in plain(made["project/alpha/index.html"])
    assert '<a href="../project/alpha/index.html">All about alpha</a>' in made["builds/index.html"]
    assert "project/alpha-debian/index.html" not in made


def test_a_recipe_of_another_name_than_the_project_is_what_rebuilds_it(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    write_report(ledger.folder, "alpha", report(ALPHA_NEXT, build=build(recipe="alpha-repacked")))
    page = pages(ledger)["project/alpha/1.10.html"]
    assert "factory build alpha-repacked --python 3.13\nfactory rebuild alpha-repacked --record kkkk" in page


def test_with_an_address_the_lines_feeds_and_the_sitemap_have_it(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    assert "sitemap.xml" not in pages(ledger)
    (tmp_path / "index/site.toml").write_text('title = "Wheels"\nurl = "https://wheels.example/riscv/"\n')
    made = pages(ledger)
    assert "pip install --index-url https://wheels.example/riscv/simple/ alpha" in made["project/alpha/index.html"]
    assert "https://wheels.example/riscv/project/alpha/1.10.html" in made["feed.xml"]
    found = {address.removeprefix("https://wheels.example/riscv/") for address in addresses_in(made["sitemap.xml"])}
    assert {name or "index.html" for name in found} <= set(made)
    assert "project/alpha/1.0.html" in found


def test_a_map_of_more_addresses_than_a_file_may_hold_is_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_the_finder_that_is_downloaded_knows_where_the_index_is(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    assert 'default="URL/simple/"' in pages(ledger)["static/board.py"]
    (tmp_path / "index/site.toml").write_text('url = "https://wheels.example/riscv/"\n')
    made = pages(ledger)
    assert 'default="https://wheels.example/riscv/simple/"' in made["static/board.py"]
    assert (
        "curl -fsSL https://wheels.example/riscv/static/board.py | python3 - --index-url" in made["boards/index.html"]
    )


def test_the_page_of_a_profile_names_what_was_run_on_it(tmp_path: Path) -> None:
    made = pages(make_ledger(tmp_path))
    assert "1 package run on it alpha 1.10" in plain(made["boards/k1.html"])
    assert "current version was run on it." in plain(made["boards/vlen1024.html"])


def test_a_profile_on_which_a_package_was_not_run_is_not_said_to_run_it(tmp_path: Path) -> None:
    made = pages(make_ledger(tmp_path))
    assert "install on it too, but no check of their current version has passed there" in plain(made["boards/k1.html"])
    assert "though not each of them on every profile: a package" in plain(made["boards/index.html"])
    assert "the wheels install on it" in made["static/site.js"]


def test_the_page_of_builds_tells_when_each_was_and_what_it_took(tmp_path: Path) -> None:
    page = plain(pages(make_ledger(tmp_path))["builds/index.html"])
    assert "alpha 1.10 2026-01-02 3.13 rv64gc, k1 4 min 21 s 18 s" in page


@pytest.mark.parametrize("lines", ["title = 3", 'url = "ftp://x"', 'colour = "red"', "title", 'title = "a\\u202eb"'])
def test_wrong_settings_are_refused_with_what_is_right(lines: str, tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    (tmp_path / "index/site.toml").write_text(lines)
    with pytest.raises(PublishError, match=r"site\.toml: invalid settings") as caught:
        pages(ledger)
    assert 'url = "https://..."' in str(caught.value.hint)


def test_a_check_that_failed_elsewhere_is_shown_as_failed(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    checks = tuple(structs.replace(check, passed=check.profile != "k1") for check in build().checks)
    write_report(ledger.folder, "alpha", report(ALPHA_NEXT, build=build(checks=checks)))
    assert 'class="failed">failed' in pages(ledger)["project/alpha/index.html"]


def test_boards_count_as_what_the_board_finder_takes_them_for() -> None:
    told = {name: board for board in BOARDS for name in board.names.split(", ")}
    samples = {
        "StarFive VisionFive 2": "VisionFive 2, Linux 6.6",
        "SiFive HiFive Premier P550": "HiFive Premier P550",
        "Lichee RV": "Lichee RV (D1), its vendor's Linux 5.4",
        "Lichee Pi 4A": "Lichee Pi 4A (TH1520), Linux 6.6",
        "Milk-V Pioneer": "Milk-V Pioneer (SG2042), its vendor's kernel",
        "CanMV K230": "CanMV K230 (C908)",
        "Banana Pi BPI-F3": "BPI-F3 (K1)",
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
def test_sizes_are_readable(count: int, words: str) -> None:
    assert filters.size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (9.96, "10.0 s"), (59.4, "59 s"), (59.7, "1 min 0 s"), (7325, "2 h 2 min")]
)
def test_durations_are_readable(seconds: float, words: str) -> None:
    assert filters.duration(seconds) == words


def test_stages_tell_what_they_cost_where_somebody_looked() -> None:
    built = Stage(name="build", seconds=90.0, processors=171.0, memory=2_100_000_000)
    told = filters.stages((Stage(name="source", seconds=2.0), built))
    assert told == "source 2.0 s, build 1 min 30 s (2 min 51 s of CPU time, 2.1 GB)"


def test_the_last_failure_is_from_the_ledger(tmp_path: Path) -> None:
    made = pages(make_ledger(tmp_path, failures=()))
    assert FAILURE.name not in made["index.html"]
    assert "None: the last build of each package ended well." in made["builds/index.html"]
