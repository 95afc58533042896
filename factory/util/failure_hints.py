"""Hints for known failures, by patterns in logs."""

from __future__ import annotations

import re

# Resources that this machine lacks, whatever it builds.
LACKING: tuple[tuple[str, str], ...] = (
    (r"No space left on device|Disk quota exceeded",
     "the disk is full: make room, or set FACTORY_CACHE to a folder on another one"),
    (r"container reached its memory limit",
     "give it more with FACTORY_DOCKER_MEMORY, or let fewer compilers run, with --jobs"),
    (r"Killed signal terminated program|cc1plus.*Killed|virtual memory exhausted",
     "a compiler ran out of memory: let fewer run, with [build] memory-per-job or --jobs"),
)  # fmt: skip
# Output of uv, pip, cargo and curl about unreachable servers, for commands with network.
UNREACHABLE: tuple[tuple[str, str], ...] = (
    (r"Failed to fetch: |error sending request for url|Retry\(total=|spurious network error"
     r"|Could(?:n't| not) (?:resolve|connect)|Temporary failure in name resolution|Network is unreachable",
     "a server can't be reached: check the network, the proxy variables, and the package index that pip and uv, or the "
     "registries that cargo is configured with; then run again"),
)  # fmt: skip
# For commands without network.
SEALED: tuple[tuple[str, str], ...] = (
    (r"Temporary failure in name resolution|Could not resolve host|Network is unreachable",
     "the build wanted the network, which is off: give it the file as a source or a patch that looks elsewhere"),
)  # fmt: skip
# The first pattern that matches wins; the most specific ones come first.
HINTS: tuple[tuple[str, str], ...] = (
    (r"fatal error: Python\.h: No such file", "the root lacks Python's headers: report this, it should have them"),
    (r"fatal error: ([\w./+-]+\.h(?:pp)?): No such file", "add the Debian package that has {0} to [build] apt"),
    (r"cannot find -l([\w+-]+)", "add the Debian package that has lib{0}.so to [build] apt"),
    (r"Package '?([\w.+-]+)'?,? (?:required by .*)?(?:was )?not found", "add the package with {0}.pc to [build] apt"),
    (r"Could NOT find (\w+)", "CMake misses {0}: add its -dev package to [build] apt, or switch it off"),
    (r'Dependency "([\w.+-]+)" not found', "Meson misses {0}: add its -dev package to [build] apt"),
    (r"no matching package named `([^`]+)` found[\s\S]*offline mode",
     "the crate {0} was not fetched with the others: no Cargo.toml beside a Cargo.lock of the source asks for it"),
    (r"no matching package named `([^`]+)` found",
     "the registries that this machine's cargo is configured with have no crate {0}"),
    (r"failed to select a version for the requirement `([^`]+)`", "no version of the crate fits: {0}"),
    (r"checksum for `([^`]+)` changed|failed to verify the checksum of `([^`]+)`",
     "the registry's crate is not the one that Cargo.lock names: find out why before anything else"),
    (r"failed to (?:get|download) `([^`]+)`",
     "the crate {0} can't be fetched: check the network and the registries in this machine's cargo configuration"),
    (r"requires rustc [\d.]+|rustc [\d.]+ is not supported by",
     "a crate wants a newer Rust than Debian has: build an older version of the package"),
    (r"may not be used on the (?:stable|beta) release channel", "the source wants unstable Rust, which Debian has not"),
    (r"No solution found when resolving dependencies",
     "a build requirement has no version for this Python, or our own recipe builds another version than it asks for"),
    (r"unrecognized (?:command-line|command line) option .?(-m[\w=-]+)", "{0} is for another CPU: patch it out"),
    (r"error: unknown (?:architecture|target)|#error .*[Aa]rchitecture", "the source doesn't know riscv64: patch it"),
    (r"Illegal instruction|SIGILL", "code beyond the baseline ran: look for -march in the build's command lines"),
)  # fmt: skip


def is_machines_fault(log: str, *, network: bool = False) -> bool:
    """Report whether a log shows a failure of this machine, not of the package."""
    return any(re.search(pattern, log) for pattern, _ in (*LACKING, *(UNREACHABLE if network else ())))


def hint_for(log: str, *, network: bool = False) -> str | None:
    """Return the hint for the first known failure in a command's log, or None."""
    for pattern, hint in (*LACKING, *HINTS, *(UNREACHABLE if network else SEALED)):
        if match := re.search(pattern, log):
            return hint.format(*match.groups())
    return None
