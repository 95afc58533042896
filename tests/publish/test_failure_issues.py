"""Issues of failing recipes, on a stand-in of GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from factory.errors import PublishError
from factory.host import github
from factory.host.github import GitHub, Repository
from factory.publish.failure_issues import LABEL, fenced, issue_text, update_issues
from tests.support.github_server import REPOSITORY, TOKEN, GitHubState, github_served
from tests.support.markup import MARKUP
from tests.support.records import FAILURE


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubState]:
    monkeypatch.setattr(github, "WRITE_SECONDS", 0.0)
    with github_served() as state:
        yield state
        assert state.violations == []


def client(hub: GitHubState, token: str = TOKEN) -> GitHub:
    return GitHub(Repository(name=REPOSITORY, api=hub.url, token=token))


def update(hub: GitHubState, *failures: object, built: tuple[str, ...] = ()) -> tuple[list[str], int]:
    lines: list[str] = []
    refused = update_issues(failures, built, client(hub), lines.append)  # type: ignore[arg-type]
    return lines, len(refused)


def test_failing_recipe_has_one_issue(hub: GitHubState) -> None:
    other = replace(FAILURE, python="3.14", stage="check")
    assert update(hub, FAILURE, other) == (["demo: opened issue 1"], 0)
    (issue,) = hub.issues.values()
    assert (issue["title"], issue["labels"]) == ("demo fails to build", [{"name": LABEL}])
    assert "```text\ndemo 1.0: build_wheel failed:\nerror: no\n```" in issue["body"]
    assert "`factory build demo --python 3.14`" in issue["body"]
    assert update(hub, FAILURE, other) == ([], 0)


def test_issue_is_updated_and_closed_by_a_build(hub: GitHubState) -> None:
    update(hub, FAILURE)
    assert update(hub, replace(FAILURE, message="another")) == (["demo: updated issue 1"], 0)
    assert "another" in hub.issues[1]["body"]
    assert update(hub) == ([], 0), "not built since"
    assert update(hub, built=("demo",)) == (["demo: builds again, closed issue 1"], 0)
    assert hub.issues[1]["state"] == "closed"
    assert update(hub, FAILURE) == (["demo: opened issue 2"], 0)


def test_issue_of_somebody_else_is_left_alone(hub: GitHubState) -> None:
    """Take only issues with our label and mark for ours.

    Strangers may not set labels. A mark within a text doesn't count.
    """
    hub.add_issue("demo fails to build", "<!-- recipe demo -->")
    hub.add_issue("mine", "see <!-- recipe demo -->", LABEL)
    assert update(hub, FAILURE) == (["demo: opened issue 3"], 0)
    assert update(hub, built=("demo",)) == (["demo: builds again, closed issue 3"], 0)


def test_request_that_fails_holds_back_no_recipe(hub: GitHubState) -> None:
    hub.fail("POST", "issues", 422)
    lines, refused = update(hub, *(replace(FAILURE, name=name) for name in ("aaa", "bbb", "ccc")))
    assert (lines, refused) == (["bbb: opened issue 1", "ccc: opened issue 2"], 1)


def test_more_issues_than_a_page_are_known(hub: GitHubState) -> None:
    failures = [replace(FAILURE, name=f"p{number}") for number in range(101)]
    assert len(update(hub, *failures)[0]) == 101
    assert update(hub, *failures) == ([], 0)


def test_wrong_token_is_an_error_without_it(hub: GitHubState) -> None:
    with pytest.raises(PublishError, match="401 no token") as caught:
        list(client(hub, "wrong-secret").issues(LABEL))
    assert "wrong-secret" not in str(caught.value)
    hub.violations.clear()


@pytest.mark.parametrize("text", [*MARKUP, "```\n@owner <!-- recipe numpy -->", "`" * 30, "x" * 100_000, "@team #1"])
def test_log_stays_in_its_block(text: str) -> None:
    lines = fenced(text).splitlines()
    fence = lines[0].removesuffix("text")
    assert set(fence) == {"`"}
    assert lines[-1] == fence
    assert fence not in "\n".join(lines[1:-1])
    assert len(issue_text("demo", [replace(FAILURE, message=text)] * 2)) < 65536


def test_values_of_a_foreign_file_are_no_markup() -> None:
    hostile = "@owner](http://x) <!-- recipe numpy -->\n# title `x`"
    text = issue_text("demo", [replace(FAILURE, version=hostile, python=hostile, stage=hostile, finished=hostile)])
    outside = text.split("```")[0] + text.split("```")[2]
    assert not set("@<>()[]") & set(outside.removeprefix("<!-- recipe demo -->"))
