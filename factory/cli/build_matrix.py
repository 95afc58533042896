"""Matrix of a build plan: the jobs of GitHub's runners, wave by wave."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from factory.cli.values import count, duration, output_path
from factory.cli.workflow_files import set_output
from factory.host.ownership import owned_by_user
from factory.model.build_plan import BuildPlan, PlannedGroup
from factory.pipeline.build_plan import make_plan
from factory.pipeline.job_slots import processors
from factory.pipeline.run import Run
from factory.pipeline.selection import Selection
from factory.pipeline.waves import MAX_GROUPS, START_SECONDS, Limits
from factory.util.jsonio import save
from factory.util.quantities import quantity

# GitHub ends a job after 6 hours; the rest is for the cache and the results.
JOB_LIMIT = "5h"
# Jobs of the workflows for waves, one after the other.
WAVES = 6
# Names of recipes in a job's title.
NAMED = 3


def add_matrix_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that `print_matrix` reads."""
    parser.add_argument(
        "--github-matrix",
        action="store_true",
        help="print what is to be built as JSON, in groups for the jobs of a workflow, and set the output `waves`",
    )
    parser.add_argument(
        "--output", type=output_path, metavar="FILE", help="write these groups for factory build --plan FILE"
    )
    parser.add_argument(
        "--job-limit",
        type=duration,
        default=JOB_LIMIT,
        metavar="DURATION",
        help="time of a job; what takes longer is resumed in the next wave (default: %(default)s)",
    )
    parser.add_argument(
        "--processors",
        type=count,
        default=processors(),
        metavar="N",
        help="processors of each job's machine (default: those of this one, %(default)s)",
    )


def print_matrix(selection: Selection, run: Run, args: argparse.Namespace) -> None:
    """Print the groups of a selection, and write them to a file if wanted."""
    limits = Limits(job_seconds=args.job_limit, groups=MAX_GROUPS, waves=WAVES)
    found = make_plan(selection, run, limits, args.processors)
    if args.output:
        with owned_by_user(args.output):
            save(args.output, found)
    run.reporter.line(cost_line(found))
    set_output("waves", json.dumps(_matrix(found)))
    print(json.dumps(_matrix(found), indent=1))


def cost_line(found: BuildPlan) -> str:
    """Return the line with a plan's costs.

    They are the time of all machines, and from start to end, with a start-up for each group.
    """
    start = START_SECONDS / 60
    machines = sum(group.minutes + start for group in found.groups)
    whole = sum(max(group.minutes for group in wave) + start for wave in found.waves)
    return (
        f"{quantity(len(found.groups), 'group')} in {quantity(len(found.waves), 'wave')}: about "
        f"{quantity(round(machines), 'minute')} of machines, {whole:.0f} from start to end"
    )


def _matrix(found: BuildPlan) -> Sequence[Sequence[dict[str, object]]]:
    """Return a list for each wave that workflows have; those without groups are empty."""
    waves = [[_entry(group) for group in wave] for wave in found.waves]
    return waves + [[]] * (WAVES - len(waves))


def _entry(group: PlannedGroup) -> dict[str, object]:
    names = list(dict.fromkeys(build.name for build in group.builds))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return {"group": group.id, "title": ", ".join(names[:NAMED]) + more, "minutes": group.minutes}
