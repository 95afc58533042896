"""Untrusted text on pages: no markup, no path outside its folder, no hidden text."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import structs
from pypi_simple import ProjectPage

from factory.errors import PublishError
from factory.model.artifacts import SourceOrigin
from factory.publish.failures import write_failures
from factory.publish.ledger import Ledger
from factory.publish.release import Built, Release
from factory.publish.reports import About, WheelReport, read_reports, report_path, write_report
from factory.publish.safe_text import UNSAFE, load_sanitized, sanitize
from factory.publish.server import serve
from factory.publish.wheel_filename import parse_filename
from factory.publish.wheel_metadata import read_summary
from factory.site.config import Settings
from factory.site.coverage import Coverage, Pin, Stack
from factory.site.inputs import Site
from factory.site.overview_pages import make_entry, render_overview
from factory.site.project_pages import render_project
from factory.site.projects import Project, make_project
from factory.site.wheels import sanitize_release
from factory.site.writer import encode_page, write_site
from factory.util.jsonio import convert, dumps
from tests.support.browser import Browser, chromium
from tests.support.ledgers import ALPHA, CONTENTS, FAILURE, build, make_ledger, release, report
from tests.support.markup import MARKUP

hostile = st.one_of(st.sampled_from(MARKUP), st.text(st.characters(codec=None), min_size=1, max_size=60))
SITE = Site(settings=Settings(url="https://wheels.example"), coverage=Coverage())


def project_with(text: str) -> Project:
    """Make a project in which `text` is in every field, trusted or not."""
    plain = build()
    made = structs.replace(
        plain,
        finished=text,
        mode=text,
        baseline=text,
        toolchain={text: text},
        requirements=(text, text),
        replaced_requires={text: text},
        patches=tuple(structs.replace(patch, name=text, upstream_status=text, sha256=text) for patch in plain.patches),
        stages=tuple(structs.replace(stage, name=text) for stage in plain.stages),
        logs=tuple(structs.replace(log, stage=text, python=text) for log in plain.logs),
        recipe=text,
        recipe_sha256=text,
        sources=(SourceOrigin(kind=text, urls=("https://git.example/x",), folder=text, commit=text, tag=text),),
        checks=(structs.replace(plain.checks[0], profile=text, python=text, shown=text),),
        contents=structs.replace(
            CONTENTS,
            glibc=text,
            dispatched=(structs.replace(CONTENTS.dispatched[0], path=text, extensions=(text,)),),
            system_libraries=(text,),
        ),
    )
    one = release(ALPHA, requires_python=text, yanked=text, uploaded=None)
    about = About(
        requires=(f"!{text}",),  # no requirement, whatever the text
        links={text: "https://git.example/x", "Evil": text},
        modules=(text,),
        keywords=(text,),
    )
    words = as_read(report(ALPHA, summary=text, license=text, build=made, about=about))
    failure = replace(FAILURE, version=text, python=text, stage=text, finished=text, message=text)
    return make_project(
        "alpha", [one], {ALPHA: words}, [convert(load_sanitized(dumps(failure).encode()), type(failure))]
    )


def as_read(written: WheelReport) -> WheelReport:
    return convert(load_sanitized(dumps(written).encode()), WheelReport)


def all_pages(project: Project, site: Site = SITE) -> Mapping[str, str]:
    return {**dict(render_project(project, site)), **render_overview([make_entry(project, site)], site)}


class Skeleton(HTMLParser):
    """The elements of a page with the names of their attributes, without text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[object] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [name for name, _ in attrs]))
        for name, value in attrs:
            if name in ("href", "src"):
                assert not (value or "").lower().lstrip().startswith(("javascript:", "data:", "vbscript:"))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(tag)

    def handle_comment(self, data: str) -> None:
        self.found.append("comment")

    def handle_decl(self, decl: str) -> None:
        self.found.append(decl)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@example(MARKUP[1])
@example(MARKUP[10])
@given(hostile)
def test_hostile_text_does_not_change_page_structure(text: str) -> None:
    expected, found = all_pages(project_with("x")), all_pages(project_with(text))
    assert set(found) == set(expected)
    for name, page in found.items():
        if name.endswith(".html"):
            assert Skeleton(page).found == Skeleton(expected[name]).found, name
        elif name.endswith(".xml"):
            ElementTree.fromstring(page)
        elif name.endswith("json"):
            json.loads(page)
        if not name.startswith("simple/"):
            assert UNSAFE.search(page) is None, name


@given(hostile)
def test_harmless_replaces_harmful_characters_only(text: str) -> None:
    shown = sanitize(text)
    assert UNSAFE.search(shown) is None
    assert shown.encode().decode() == shown
    assert sanitize(shown) == shown
    assert len(shown) <= len(text)


def test_sanitize_release_covers_every_text_field() -> None:
    plain = release(ALPHA)
    fields = [field.name for field in structs.fields(plain) if field.name not in ("size", "origin", "listed")]
    clean = sanitize_release(structs.replace(plain, **dict.fromkeys(fields, "a\u202eb")))
    assert {getattr(clean, name) for name in fields} == {sanitize("a\u202eb")}
    assert sanitize_release(plain) is plain


def test_harmless_keeps_text_of_any_language() -> None:
    for text in ("plain", "Ünïcödé, naïve", "数値計算", "Zażółć\n\tgęślą", "שלום", "e\u0301a\u0308", "100 % & <ok>"):
        assert sanitize(text) == text


filenames = st.one_of(
    st.text(max_size=80).map(lambda text: f"{text}.whl"),
    st.builds(
        "{}-{}-{}.whl".format,
        st.text(min_size=1, max_size=20),
        st.one_of(
            st.text(min_size=1, max_size=20), st.from_regex(r"[0-9]!?[0-9.]{1,9}(\+[a-z0-9._-]{1,9})?", fullmatch=True)
        ),
        st.sampled_from(["py3-none-any", "cp313-cp313-manylinux_2_39_riscv64", "../../x-none-any"]),
    ),
    st.sampled_from(
        ["../a-1-py3-none-any.whl", "a-..-py3-none-any.whl", ".a-1-py3-none-any.whl", "a-1!1+x-py3-none-any.whl"]
    ),
)


@settings(max_examples=150)
@given(filenames)
def test_page_paths_stay_in_the_project_folder(filename: str) -> None:
    try:
        name, _version = parse_filename(filename)
    except PublishError:
        return
    project = make_project(name, [release(filename)], {}, [])
    for path, _ in render_project(project, SITE):
        pure = PurePosixPath(path)
        assert path == str(pure)
        assert ".." not in pure.parts
        assert not pure.is_absolute()
        assert (pure.parts[0], pure.parts[1]) in {("simple", name), ("project", name)}
        assert not any(part.startswith(".") for part in pure.parts)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), hostile),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(hostile, inner, max_size=3)),
    max_leaves=8,
)


def paths_into(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path to each value in a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, each in inner for deeper in paths_into(each, (*path, key)))]


DOCUMENT = json.loads(dumps(report(ALPHA, build=build())))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(paths_into(DOCUMENT)[1:]), json_values)
def test_report_with_any_value_is_refused_or_shown(tmp_path: Path, path: tuple[str | int, ...], value: Any) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file = report_path(tmp_path, "alpha", ALPHA)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document))
    try:
        reports = read_reports(tmp_path, "alpha")
    except PublishError:
        return
    for name, page in all_pages(make_project("alpha", [release(ALPHA)], reports, [])).items():
        encode_page(page)
        if name.endswith(".xml"):
            ElementTree.fromstring(page)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(b"Summary: a\n" * 50_000)
@example(b"License: " + b"\xff\xfe\x00" * 1000)
@example(b"Classifier: License :: " + b"x" * 100_000)
@given(st.binary(max_size=400).map(lambda data: b"Name: a\nSummary: " + data))
def test_wheel_with_absurd_metadata_is_shortened_or_refused(tmp_path: Path, metadata: bytes) -> None:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a-1.dist-info/METADATA", metadata)
    try:
        words = read_summary(wheel)
    except PublishError:
        return
    assert all(len(text) <= 300 for text in words)


@pytest.mark.parametrize("text", MARKUP)
def test_simple_page_keeps_printable_text_unchanged(text: str) -> None:
    one = release(ALPHA, yanked=text)
    page = encode_page(
        dict(render_project(make_project("alpha", [one], {}, []), SITE))["simple/alpha/index.html"]
    ).decode()
    (package,) = ProjectPage.from_html("alpha", page, base_url="http://host/simple/alpha/").packages
    told = package.yanked_reason
    if text.isprintable() and not any(ord(character) in range(0xD800, 0xE000) for character in text):
        assert told == text


def test_ledger_with_lone_surrogate_is_damaged(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(release(ALPHA, yanked="x"))
    (file,) = tmp_path.glob("alpha/*.json")
    file.write_text(file.read_text().replace('"x"', '"\\ud800"'))
    with pytest.raises(PublishError, match="is damaged"):
        ledger.read()


def hostile_ledger(folder: Path) -> Ledger:
    """Make a ledger with markup in every field, and in names as far as possible."""
    ledger = make_ledger(folder)
    for number, text in enumerate(MARKUP):
        filename = f"evil{number}-1.0+x{number}-cp313-cp313-manylinux_2_38_riscv64.whl"
        project, _ = parse_filename(filename)
        ledger.add(evil_release(filename, text))
        mocked = project_with(text).versions[0].wheels[0].report
        assert mocked is not None
        write_report(ledger.folder, project, structs.replace(mocked, filename=filename))
    write_failures(ledger.folder, [replace(FAILURE, message="\n".join(MARKUP), stage=MARKUP[0], version=MARKUP[1])])
    pins = tuple(Pin(project=text, version=text, offers={"3.13": "missing"}) for text in MARKUP)
    stacks = (Stack(name=MARKUP[0], requirements=MARKUP, pins=pins, problems={"3.14": MARKUP[0]}),)
    since = {"evil0": {"3.13": MARKUP[1]}}
    coverage = Coverage(pythons=("3.13", "3.14"), gathered=MARKUP[1], stacks=stacks, riscv64_since=since)
    (ledger.folder.parent / "coverage.json").write_text(dumps(coverage))
    return ledger


def evil_release(filename: str, text: str) -> Release:
    plain = text.encode(errors="replace").decode()
    return release(filename, yanked=None, requires_python=plain, origin=Built(record=text, profiles=("k1",)))


@pytest.mark.environment
def test_hostile_pages_run_no_script_in_browser(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_site(hostile_ledger(tmp_path), out)
    pages = sorted(str(path.relative_to(out)) for path in out.rglob("*.html"))
    assert len(pages) > 2 * len(MARKUP)
    with serve(out) as url, chromium() as driver:
        browser = Browser(driver, url)
        browser.complaints()
        for page in pages:
            browser.open(page)
            assert browser.run("return window.ran") is None, page
            assert browser.complaints() == [], page
            loaded = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)")
            assert {name for name in loaded if not name.startswith(f"{url}/static/")} <= {f"{url}/favicon.ico"}, page
