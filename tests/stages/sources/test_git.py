"""Commits of real git repositories, by file:// and by HTTP on loopback."""

from __future__ import annotations

import os
import re
import shutil
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import SourceError
from factory.model.recipe import BuildOptions, Recipe
from factory.model.source import Source
from factory.stages.builders.pep517 import variables
from factory.stages.sources.fetch import fetch
from factory.stages.sources.git import GitSource
from factory.stages.sources.identity import identity
from factory.stages.sources.metadata import read_without_fetch
from factory.store.cache_export import export_cache
from factory.store.cache_import import import_cache
from factory.util.paths import Layout
from tests.support.bad_servers import BadServer, Write, bad_server, head, make_certificate
from tests.support.folder_server import folder_served
from tests.support.git_repositories import (
    DATE,
    LFS_POINTER,
    PYPROJECT,
    GitRepository,
    git_served,
    gitlink,
    make_repository,
    modules,
)
from tests.support.logs import MemoryLog

ARCHIVAL = "node: $Format:%H$\ndescribe: $Format:%(describe:tags=true)$\nrefs: $Format:%d$\nshort: $Format:%h$\n"


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = make_repository(tmp_path / "repositories/spam")
    made.commit({"pyproject.toml": PYPROJECT, "spam.c": "int old;"})
    return made


def pin(repository: GitRepository, commit: str = "", **options: object) -> GitSource:
    commit = commit or repository.git("rev-parse", "HEAD")
    return replace(GitSource(project="spam", version="1.0", url=repository.url, commit=commit), **options)  # type: ignore[arg-type]


def tree_of(source: Source, tmp_path: Path, log: MemoryLog) -> Path:
    return fetch(source, tmp_path / "cache", tmp_path / "out", log).path


def refusal(source: Source, tmp_path: Path, log: MemoryLog) -> SourceError:
    """Return the error of a fetch, which leaves neither a tree nor an archive."""
    with pytest.raises(SourceError) as caught:
        tree_of(source, tmp_path, log)
    assert not list(tmp_path.glob("out/*"))
    return caught.value


def archives(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.glob("cache/*/*/*.tar"))


def names(tree: Path) -> set[str]:
    return {path.relative_to(tree).as_posix() for path in tree.rglob("*") if not path.is_dir()}


def test_commit_becomes_a_tree(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    source = pin(repository)
    repository.commit({"spam.c": "int new;", "build/spam.pyc": "a source, since it is committed"})
    tree = fetch(source, tmp_path / "cache", tmp_path / "out", log)
    assert tree.path == tmp_path / "out/spam-1.0"
    assert names(tree.path) == {"pyproject.toml", "spam.c"}
    assert (tree.path / "spam.c").read_text() == "int old;"
    assert tree.path.stat().st_mtime == DATE
    (origin,) = tree.origins
    assert (origin.kind, origin.urls, origin.commit, origin.folder) == ("git", (repository.url,), source.commit, "")
    other = fetch(pin(repository), tmp_path / "cache", tmp_path / "other", log)
    assert "build/spam.pyc" in names(other.path)
    assert f"sha256 of its tree {tree.sha256}\n" in log.text
    assert other.sha256 != tree.sha256


def test_fetched_commit_needs_no_server(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    source = pin(repository)
    first = names(tree_of(source, tmp_path, log))
    shutil.rmtree(repository.folder)
    assert names(tree_of(source, tmp_path, log)) == first
    assert sorted(path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()) == [
        archives(tmp_path)[0].parent.parent.name
    ]


def test_damaged_archive_in_the_cache_is_made_again(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    tree_of(pin(repository), tmp_path, log)
    (archive,) = archives(tmp_path)
    content = archive.read_bytes()
    archive.write_bytes(content.replace(b"int old;", b"int bad;"))
    assert (tree_of(pin(repository), tmp_path, log) / "spam.c").read_text() == "int old;"
    assert archive.read_bytes() == content


def test_metadata_is_read_without_unpacking(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    metadata = read_without_fetch(pin(repository), tmp_path / "cache", log)
    assert metadata is not None
    assert (metadata.name, metadata.version) == ("spam", "1.0")


def test_attributes_for_archives_are_followed(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    attributes = ".git_archival.txt export-subst\nsecret.txt export-ignore\n"
    commit = repository.commit(
        {".gitattributes": attributes, ".git_archival.txt": ARCHIVAL, "secret.txt": "", "of.txt": ARCHIVAL}
    )
    tree = tree_of(pin(repository, tag="v1.0"), tmp_path, log)
    expected = f"node: {commit}\ndescribe: v1.0\nrefs:  (tag: v1.0)\nshort: {commit[:12]}\n"
    assert (tree / ".git_archival.txt").read_text() == expected
    assert (tree / "of.txt").read_text() == ARCHIVAL
    assert not (tree / "secret.txt").exists()


def test_substitution_is_the_same_without_tag(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    """A tag of the repository that the recipe does not state changes nothing."""
    commit = repository.commit({".gitattributes": "a export-subst", "a": ARCHIVAL})
    repository.git("tag", "v9")
    tree = tree_of(pin(repository), tmp_path, log)
    assert (tree / "a").read_text() == f"node: {commit}\ndescribe: \nrefs: \nshort: {commit[:12]}\n"


def test_pinned_tree_of_another_hash_is_refused(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    found = fetch(pin(repository), tmp_path / "cache", tmp_path / "first", log).sha256
    assert fetch(pin(repository, sha256=found), tmp_path / "cache", tmp_path / "second", log).sha256 == found
    with pytest.raises(SourceError) as caught:
        tree_of(pin(repository, sha256="0" * 64), tmp_path, log)
    assert f"pinned sha256: {'0' * 64}\n  found sha256:  {found}" in caught.value.message


# Submodules


@pytest.fixture
def nested(repository: GitRepository, tmp_path: Path) -> GitRepository:
    """Return the repository with the submodule `eggs`.

    That one has the submodule `ham`; addresses are relative.
    """
    ham = make_repository(tmp_path / "repositories/ham").commit({"ham.c": "int ham;"})
    eggs = make_repository(tmp_path / "repositories/eggs").commit(
        {"eggs.c": "int eggs;", ".gitmodules": modules(ham="../ham")}, more=[gitlink(ham, "third_party/ham")]
    )
    repository.commit({".gitmodules": modules(eggs="../eggs")}, more=[gitlink(eggs, "third_party/eggs")])
    return repository


def test_submodules_are_fetched_if_wanted(nested: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    tree = fetch(pin(nested, submodules=True), tmp_path / "cache", tmp_path / "out", log)
    eggs = "third_party/eggs"
    assert {f"{eggs}/eggs.c", f"{eggs}/third_party/ham/ham.c"} < names(tree.path)
    assert [origin.folder for origin in tree.origins] == ["", eggs, f"{eggs}/third_party/ham"]
    assert tree.origins[2].urls == ((tmp_path / "repositories/ham").as_uri(),)
    assert tree.path.stat().st_mtime == DATE
    shutil.rmtree(tmp_path / "repositories")
    again = pin(nested, tree.origins[0].commit, submodules=True)
    assert fetch(again, tmp_path / "cache", tmp_path / "again", log).origins == tree.origins


def test_names_that_are_no_utf8_survive_submodules(nested: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    name = b"caf\xe9"
    (nested.folder / os.fsdecode(name)).write_text("x")
    nested.commit(more=links_of(nested))
    tree = tree_of(pin(nested, submodules=True), tmp_path, log)
    assert name in os.listdir(os.fsencode(tree))  # noqa: PTH208 - pathlib has no bytes


def test_submodules_are_empty_folders_by_default(nested: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    tree = tree_of(pin(nested), tmp_path, log)
    assert list((tree / "third_party/eggs").iterdir()) == []


@pytest.mark.parametrize("submodules", [False, True])
def test_part_takes_the_place_of_a_submodule(
    submodules: bool, nested: GitRepository, tmp_path: Path, log: MemoryLog
) -> None:
    other = make_repository(tmp_path / "repositories/other")
    other.commit({"other.c": "int other;"})
    parts = {"third_party/eggs": replace(pin(other), project="other")}
    tree = fetch(pin(nested, submodules=submodules, parts=parts), tmp_path / "cache", tmp_path / "out", log)
    assert names(tree.path / "third_party") == {"eggs/other.c"}
    assert [(origin.folder, origin.urls) for origin in tree.origins[1:]] == [("third_party/eggs", (other.url,))]


def test_export_ignored_submodule_is_missing(nested: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    nested.git("checkout-index", "--all", "--force")
    nested.git("read-tree", "HEAD")
    link = nested.git("rev-parse", "HEAD:third_party/eggs")
    nested.commit({".gitattributes": "third_party export-ignore\n"}, more=[gitlink(link, "third_party/eggs")])
    tree = tree_of(pin(nested, submodules=True), tmp_path, log)
    assert not (tree / "third_party").exists()


# Servers


@pytest.mark.parametrize("way", ["file", "smart", "dumb"])
def test_every_server_gives_the_same_archive(way: str, nested: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    folder = tmp_path / "repositories"
    nested.commit({".gitattributes": "a export-subst", "a": f"{ARCHIVAL}$Format:%P$"}, more=links_of(nested))
    source = pin(nested, submodules=True)
    for each in folder.iterdir():
        GitRepository(each).git("update-server-info")
    with git_served(folder) as smart, folder_served(folder) as dumb:
        urls = {"file": nested.url, "smart": f"{smart.url}/spam", "dumb": f"{dumb}/spam/.git"}
        if way == "dumb":  # its repositories are in folders .git
            source = replace(source, submodules=False)
        fetched = fetch(replace(source, url=urls[way]), tmp_path / "cache", tmp_path / "out", log)
    by_file = fetch(source, tmp_path / "other", tmp_path / "other-out", log)
    assert fetched.sha256 == by_file.sha256
    assert ("fetching the whole history" in log.text) is (way == "dumb")


def links_of(repository: GitRepository) -> list[str]:
    return [gitlink(repository.git("rev-parse", "HEAD:third_party/eggs"), "third_party/eggs")]


def test_old_commit_is_fetched_without_history(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    source = pin(repository)
    repository.commit({"spam.c": "int new;"})
    with git_served(repository.folder.parent) as server:
        assert (tree_of(replace(source, url=f"{server.url}/spam"), tmp_path, log) / "spam.c").read_text() == "int old;"
    assert "whole history" not in log.text


def test_login_of_netrc_is_for_its_host_alone(
    repository: GitRepository, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    secret = 's3cret "quoted" w0rd'
    netrc = f'machine 127.0.0.1 login me password "{secret}"\n'.replace(' "quoted"', ' \\"quoted\\"')
    (tmp_path / "home/.netrc").write_text(f"{netrc}default login any password other-s3cret\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with git_served(repository.folder.parent) as server:
        server.login = f"me:{secret}"
        source = replace(pin(repository), url=f"{server.url}/spam")
        tree_of(source, tmp_path, log)
        local = replace(source, url=source.url.replace("127.0.0.1", "localhost"))
        server.requests.clear()
        with pytest.raises(SourceError, match="cannot be fetched") as caught:
            fetch(local, tmp_path / "other", tmp_path / "other-out", log)
    assert {authorization for _, authorization in server.requests} == {None}
    assert "s3cret" not in log.text + str(caught.value)
    assert not [path for path in tmp_path.rglob(".netrc") if "home" not in path.parts[-2:-1]]


def test_certificates_of_the_machine_count(
    repository: GitRepository, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    with git_served(repository.folder.parent, certificate) as server:
        source = pin(repository, url=f"{server.url}/spam")
        assert "certificate" in refusal(source, tmp_path, log).message
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        tree_of(source, tmp_path, log)


def test_redirect_from_https_to_http_is_refused(
    repository: GitRepository, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with git_served(repository.folder.parent) as plain:

        def redirect(_server: BadServer, path: str, write: Write) -> None:
            write(head(f"Location: {plain.url}{path}", "Content-Length: 0", status="302 Found"))

        with bad_server(redirect, certificate) as server:
            found = refusal(pin(repository, url=f"{server.url}/spam"), tmp_path, log)
    assert re.search('Protocol "http" .*disabled', found.message)
    assert plain.requests == []


def test_proxy_of_the_machine_is_used(
    repository: GitRepository, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is only known to the proxy, which wants a login."""
    asked: list[str | None] = []

    def forward(server: BadServer, path: str, write: Write) -> None:
        asked.append(server.requests[-1][1].get("Proxy-Authorization"))
        asks = ("Proxy-Authenticate: Basic", "407 Unauthorized") if asked[-1] is None else ("X: x", "502 Bad Gateway")
        write(head("Content-Length: 0", asks[0], status=asks[1]))

    with bad_server(forward) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://me:s3cret-w0rd@"))
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        found = refusal(pin(repository, url="http://git.example/spam"), tmp_path, log)
    assert asked[1] == f"Basic {b64encode(b'me:s3cret-w0rd').decode()}"
    assert "s3cret" not in f"{found}{log.text}"


def test_exported_cache_has_the_commit(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    source = pin(repository)
    first, second = Layout(tmp_path / "first"), Layout(tmp_path / "second")
    tree = fetch(source, first.downloads, tmp_path / "out", log)
    export_cache(first, tmp_path / "exported", ["downloads"], print)
    import_cache(second, tmp_path / "exported", print)
    shutil.rmtree(repository.folder)
    assert fetch(source, second.downloads, tmp_path / "again", log).sha256 == tree.sha256


def test_unreachable_server_is_the_machines_fault(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    found = refusal(replace(pin(repository), url="http://127.0.0.1:1/spam"), tmp_path, log)
    assert found.machines_fault
    assert found.message.startswith(
        f"spam 1.0: commit {pin(repository).commit} cannot be fetched from http://127.0.0.1:1/"
    )


# Commits that are not what they say


@pytest.mark.parametrize("way", ["file", "smart", "dumb"])
def test_unknown_commit_is_refused(way: str, repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    repository.git("update-server-info")
    folder = repository.folder.parent
    with git_served(folder) as smart, folder_served(folder) as dumb:
        urls = {"file": repository.url, "smart": f"{smart.url}/spam", "dumb": f"{dumb}/spam/.git"}
        found = refusal(pin(repository, "1" * 40, url=urls[way]), tmp_path, log)
    assert "1" * 40 in found.message
    assert not found.machines_fault
    assert archives(tmp_path) == []


def test_tag_in_place_of_a_commit_is_refused(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    repository.git("tag", "--annotate", "--message=x", "v1.0")
    found = refusal(pin(repository, repository.git("rev-parse", "v1.0")), tmp_path, log)
    assert "is not a commit: it is a tag" in found.message


@pytest.mark.parametrize("way", ["file", "dumb"])
def test_object_with_another_content_is_refused(
    way: str, repository: GitRepository, tmp_path: Path, log: MemoryLog
) -> None:
    """The server has another blob under the name of the pinned one."""
    blob = repository.git("rev-parse", "HEAD:spam.c")
    other = repository.blob("int evil;")
    objects = repository.folder / ".git/objects"
    (objects / blob[:2] / blob[2:]).chmod(0o644)
    shutil.copy(objects / other[:2] / other[2:], objects / blob[:2] / blob[2:])
    repository.git("update-server-info")
    with folder_served(repository.folder.parent) as dumb:
        url = repository.url if way == "file" else f"{dumb}/spam/.git"
        refusal(pin(repository, url=url), tmp_path, log)
    assert archives(tmp_path) == []


def test_replaced_objects_do_not_count(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    source = pin(repository)
    evil = repository.commit({"spam.c": "int evil;"})
    repository.git("replace", source.commit, evil)
    assert (tree_of(source, tmp_path, log) / "spam.c").read_text() == "int old;"


def test_lfs_files_are_refused_with_reason(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    repository.commit({f"weights-{number}.bin": LFS_POINTER for number in range(5)})
    found = refusal(pin(repository), tmp_path, log)
    named = "weights-0.bin, weights-1.bin, weights-2.bin, ..."
    assert found.message == (f"spam 1.0: Git LFS is not supported: 5 pointers to a server that no commit pins: {named}")
    repository.commit({".gitattributes": "*.bin export-ignore\n"})
    assert "spam.c" in names(tree_of(pin(repository), tmp_path, log))


# Identity


def test_identity_covers_what_decides_the_tree(nested: GitRepository) -> None:
    source = pin(nested)
    part = {"third_party/eggs": replace(source, project="eggs")}
    changed = [
        replace(source, commit="1" * 40),
        replace(source, tag="v1.0"),
        replace(source, submodules=True),
        replace(source, parts=part),
        replace(source, submodules=True, parts=part),
    ]
    assert len({identity(each) for each in [source, *changed]}) == 6
    assert len({str(each.deciding()) for each in [source, *changed]}) == 6
    same = replace(source, url="https://example.org/moved", sha256="1" * 64)
    assert (identity(same), same.deciding()) == (identity(source), source.deciding())


def test_version_is_told_to_the_build(repository: GitRepository) -> None:
    recipe = Recipe(name="spam", version="1.0", directory=repository.folder, source=pin(repository))
    assert variables("x", recipe, 1)["SETUPTOOLS_SCM_PRETEND_VERSION"] == "1.0"
    own = replace(recipe, build=BuildOptions(environment={"SETUPTOOLS_SCM_PRETEND_VERSION": "2"}))
    assert variables("x", own, 1)["SETUPTOOLS_SCM_PRETEND_VERSION"] == "2"


def test_repositories_of_the_newer_hash_are_fetched(tmp_path: Path, log: MemoryLog) -> None:
    made = make_repository(tmp_path / "new", "--object-format=sha256")
    commit = made.commit({"pyproject.toml": PYPROJECT})
    assert len(commit) == 64
    assert names(tree_of(pin(made), tmp_path, log)) == {"pyproject.toml"}


def test_origin_warning_tells_of_a_moved_tag(repository: GitRepository) -> None:
    repository.git("tag", "--annotate", "--message=x", "v1.0")
    source = pin(repository, tag="v1.0")
    assert source.origin_warning() == ""
    assert replace(source, tag="").origin_warning() == ""
    moved = repository.commit({"spam.c": "int moved;"})
    repository.git("tag", "--force", "--annotate", "--message=x", "v1.0")
    expected = f"tag v1.0 of {repository.url} is commit {moved} there, the recipe pins commit {source.commit}"
    assert source.origin_warning() == expected
    assert replace(source, tag="v2").origin_warning().startswith(f"tag v2 of {repository.url} is not there")
    with pytest.raises(SourceError, match="cannot be fetched"):
        replace(source, tag="", commit="1" * 40).origin_warning()
