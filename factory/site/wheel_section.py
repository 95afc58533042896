"""Section of a version's page about one wheel: build, contents and checks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import markupsafe

from factory.model.artifacts import SourceOrigin
from factory.model.target import PROFILES, PYTHONS
from factory.publish.release import URL
from factory.publish.reports import Contents, Patch
from factory.site import filters
from factory.site.macro_cache import Values, fill_macro
from factory.site.wheel_needs import ANY
from factory.site.wheels import Wheel, log_title, profile_rank
from factory.util.paths import short

RESULTS = {True: "passed", False: "failed"}
ORIGINS = {True: "built here", False: "unchanged from its own project"}
NO_LICENCE = "not stated in the wheel"
NO_CONTENTS = Contents(
    libraries=0, glibc=None, dispatched=(), system_libraries=()
)  # of builds without a recorded audit


class CheckLine(NamedTuple):
    """Constant part of a check's line.

    `log` is the place of its log among the wheel's logs, if there is one.
    """

    profile: str
    stands_for: str
    python: str
    ended: str
    log: int | None


def wheel_section(number: int, wheel: Wheel, name: str) -> str:
    """Render the section of a wheel; `number` is its place on the page, from 1."""
    release, build, time = wheel.release, wheel.build, wheel.time
    values = {
        "number": str(number),
        "filename": release.filename,
        "link": wheel.address,
        "size": filters.size(release.size),
        "provenance": wheel.provenance or "",
        "sha256": release.sha256,
        "time": time,
        "day": filters.day(time),
        "origin": "repacked here" if wheel.repacked else ORIGINS[wheel.built],
        "pythons": wheel.pythons,
        "requires_python": release.requires_python or "",
        "yanked": release.yanked or "",
    }
    if build is None:
        values["license"] = "" if wheel.report is None else wheel.report.license or NO_LICENCE
        return fill_macro("wheel.html", "section", Values(texts=values), False, (), ())
    recipe, titles = build.recipe or name, tuple(wheel.logs)
    order, lines = _check_lines(tuple([(each.python, each.profile, each.passed) for each in build.checks]), titles)
    checks = [build.checks[place] for place in order]
    python = checks[0].python if checks else PYTHONS[0]
    values |= {
        "sbom": wheel.sbom or "",
        "statements": wheel.statements or "",
        "licenses": wheel.licenses or "",
        "stages": filters.stages(build.stages),
        "environment": f"{build.mode}; {filters.tools(build.toolchain)}",
        "requirements": ", ".join(build.requirements) or "none",
        "source": build.source_sha256,
        "record": build.record,
        "rebuild": f"factory build {recipe} --python {python}\n"
        f"factory rebuild {recipe} --record {short(build.record)} --verify",
    }
    sources = [origin for origin in build.sources or () if origin.urls and URL.fullmatch(origin.urls[0])]
    lists = {
        "replaced": [f"{requirement}: {why}" for requirement, why in (build.replaced_requires or {}).items()],
        "sources": [origin.urls[0] for origin in sources],
        "source_parts": [_describe_source(origin) for origin in sources],
        "logs": list(wheel.logs.values()),
        "seconds": [filters.duration(check.seconds) for check in checks],
        "shown": [check.shown for check in checks],
    }
    content = Values(texts=values, lists=lists, safe={"facts": wheel_facts(wheel) or ""})
    return fill_macro("wheel.html", "section", content, True, titles, lines)


def _describe_source(origin: SourceOrigin) -> str:
    """Describe the part of a source beside its address."""
    parts = {"folder": origin.folder, "tag": origin.tag, "commit": origin.commit, "sha256": origin.sha256}
    return ", ".join(f"{name} {value}" for name, value in parts.items() if value)


@lru_cache(maxsize=1024)
def _check_lines(
    checks: Sequence[tuple[str, str, bool]], logs: Sequence[str]
) -> tuple[Sequence[int], Sequence[CheckLine]]:
    """Return the order of checks on the page and their lines.

    A check is given as Python, profile and result; `logs` are the titles of the wheel's logs.
    """
    order = sorted(range(len(checks)), key=lambda place: (checks[place][0], profile_rank(checks[place][1])))
    return order, tuple([_check_line(*checks[place], logs) for place in order])


def _check_line(python: str, profile: str, passed: bool, logs: Sequence[str]) -> CheckLine:
    title = log_title("check", python)
    return CheckLine(
        profile=profile,
        stands_for=PROFILES[profile].stands_for if profile in PROFILES else "",
        python=python,
        ended=RESULTS[passed],
        log=logs.index(title) if title in logs else None,
    )


def wheel_facts(wheel: Wheel) -> markupsafe.Markup | None:
    """Render the facts of a wheel that was built here, None for others."""
    if wheel.build is None or wheel.report is None:
        return None
    build, texts = wheel.build, wheel.texts
    facts = _Facts(
        repacked_from=build.repacked_from,
        baseline=build.baseline,
        glibc="" if wheel.glibc == ANY else wheel.glibc,
        license=wheel.report.license,
        recipe=build.recipe,
        recipe_text=texts.get(build.recipe_sha256 or "", ""),
        contents=build.contents,
        patches=build.patches,
        patch_texts=tuple([texts.get(patch.sha256 or "", "") for patch in build.patches]),
    )
    return _render_facts(facts)


class _Facts(NamedTuple):
    """Facts of a wheel.

    The texts of its recipe and patches are their file names, empty where there is none.
    """

    repacked_from: str
    baseline: str
    glibc: str
    license: str
    recipe: str
    recipe_text: str
    contents: Contents | None
    patches: Sequence[Patch]
    patch_texts: Sequence[str]


@lru_cache(maxsize=256)
def _render_facts(facts: _Facts) -> markupsafe.Markup:
    """Render the facts.

    Most wheels of a version have the same facts, and often those of the next version too.
    """
    contents = facts.contents or NO_CONTENTS
    bundled = contents.bundled or ()
    values = Values(
        texts={
            "repacked_from": facts.repacked_from,
            "baseline": facts.baseline,
            "glibc": facts.glibc,
            "system_libraries": ", ".join(contents.system_libraries),
            "license": facts.license or NO_LICENCE,
            "recipe": facts.recipe,
            "recipe_text": facts.recipe_text,
        },
        lists={
            "dispatched": [library.path for library in contents.dispatched],
            "extensions": [", ".join(library.extensions) for library in contents.dispatched],
            "bundled": [library.path for library in bundled],
            "from": [filters.library_origin(library.package) for library in bundled],
            "sboms": contents.sboms,
            "licenses": contents.licenses or (),
            "patches": [patch.name for patch in facts.patches],
            "statuses": [patch.upstream_status for patch in facts.patches],
            "patch_texts": facts.patch_texts,
        },
    )
    audited, bundled_known = facts.contents is not None, contents.bundled is not None
    return markupsafe.Markup(fill_macro("wheel.html", "facts", values, audited, bundled_known))
