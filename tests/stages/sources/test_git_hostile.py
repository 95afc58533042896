"""Hostile repositories, and settings that would help them.

They want to run something, to leave the tree, or to fill the disk.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import SourceError, TimeLimitReached
from factory.host import git
from factory.stages.sources import git_archive
from factory.stages.sources.fetch import fetch
from factory.stages.sources.git import GitSource
from factory.stages.sources.members import Limits
from factory.util import cancellation
from tests.support.bad_servers import Answer, BadServer, Write, bad_server, head, silent
from tests.support.git_repositories import PYPROJECT, GitRepository, git_served, gitlink, make_repository, modules
from tests.support.logs import MemoryLog
from tests.support.recipes import SMALLEST, problems_of

SECRET = "s3cret-t0ken"


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = make_repository(tmp_path / "repositories/spam")
    made.commit({"pyproject.toml": PYPROJECT})
    return made


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Return a path that attacks write."""
    return tmp_path / "planted"


def pin(repository: GitRepository, commit: str = "", **options: object) -> GitSource:
    commit = commit or repository.git("rev-parse", "HEAD")
    source = GitSource(project="spam", version="1.0", url=repository.url, commit=commit, submodules=True)
    return replace(source, **options)  # type: ignore[arg-type]


def refusal(source: GitSource, tmp_path: Path, log: MemoryLog) -> SourceError:
    """Return the error of a fetch, which leaves neither a tree nor an archive."""
    with pytest.raises(SourceError) as caught:
        fetch(source, tmp_path / "cache", tmp_path / "out", log)
    assert not list(tmp_path.glob("out/*"))
    assert not list(tmp_path.glob("cache/*/**/*.tar"))
    return caught.value


# Submodules


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch {planted}'",
        "--upload-pack=touch {planted}",
        "-u./{planted}",
        "fd::17",
        "{planted}",
        "git@example.org:x.git",
        "ssh://-oProxyCommand=touch%20{planted}/x",
        "ssh://example.org/x",
        "git://example.org/x",
        "ftp://example.org/x",
        "https://user:s3cret-t0ken@example.org/x",
        "https://s3cret-t0ken@example.org/x",
        "https://example.org/x?token=s3cret-t0ken",
        "https:// example.org/x",
        "https://exa\\nmple.org/x",
        "file://example.org/x",
        "",
        "..",
        "../x?token=s3cret-t0ken",
    ],
)
def test_submodule_of_unsafe_address_is_refused(
    url: str, repository: GitRepository, planted: Path, tmp_path: Path, log: MemoryLog
) -> None:
    commit = make_repository(tmp_path / "repositories/eggs").commit({"x": ""})
    text = modules(eggs=url.format(planted=planted))
    repository.commit({".gitmodules": text}, more=[gitlink(commit, "third_party/eggs")])
    found = refusal(pin(repository), tmp_path, log)
    assert "the submodule third_party/eggs is at " in found.message
    assert SECRET not in f"{found}{log.text}"
    assert not planted.exists()


def test_submodule_of_a_server_is_no_local_folder(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    local = make_repository(tmp_path / "private")
    commit = local.commit({"private.txt": "of this machine"})
    repository.commit({".gitmodules": modules(eggs=local.url)}, more=[gitlink(commit, "third_party/eggs")])
    with git_served(repository.folder.parent) as server:
        found = refusal(pin(repository, url=f"{server.url}/spam"), tmp_path, log)
    assert "which is no http or https address" in found.message


@pytest.mark.parametrize(
    "path",
    ["../out", "/tmp/x", ".git/hooks", "a/../../b", ".GIT/x", ".git ./x", "a/.git", "-x", "a\\nb", "./a", "a//b", "a/"],
)
def test_submodule_of_unsafe_folder_is_refused(
    path: str, repository: GitRepository, tmp_path: Path, log: MemoryLog
) -> None:
    repository.commit({".gitmodules": f'[submodule "x"]\n\tpath = "{path}"\n\turl = ../spam\n'})
    assert "is not a folder inside the source" in refusal(pin(repository), tmp_path, log).message


def test_submodule_beneath_a_link_is_refused(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    """A crafted tree has a link and a folder of the same name."""
    eggs = make_repository(tmp_path / "repositories/eggs").commit({"planted": "x"})
    empty = repository.git("mktree", stdin=f"160000 commit {eggs}\teggs\n".encode())
    entries = [
        ("100644", repository.blob(modules(eggs="../eggs")), ".gitmodules"),
        ("120000", repository.blob(str(tmp_path)), "third_party"),
        ("40000", empty, "third_party"),
    ]
    found = refusal(pin(repository, repository.commit_tree(entries)), tmp_path, log)
    assert "third_party" in found.message
    assert not (tmp_path / "eggs").exists()


@pytest.mark.parametrize(
    "text", ["[submodule", "\0" * 50, '[include]\n\tpath = "/etc/passwd"\n', "x" * (1 << 20) + "y"]
)
def test_invalid_gitmodules_is_refused_or_states_nothing(
    text: str, repository: GitRepository, tmp_path: Path, log: MemoryLog
) -> None:
    repository.commit({".gitmodules": text})
    if "include" in text:
        fetch(pin(repository), tmp_path / "cache", tmp_path / "out", log)
    else:
        assert ".gitmodules is not " in refusal(pin(repository), tmp_path, log).message


def test_gitmodules_that_git_lists_without_end_is_refused(
    repository: GitRepository, tmp_path: Path, log: MemoryLog
) -> None:
    """Git prints the long name of the section before each of its settings: 30 GB."""
    text = f'[submodule "{"x" * 500_000}"]\n' + "path=a\n" * 60_000
    repository.commit({".gitmodules": text})
    assert ".gitmodules is not valid: git printed more than" in refusal(pin(repository), tmp_path, log).message


def test_too_many_stated_submodules_are_refused(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    repository.commit({".gitmodules": modules(**{f"x{number}": "../x" for number in range(501)})})
    assert "states 501 submodules, more than 500: a bomb" in refusal(pin(repository), tmp_path, log).message


def test_gitmodules_that_is_a_link_is_refused(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    commit = repository.commit_tree([("120000", repository.blob("pyproject.toml"), ".gitmodules")])
    assert ".gitmodules" in refusal(pin(repository, commit), tmp_path, log).message


def test_too_many_submodules_are_refused(
    repository: GitRepository, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = make_repository(tmp_path / "repositories/eggs").commit({"x": ""})
    links = [f"third_party/{name}" for name in "abc"]
    text = modules(**dict.fromkeys("abc", "../eggs"))
    repository.commit({".gitmodules": text}, more=[gitlink(commit, path) for path in links])
    monkeypatch.setattr(git_archive, "MAX_SUBMODULES", 2)
    assert "a bomb" in refusal(pin(repository), tmp_path, log).message


# Trees


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "a/../../b", ".."])
def test_link_out_of_the_tree_is_refused(
    target: str, repository: GitRepository, tmp_path: Path, log: MemoryLog
) -> None:
    repository.commit(links={"link": target})
    assert "the member 'source/link' is a link to " in refusal(pin(repository), tmp_path, log).message


@pytest.mark.parametrize("name", ["..", ".", "a/../../b"])
def test_member_out_of_the_tree_is_refused(
    name: str, repository: GitRepository, tmp_path: Path, log: MemoryLog
) -> None:
    commit = repository.commit_tree([("100644", repository.blob("x"), name)])
    refusal(pin(repository, commit), tmp_path, log)
    assert not (tmp_path / "b").exists()


def test_file_beneath_a_link_is_refused(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    below = repository.git("mktree", stdin=f"100644 blob {repository.blob('x')}\tplanted\n".encode())
    entries = [("120000", repository.blob(str(tmp_path)), "a"), ("40000", below, "a")]
    refusal(pin(repository, repository.commit_tree(entries)), tmp_path, log)
    assert not (tmp_path / "planted").exists()


def commit_bomb(repository: GitRepository, levels: int) -> str:
    """Commit a few objects that stand for 10 ** levels files of 1000 bytes."""
    entry = ("100644", "blob", repository.blob("x" * 1000))
    for _ in range(levels):
        listed = "".join(f"{' '.join(entry)}\t{number}\n" for number in range(10))
        entry = ("040000", "tree", repository.git("mktree", stdin=listed.encode()))
    commit = repository.git("commit-tree", entry[2], "-m", "bomb")
    repository.git("update-ref", "refs/heads/main", commit)
    return commit


def test_bomb_of_files_is_refused(
    repository: GitRepository, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_archive, "DEFAULT_LIMITS", Limits(total_bytes=20_000_000))
    assert "cannot be archived" in refusal(pin(repository, commit_bomb(repository, 5)), tmp_path, log).message


def test_large_pack_is_refused(
    repository: GitRepository, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"noise": os.urandom(3_000_000)})
    monkeypatch.setattr(git_archive, "DEFAULT_LIMITS", Limits(total_bytes=2_000_000))
    assert "cannot be fetched" in refusal(pin(repository), tmp_path, log).message


def test_files_are_taken_without_filters_and_signatures(
    repository: GitRepository, planted: Path, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attributes name programs that a user's settings would have."""
    attributes = "a filter=evil\nb export-subst\nc diff=evil\n"
    repository.commit({".gitattributes": attributes, "a": "plain", "b": "$Format:%G?$", "c": ""})
    with_settings(tmp_path, planted, monkeypatch)
    tree = fetch(pin(repository), tmp_path / "cache", tmp_path / "out", log).path
    assert ((tree / "a").read_text(), (tree / "b").read_text()) == ("plain", "N")
    assert not planted.exists()


def test_bomb_of_memory_is_refused(
    repository: GitRepository, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "MEMORY_BYTES", 200_000_000)
    commit = commit_bomb(repository, 7)
    assert "cannot be archived" in refusal(pin(repository, commit), tmp_path, log).message


# Settings of the user and of the served repository


def with_settings(tmp_path: Path, planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the user settings for git that start programs and lead elsewhere."""
    hook = tmp_path / "home/hooks/reference-transaction"
    hook.parent.mkdir(parents=True)
    hook.write_text(f"#!/bin/sh\ntouch {planted}\n")
    hook.chmod(0o755)
    (tmp_path / "home/templates/hooks").mkdir(parents=True)
    (tmp_path / "home/templates/hooks/reference-transaction").symlink_to(hook)
    settings = f"""
[core]
	hooksPath = {hook.parent}
	fsmonitor = {hook}
	gitProxy = {hook}
	sshCommand = {hook}
	askPass = {hook}
[init]
	templateDir = {tmp_path}/home/templates
[filter "evil"]
	smudge = {hook}
	process = {hook}
	required = true
[gpg]
	program = {hook}
[credential]
	helper = {hook}
[protocol "ext"]
	allow = always
[uploadpack]
	packObjectsHook = {hook}
[url "{tmp_path}/elsewhere"]
	insteadOf = file://
	insteadOf = http://
"""
    (tmp_path / "home/.gitconfig").write_text(settings)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "home/.gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(tmp_path / "home/.gitconfig"))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "home/templates"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(hook.parent))
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "ext:ssh:file:http:https")
    monkeypatch.setenv("GIT_SSH_COMMAND", str(hook))
    monkeypatch.setenv("GIT_ASKPASS", str(hook))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(hook))
    monkeypatch.setenv("GIT_PROXY_COMMAND", str(hook))


@pytest.mark.parametrize("way", ["file", "http"])
def test_settings_of_the_user_do_not_count(
    way: str, repository: GitRepository, planted: Path, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pin(repository, tag="v1.0")
    with git_served(repository.folder.parent) as server:
        with_settings(tmp_path, planted, monkeypatch)
        url = repository.url if way == "file" else f"{server.url}/spam"
        tree = fetch(replace(source, url=url), tmp_path / "cache", tmp_path / "out", log).path
        assert replace(source, url=url).origin_warning().startswith("tag v1.0 of ")
    assert (tree / "pyproject.toml").is_file()
    assert not planted.exists()


def test_settings_of_a_local_repository_do_not_count(
    repository: GitRepository, planted: Path, tmp_path: Path, log: MemoryLog
) -> None:
    hook = repository.folder / ".git/hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {planted}\n")
    hook.chmod(0o755)
    for name in ("core.fsmonitor", "uploadpack.packObjectsHook", "core.sshCommand", "core.alternateRefsCommand"):
        repository.git("config", name, str(hook))
    fetch(pin(repository), tmp_path / "cache", tmp_path / "out", log)
    assert not planted.exists()


def test_programs_of_git_cannot_write_outside(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    """Git sees neither the user's home nor the rest of the cache."""
    (tmp_path / "cache").mkdir()
    script = f"!ls {tmp_path} {tmp_path}/cache; touch {tmp_path}/planted; true"
    said = git.Git(folder=tmp_path / "cache/own", log=log).run("-c", f"alias.look={script}", "look")
    assert said.split() == [f"{tmp_path}:", "cache", f"{tmp_path}/cache:", "own"]
    assert not (tmp_path / "planted").exists()


def test_rest_of_a_killed_fetch_is_removed(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    """It is large, and may have a login of netrc."""
    rest = tmp_path / "cache" / f".git-{'1' * 64}"
    (rest / "git/home").mkdir(parents=True)
    fetch(pin(repository), tmp_path / "cache", tmp_path / "out", log)
    assert not rest.exists()


# Servers


def test_tags_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "MEMORY_BYTES", 200_000_000)
    source = GitSource(project="spam", version="1.0", url="", commit="1" * 40, tag="v1.0")
    with bad_server(endless_tags) as server, pytest.raises(SourceError, match="its tags cannot be read"):
        replace(source, url=f"{server.url}/spam").origin_warning()


def endless_tags(server: BadServer, _path: str, write: Write) -> None:
    write(head("Content-Type: text/plain"))
    while not server.ended.is_set():
        write(f"{'1' * 40}\trefs/tags/v{'1' * 1000}\n".encode() * 1000)


def garbage(_server: BadServer, _path: str, write: Write) -> None:
    write(head("Content-Type: application/x-git-upload-pack-advertisement") + b"\x1b[2J" * 1000)


def to_itself(server: BadServer, path: str, write: Write) -> None:
    write(head(f"Location: {server.url}{path}", status="302 Found"))


def to_a_file(_server: BadServer, path: str, write: Write) -> None:
    write(head(f"Location: file:///etc{path}", status="302 Found"))


@pytest.mark.parametrize("answer", [garbage, to_itself, to_a_file], ids=lambda answer: answer.__name__)
def test_server_of_something_else_is_one_error(
    answer: Answer, repository: GitRepository, tmp_path: Path, log: MemoryLog
) -> None:
    with bad_server(answer) as server:
        assert "cannot be fetched" in refusal(pin(repository, url=f"{server.url}/spam"), tmp_path, log).message


def test_cancelled_run_ends_a_fetch(repository: GitRepository, tmp_path: Path, log: MemoryLog) -> None:
    limit = cancellation.time_limit(2, TimeLimitReached)
    with bad_server(silent) as server, limit, pytest.raises(TimeLimitReached):
        fetch(pin(repository, url=f"{server.url}/spam"), tmp_path / "cache", tmp_path / "out", log)
    assert not list(tmp_path.glob("cache/.git-*"))


# Recipes


def recipe(**keys: str) -> str:
    own = {"url": "https://example.org/spam", "commit": "1" * 40} | keys
    pins = "".join(f'{key} = "{value}"\n' for key, value in own.items())
    return SMALLEST.partition("[source]")[0] + f'[source]\nkind = "git"\n{pins}'


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("url", f"https://user:{SECRET}@example.org/spam"),
        ("url", f"https://{SECRET}@example.org/spam"),
        ("url", f"https://example.org/spam?private_token={SECRET}"),
        ("url", f"ext::sh -c {SECRET}"),
        ("url", f"--upload-pack={SECRET}"),
        ("url", f"ssh://example.org/{SECRET}"),
        ("url", f"git@example.org:{SECRET}"),
        ("url", f"/srv/{SECRET}"),
        ("url", f"file://example.org/{SECRET}"),
        ("commit", "main"),
        ("commit", "1" * 39),
        ("commit", "--output=x"),
        ("tag", "-x"),
        ("tag", "a b"),
        ("sha256", "x"),
    ],
)
def test_unsafe_key_of_a_recipe_is_refused(key: str, value: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, recipe(**{key: value}))
    assert f"source.{key}: " in problem
    assert SECRET not in problem
