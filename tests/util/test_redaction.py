"""Secrets are hidden by value in logs and errors."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from factory.errors import CommandFailed
from factory.util.log import LogFile
from factory.util.process import run
from factory.util.redaction import HIDDEN, basic_credentials, learn, redact, url_secrets

PASSWORD = "p@ss w/ord+kestrel"


@pytest.mark.parametrize(
    "spelling",
    [PASSWORD, quote(PASSWORD, safe=""), basic_credentials("user", PASSWORD)],
    ids=["plain", "quoted", "basic"],
)
def test_secret_is_hidden_in_every_spelling(spelling: str) -> None:
    learn(url_secrets(f"http://user:{quote(PASSWORD, safe='')}@proxy:3128/"))
    assert redact(f"before {spelling} after") == f"before {HIDDEN} after"


def test_short_secret_is_hidden_in_urls_only() -> None:
    learn(url_secrets("https://me:abc@index.example/simple"))
    assert redact("abc in https://me:abc@index.example/") == f"abc in https://{HIDDEN}@index.example/"


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://build:wordpass@host/", {"wordpass", basic_credentials("build", "wordpass")}),
        ("https://tokentoken@host/", {"tokentoken", basic_credentials("tokentoken", "")}),
        ("https://glpat0123456789x:x-oauth-basic@host/", {"glpat0123456789x"}),
        ("https://host/path@1.0", set()),
    ],
)
def test_url_secrets_are_passwords_and_tokens(url: str, secrets: set[str]) -> None:
    assert secrets <= url_secrets(url)
    assert "build" not in url_secrets(url)


def test_log_and_error_of_command_have_no_secret(tmp_path: Path) -> None:
    learn(["canary-of-a-command"])
    shown: list[str] = []
    log = LogFile(tmp_path / "log", shown.append)
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", "echo canary-of-a-command; exit 1"], log=log)
    assert "canary-of-a-command" not in f"{shown} {caught.value} {(tmp_path / 'log').read_text()}"
    assert HIDDEN in shown
    assert caught.value.output == HIDDEN
