"""Repositories of git: one commit of each, and tags of a server.

Commits are fetched without their history.

Submodules are read from the commit and fetched one by one, by the same rules; git's own machinery for them is not used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from factory.errors import CommandFailed, SourceError
from factory.host.git import PROTOCOLS, Git
from factory.stages.sources.addresses import REPOSITORY_ADDRESS
from factory.util.failure_hints import is_machines_fault
from factory.util.redaction import without_secrets

MODULES = ".gitmodules"
MAX_MODULES_BYTES = 1 << 20
MAX_SUBMODULES = 500
# Servers with git's old protocol deliver the heads of branches and tags only, and static ones whole histories only.
_WHOLE_HISTORY_ONLY = re.compile(r"unadvertised object|dumb http|does not support shallow")
_TAG_LINE = re.compile(r"^(?P<commit>[0-9a-f]{40,64})\trefs/tags/(?P<tag>\S+?)(?P<peeled>\^\{\})?$", re.MULTILINE)
_GITLINK = re.compile(r"160000 commit (?P<commit>[0-9a-f]{40,64})\t(?P<path>[^\0]*)\0")
_BLOB = re.compile(r"100(?:644|755) blob [0-9a-f]+ +(?P<size>\d+)\t")
SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Submodule:
    """A submodule of a commit: its folder there, its repository's address and its commit."""

    path: str
    url: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A local repository with one commit of the one at `url`; `subject` begins messages."""

    git: Git
    folder: Path
    url: str
    commit: str
    subject: str

    def fetch(self, *, only_commit: bool = False) -> None:
        """Make the repository and fetch the commit.

        Its history is fetched only from servers that need it.

        With `only_commit`, servers that can leave its files out.

        Raises:
            SourceError: the server does not deliver it, or it is no commit.
        """
        kind = "sha256" if len(self.commit) == 64 else "sha1"
        self.git.run("init", "--quiet", "--bare", "--template=", f"--object-format={kind}", str(self.folder))
        try:
            filters = ("--filter=tree:0",) if only_commit else ()
            self._fetch("--depth=1", *filters, "--", self.url, self.commit)
        except CommandFailed as error:
            if not _WHOLE_HISTORY_ONLY.search(error.output):
                raise self._unfetched(error) from error
            self._fetch_history()
        self._require_commit()
        # Without it archives do not depend on the server: a commit without history would call itself "grafted".
        (self.folder / "shallow").unlink(missing_ok=True)

    def archive(self, path: Path, prefix: str, tag: str = "") -> None:
        """Write the commit as a tar archive, as `git archive` does.

        Its members begin with `prefix`.

        Of all tags it knows the given one.

        Raises:
            SourceError: git refuses, or the archive exceeds git's limit of a file.
        """
        try:
            if tag:
                self._run("tag", "--annotate", f"--message={tag}", tag, self.commit)
            self._run("archive", "--format=tar", f"--prefix={prefix}/", f"--output={path}", self.commit)
        except CommandFailed as error:
            raise SourceError(
                f"{self.subject}: commit {self.commit} cannot be archived:\n{error.output or error.message}",
                hint="pin another commit, or a source of another kind",
                machines_fault=is_machines_fault(error.output),
            ) from error

    def submodules(self) -> Iterator[Submodule]:
        """Iterate over the submodules that the commit states.

        Raises:
            SourceError: .gitmodules is not valid, or states an unsafe folder or address.
        """
        stated = _stated(self._settings())
        if len(stated) > MAX_SUBMODULES:
            raise self._refuse(f"{MODULES} states {len(stated)} submodules, more than {MAX_SUBMODULES}: a bomb")
        for path, url in stated.items():
            self._require_safe(path)
            match = _GITLINK.fullmatch(self._run("ls-tree", "-z", "--full-tree", self.commit, "--", path))
            if match is not None and match["path"] == path:
                yield Submodule(path=path, url=self._address(path, url), commit=match["commit"])

    def _fetch(self, *arguments: str) -> None:
        options = ("--no-tags", "--no-auto-maintenance", "--no-recurse-submodules")
        self.git.ask(self.url, "-C", str(self.folder), "fetch", *options, *arguments)

    def _fetch_history(self) -> None:
        if self.git.log is not None:
            self.git.log.write("the server does not deliver single commits: fetching the whole history\n")
        try:
            self._fetch("--", self.url, "refs/heads/*:refs/fetched/heads/*", "refs/tags/*:refs/fetched/tags/*")
            refs = self._run("for-each-ref", "--format=%(refname)").split()
            for ref in refs:
                self._run("update-ref", "-d", ref)
        except CommandFailed as error:
            raise self._unfetched(error) from error

    def _require_commit(self) -> None:
        try:
            kind = self._run("cat-file", "-t", self.commit).strip()
        except CommandFailed as error:
            raise SourceError(
                f"{self.subject}: {self.url} has no commit {self.commit} in its branches and tags",
                hint="correct source.commit",
            ) from error
        if kind != "commit":
            raise SourceError(
                f"{self.subject}: {self.commit} is not a commit: it is a {kind}",
                hint="a tag's commit is the line TAG^{} of: git ls-remote --tags " + self.url,
            )

    def _settings(self) -> str:
        """Return the commit's .gitmodules as `git config` lists it, empty if it has none."""
        listed = self._run("ls-tree", "-z", "-l", "--full-tree", self.commit, "--", MODULES)
        if not listed:
            return ""
        match = _BLOB.match(listed)
        if match is None or int(match["size"]) > MAX_MODULES_BYTES:
            raise self._refuse(f"{MODULES} is not a file of at most {MAX_MODULES_BYTES} bytes")
        try:
            return self._run("config", "--blob", f"{self.commit}:{MODULES}", "-z", "--no-includes", "--list")
        except CommandFailed as error:
            raise self._refuse(f"{MODULES} is not valid: {error.output or error.message}") from error

    def _require_safe(self, path: str) -> None:
        parts = PurePosixPath(path).parts
        whole = str(PurePosixPath(*parts)) == path and path.isprintable()
        if not whole or path.startswith(("/", "-")) or any(part in ("..", ".") or _is_git(part) for part in parts):
            raise self._refuse(f"the submodule {path[:SHOWN]!r} is not a folder inside the source")

    def _address(self, path: str, url: str) -> str:
        """Return the address of a submodule; a relative one begins at the repository's own."""
        found = _resolved(url, self.url)
        allowed = PROTOCOLS[urlsplit(self.url).scheme].split(":")
        allowed = ["file", "http", "https"] if allowed == ["file"] else allowed
        if not REPOSITORY_ADDRESS.holds(found) or urlsplit(found).scheme not in allowed:
            shown = without_secrets(found)[:SHOWN]
            raise self._refuse(
                f"the submodule {path} is at {shown!r}, which is no {' or '.join(allowed)} address of a repository "
                "without user, password, query and fragment",
                hint=f'pin it with another address, as [source.parts."{path}"]; it is then not fetched as a submodule',
            )
        return found

    def _refuse(self, what: str, hint: str = "") -> SourceError:
        return SourceError(
            f"{self.subject}: commit {self.commit}: {what}",
            hint=hint or "nothing of it was used; look at the repository by hand before you trust it",
        )

    def _unfetched(self, error: CommandFailed) -> SourceError:
        return SourceError(
            f"{self.subject}: commit {self.commit} cannot be fetched from {self.url}:\n"
            f"{without_secrets(error.output) or error.message}",
            hint="correct source.url and source.commit, or check the network, the proxy variables and netrc",
            machines_fault=is_machines_fault(error.output, network=True),
        )

    def _run(self, *arguments: str) -> str:
        return self.git.run("-C", str(self.folder), *arguments)


def tags_of(url: str, git: Git) -> Mapping[str, str]:
    """Return the commits of a repository's tags.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        listed = git.ask(url, "ls-remote", "--tags", "--", url, quiet=True)
    except CommandFailed as error:
        raise SourceError(
            f"{url}: its tags cannot be read:\n{without_secrets(error.output) or error.message}",
            hint="correct source.url, or check the network, the proxy variables and netrc",
            machines_fault=is_machines_fault(error.output, network=True),
        ) from error
    # The line of an annotated tag's commit follows that of the tag itself.
    return {match["tag"]: match["commit"] for match in _TAG_LINE.finditer(listed)}


def _stated(listed: str) -> Mapping[str, str]:
    """Return the addresses of submodules by their folders, from the list of settings."""
    fields: dict[str, dict[str, str]] = {}
    for entry in listed.split("\0"):
        key, _, value = entry.partition("\n")
        section, _, rest = key.partition(".")
        name, _, field = rest.rpartition(".")
        if section == "submodule" and field in ("path", "url"):
            fields.setdefault(name, {})[field] = value
    return {each["path"]: each["url"] for each in fields.values() if each.keys() == {"path", "url"}}


def _is_git(part: str) -> bool:
    return part.lower().rstrip(". ").startswith(".git") and len(part) <= len(".git") + 2


def _resolved(url: str, base: str) -> str:
    """Return the address of a submodule, as git resolves one that begins with a dot."""
    while url.startswith(("./", "../")):
        up = url.startswith("../")
        url = url.removeprefix("../") if up else url.removeprefix("./")
        base = base.rstrip("/")
        base = base.rpartition("/")[0] if up else base
        if not url.startswith(("./", "../")):
            return f"{base}/{url}"
    return url
