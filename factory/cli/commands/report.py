"""`factory report`: write the state of all builds as Markdown."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import msgspec
from packaging.utils import canonicalize_name

from factory.cli.commands.coverage import compare
from factory.cli.options import recipe_set
from factory.cli.packages_page import measure, render_packages, summarize
from factory.cli.project_options import add_index_options, ledger_folder
from factory.cli.status_report import Status, render_status
from factory.cli.values import output_path
from factory.cli.workflow_files import add_summary
from factory.model.record import BuildFailure
from factory.publish.build_facts import BuildFact, builds_of, fact_of, failing
from factory.publish.failures import read_failures
from factory.publish.ledger import Ledger
from factory.publish.reports import with_reports
from factory.recipes.recipe_set import RecipeSet
from factory.site.coverage import load_coverage
from factory.site.projects import project_names
from factory.store.store import Store
from factory.util.atomic_files import write_if_changed
from factory.util.jsonio import timestamp
from factory.util.paths import default_layout

# The store is read.
READS_CACHE = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_index_options(parser)
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")
    parser.add_argument(
        "--packages", type=output_path, metavar="FILE", help="write a page of all recipes instead: docs/packages.md"
    )


def run(args: argparse.Namespace) -> int:
    """Print the report, also into a workflow's summary, or write the page of recipes."""
    project = recipe_set(args)
    recipes = project.by_name
    store, ledger = Store(default_layout().store), Ledger(ledger_folder(args, args.output))
    names = {canonicalize_name(name) for name in recipes}
    # A store may have the builds of other projects too.
    stored = (each for each in _stored(store) if canonicalize_name(each.recipe) in names)
    failed = (each for each in store.failures() if canonicalize_name(each.name) in names)
    facts = [*_published(ledger), *stored]
    if args.packages is not None:
        _write_packages(args.packages, project, facts, as_json=args.json)
        return 0
    coverage = load_coverage(ledger.folder.absolute().parent)
    status = Status(
        time=timestamp(),
        recipes=list(recipes.values()),
        facts=list({(each.recipe, each.tag, each.version, each.finished): each for each in facts}.values()),
        failures=failing((*_failures(ledger), *failed), facts),
        stacks=compare(coverage.stacks, ledger),
        gathered=coverage.gathered,
    )
    add_summary(render_status(status))
    print(_as_json(status) if args.json else render_status(status), end="")
    return 0


def _write_packages(page: Path, project: RecipeSet, facts: Iterable[BuildFact], *, as_json: bool) -> None:
    """Write the page of all recipes, if it changed.

    Raises:
        RecipeError: a recipe is not readable.
    """
    project.require_all()
    sizes = [measure(recipe, project.patches) for recipe in project.by_name.values()]
    before = page.read_text(encoding="utf-8") if page.is_file() else ""
    write_if_changed(page, render_packages(sizes, facts, before).encode())
    if as_json:
        print(json.dumps({"file": str(page), "recipes": [asdict(each) for each in sizes]}, indent=1))
    else:
        print(f"{page}: {summarize(sizes)}")


def _published(ledger: Ledger) -> Iterable[BuildFact]:
    releases = ledger.read() if ledger.folder.is_dir() else ()
    for release, report in with_reports(releases, ledger.folder):
        if report is not None and report.build is not None:
            yield fact_of(release.filename, release.size, report.build)


def _stored(store: Store) -> Iterable[BuildFact]:
    for (wheel, sha256), build in builds_of(store.records()).items():
        yield fact_of(wheel, (store.wheels / sha256 / wheel).stat().st_size, build)


def _failures(ledger: Ledger) -> Iterable[BuildFailure]:
    return (failure for name in project_names(ledger.folder) for failure in read_failures(ledger.folder, name))


def _as_json(status: Status) -> str:
    content = {
        "time": status.time,
        "recipes": {recipe.name: recipe.version for recipe in status.recipes},
        "builds": [msgspec.structs.asdict(fact) for fact in status.facts],
        "failures": [{**msgspec.to_builtins(failure), "since": failure.first} for failure in status.failures],
        "coverage": {"gathered": status.gathered, "stacks": msgspec.to_builtins(status.stacks)},
    }
    return json.dumps(content, indent=1) + "\n"
