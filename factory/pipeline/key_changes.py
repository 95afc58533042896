"""Changes of a job's content key since a recorded build."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product
from pathlib import Path

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.model.artifacts import PackagePin
from factory.model.recipe import Recipe
from factory.model.record import BuildRecord
from factory.pipeline.content_key import KeyParts
from factory.pipeline.job import PreparedJob
from factory.pipeline.recorded_changes import ENVIRONMENT, PATCH, describe, differing
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from factory.util.process import run

# Packages of an environment that are named; the rest are counted.
NAMED = 5
# Combinations of earlier parts that are tried.
MOST_COMBINATIONS = 500
# Records that are compared.
MOST_RECORDS = 10
UNRECORDED = (
    "the check's script, the model, an overlay, auditwheel, patchelf or the factory's build logic has changed; "
    "the record is of an older factory and does not tell which"
)


def changed_parts(records: Sequence[BuildRecord], prepared: PreparedJob, store: Store) -> list[str]:
    """Describe what differs from the most similar build, the most useful first.

    `records` are of the package and Python, the newest first, one at least. Older ones lack the parts of their key.
    """
    now = prepared.key_parts.recorded
    told = [record for record in records[:MOST_RECORDS] if record.key_parts]
    if not told:
        return _changes_of_older(records[:MOST_RECORDS], prepared, store)
    closest = min(told, key=lambda record: len(differing(record.key_parts, now)))
    details = _differences(closest, prepared)
    better = ((PATCH, "patches"), (ENVIRONMENT, "environment"), (ENVIRONMENT, "mode"))
    known = {kind: details[part] for kind, part in better if part in details}
    return describe(closest.key_parts, now, known) or [UNRECORDED]


def _changes_of_older(records: Sequence[BuildRecord], prepared: PreparedJob, store: Store) -> list[str]:
    """Describe what differs from records without the parts of their key.

    If the recorded environment, patches and wheels of one, or an earlier build logic, explain its key, no other part
    has changed.
    """
    for record in records:
        explained = _explained(record, prepared, store)
        if explained is not None:
            details = _differences(record, prepared)
            return [details.get(part, part) for part in explained]
    closest = min(records, key=lambda record: len(_differences(record, prepared)))
    found = _differences(closest, prepared)
    # Only comments of the recipe may have changed.
    return [*found.values(), *([] if found.keys() - {"recipe"} else [_unrecorded(closest, prepared.job.recipe)])]


def _explained(record: BuildRecord, prepared: PreparedJob, store: Store) -> list[str] | None:
    """Return the parts whose earlier values alone give the recorded key, else None.

    A part is the environment, the patches, or a recipe whose wheel the build installs.
    """
    now = prepared.key_parts
    environments = dict.fromkeys((now.environment_key, record.environment_key))
    known = {(patch.name, patch.sha256) for patch in record.patches}
    then = tuple(path for path in now.patches if (path.name, sha256_of(path)) in known)
    selections = dict.fromkeys((tuple(now.patches), then))
    wheels = [[(name, sha256) for sha256 in _wheels(name, now, store)] for name in now.wheels]
    logics = (now.build_logic, now.build_logic - 1)
    combinations = islice(product(environments, selections, logics, *wheels), MOST_COMBINATIONS)
    for environment, patches, logic, *chosen in combinations:
        before = replace(now, environment_key=environment, patches=patches, wheels=dict(chosen), build_logic=logic)
        if before.key == record.key:
            return list(_names(now, before))
    return None


def _wheels(name: str, now: KeyParts, store: Store) -> Sequence[str]:
    """Return the hashes of a recipe's stored wheels, the one of now first and then the newest."""
    stored = [each.wheel_sha256 for each in reversed(store.records_of(name)) if each.target.python == now.target.python]
    return list(dict.fromkeys((now.wheels[name], *stored)))


def _names(now: KeyParts, then: KeyParts) -> Iterator[str]:
    if now.environment_key != then.environment_key:
        yield "environment"
    if tuple(now.patches) != tuple(then.patches):
        yield "patches"
    yield from (f"{name} was built again" for name in now.wheels if now.wheels[name] != then.wheels[name])
    if now.build_logic != then.build_logic:
        yield "the factory's build logic has changed"


def _differences(record: BuildRecord, prepared: PreparedJob) -> Mapping[str, str]:
    """Describe the recorded parts that differ now, by their names."""
    recipe, found = prepared.job.recipe, {}
    if recipe.version != record.version:
        found["version"] = f"the version was {record.version}"
    if recipe.file_sha256 != record.recipe_sha256:
        found["recipe"] = "its recipe.toml has changed"
    if recipe.source.sha256 and recipe.source.sha256 != record.source_sha256:
        found["source"] = "its source has another sha256"
    if patches := _patch_changes(record, prepared.patches):
        found["patches"] = f"its patches have changed: {patches}"
    profiles = {check.profile for check in record.checks}
    if profiles ^ set(prepared.config.profiles(recipe)):
        found["profiles"] = f"it was checked on other profiles: {', '.join(sorted(profiles))}"
    if prepared.config.mode != record.mode:
        found["mode"] = f"the mode was {record.mode}"
    if prepared.environment.root.key != record.environment_key:
        found["environment"] = _environment_changes(record, prepared)
    return found


def _unrecorded(record: BuildRecord, recipe: Recipe) -> str:
    """Describe a change of what records do not have; git may know of files."""
    script = [recipe.check.script] if recipe.check.script else []
    overlay = recipe.source.overlay.folders if recipe.source.overlay else ()
    files = changed_since(recipe.directory, record.finished, (*script, *recipe.check.modules, *overlay))
    return f"in git these have changed since: {', '.join(files)}" if files else UNRECORDED


def changed_since(folder: Path, moment: str, paths: Sequence[Path]) -> list[str]:
    """Return the files below some paths that differ from the last commit before a moment.

    None are returned without a repository, or for one of another user, whose configuration git does not obey.
    """
    git = ["git", "-C", str(folder)]
    try:
        commit = run([*git, "rev-list", "--max-count=1", f"--before={moment}", "HEAD"]).strip()
        names = [str(path.resolve()) for path in paths]
        if not (commit and names):
            return []
        return run([*git, "diff", "--name-only", "-z", commit, "--", *names]).split("\0")[:-1]
    except (CommandFailed, PrerequisiteMissing):
        return []


def _patch_changes(record: BuildRecord, selected: Sequence[Path]) -> str:
    then = {patch.name: patch.sha256 for patch in record.patches}
    now = {path.name: sha256_of(path) for path in selected}
    words = [f"{name} is new" for name in now if name not in then]
    words += [f"{name} was removed" for name in then if name not in now]
    words += [f"{name} differs" for name in now if name in then and now[name] != then[name]]
    return ", ".join(words)


def _environment_changes(record: BuildRecord, prepared: PreparedJob) -> str:
    then, now = set(record.environment), set(prepared.environment.root.lock())
    words = [f"{_shown(pin)} was there" for pin in _in_order(then - now)]
    words += [f"{_shown(pin)} is new" for pin in _in_order(now - then)]
    if not words:
        return "the environment's layers have changed, with the same packages"
    more = [f"{len(words) - NAMED} more"] if len(words) > NAMED else []
    return f"the environment has changed: {', '.join([*words[:NAMED], *more])}"


def _in_order(pins: set[PackagePin]) -> list[PackagePin]:
    return sorted(pins, key=lambda pin: (pin.name, pin.version, pin.architecture))


def _shown(pin: PackagePin) -> str:
    return f"{pin.name} {pin.version}" + (f" ({pin.architecture})" if pin.architecture else "")
