"""Exit statuses of the `factory` command, as its help and the docs list them."""

from __future__ import annotations

EXIT_STATUSES = {
    0: "success",
    1: "another failure",
    2: "wrong command line",
    3: "a recipe is missing or has errors, there is no project folder, or `factory lint` found something",
    4: "a prerequisite is missing on the machine",
    5: "a source is not available, or differs from the recipe's pin",
    6: "a patch does not apply, also to the newer source that `factory bump` found",
    7: "a root could not be made",
    8: "the package's own build failed",
    9: "no platform tag is valid for the wheel",
    10: "the audit found a violation of the wheel's tag or recipe",
    11: "the check failed on a profile",
    12: "the store or the disk failed, a file may not be read or written, or a wheel or build does not exist",
    13: "publishing was refused, or the package index did not answer",
    15: "a build cannot be repeated: an input differs from the recorded one",
    16: "a rebuilt wheel has other bytes than the recorded one",
    17: "a written index differs from the ledger",
    18: "a wheel is contradicted by its index or audit, or lacks the signature that `site.toml` requires",
    75: "the time limit was reached; the same command resumes",
    130: "interrupted",
    143: "ended by SIGTERM, with the same cleanup",
}


def help_text() -> str:
    """Return a line for each status."""
    return "\n".join(["exit statuses:", *(f"  {status:<4} {meaning}" for status, meaning in EXIT_STATUSES.items())])
