"""Stand-in of GitHub's API for releases and issues.

It refuses requests of another form.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "ghs_a-token-for-tests"
REPOSITORY = "owner/factory"
# GitHub's own limits and names.
BODY_LIMIT, TITLE_LIMIT, FILE_LIMIT = 65536, 256, 2 << 30
TAG = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._+!-]*")
RELEASE_FIELDS = {"tag_name", "target_commitish", "name", "body", "draft", "prerelease", "make_latest"}
ISSUE_FIELDS = {"title", "body", "labels", "assignees", "milestone", "state", "state_reason"}
ODD = re.compile(r"[^A-Za-z0-9._+-]")


@dataclass(slots=True)
class GitHubState:
    """The repository: its releases, files and issues, and what was wrong with requests."""

    url: str = ""
    uploads: str = ""
    releases: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[int, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    # The next requests of a method and path that fail: status and headers.
    failures: list[tuple[str, str, int, dict[str, str]]] = field(default_factory=list)
    digests: bool = True

    def fail(self, method: str, path: str, status: int, **headers: str) -> None:
        """Let the next request whose path has this text fail."""
        self.failures.append((method, path, status, {name.replace("_", "-"): text for name, text in headers.items()}))

    def names(self, tag: str) -> list[str]:
        """Return the files of a release."""
        release = self.releases[tag]["id"]
        return sorted(file["name"] for file in self.files.values() if file["release"] == release)

    def add_issue(self, title: str, body: str, *labels: str) -> int:
        """Add an issue, as people do."""
        number = len(self.issues) + 1
        self.issues[number] = {
            "number": number,
            "title": title,
            "body": body,
            "state": "open",
            "labels": [{"name": each} for each in labels],
        }
        return number


class _Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.status, self.content = status, {"message": message, **fields}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: GitHubState

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, method: str) -> None:
        path = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.state.requests.append((method, path))
        headers: dict[str, str] = {}
        try:
            for failure in self.state.failures:
                if failure[0] == method and failure[1] in path:
                    self.state.failures.remove(failure)
                    headers = failure[3]
                    raise _Refused(failure[2], "made to fail")
            status, content = self._route(method, path, body)
        except _Refused as refused:
            status, content = refused.status, json.dumps(refused.content).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _route(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if path.startswith("/download/"):
            return self._download(path)
        self._require(self.headers.get("Authorization") == f"Bearer {TOKEN}", "no token", status=401)
        self._require(self.headers.get("Accept") == "application/vnd.github+json", "Accept")
        self._require(self.headers.get("X-GitHub-Api-Version") == "2022-11-28", "X-GitHub-Api-Version")
        prefix = f"/repos/{REPOSITORY}/"
        self._require(path.startswith(prefix), f"another repository: {path}", status=404)
        query = {key: values[-1] for key, values in parse_qs(urlsplit(self.path).query).items()}
        for pattern, handler in (
            (r"GET releases/tags/([^/]+)", self._release_by_tag),
            (r"POST releases", self._create_release),
            (r"GET releases/(\d+)/assets", self._files),
            (r"POST releases/(\d+)/assets", self._upload),
            (r"DELETE releases/assets/(\d+)", self._delete),
            (r"GET issues", self._issues),
            (r"POST issues", self._create_issue),
            (r"PATCH issues/(\d+)", self._update_issue),
        ):
            if match := re.fullmatch(pattern, f"{method} {path.removeprefix(prefix)}"):
                status, value = handler(*match.groups(), query=query, body=body)
                return status, b"" if value is None else json.dumps(value).encode()
        raise self._violation(f"unknown request: {method} {path}", 404)

    def _require(self, holds: bool, what: str, status: int = 422) -> None:
        if not holds:
            raise self._violation(what, status)

    def _violation(self, what: str, status: int) -> _Refused:
        self.state.violations.append(what)
        return _Refused(status, what)

    def _json(self, body: bytes, fields: set[str], *required: str) -> dict[str, Any]:
        self._require("json" in self.headers.get("Content-Type", ""), "a body that is not JSON")
        value = json.loads(body)
        self._require(set(value) <= fields, f"unknown fields: {set(value) - fields}")
        self._require(all(value.get(name) for name in required), f"missing fields: {required}")
        return dict(value)

    def _download(self, path: str) -> tuple[int, bytes]:
        self._require("Authorization" not in self.headers, "a token for a public file")
        content = self.state.contents.get(unquote(path))
        if content is None:
            raise _Refused(404, "Not Found")
        return 200, content

    def _release_by_tag(self, tag: str, **_options: object) -> tuple[int, object]:
        if unquote(tag) not in self.state.releases:
            raise _Refused(404, "Not Found")
        return 200, self.state.releases[unquote(tag)]

    def _create_release(self, *, body: bytes, **_options: object) -> tuple[int, object]:
        value = self._json(body, RELEASE_FIELDS, "tag_name")
        tag = value["tag_name"]
        self._require(TAG.fullmatch(tag) is not None, f"no name for a tag: {tag!r}")
        self._require(value.get("make_latest") in (None, "true", "false", "legacy"), "make_latest is a word")
        if tag in self.state.releases:
            raise _Refused(422, "Validation Failed", errors=[{"code": "already_exists"}])
        number = len(self.state.releases) + 1
        address = f"{self.state.uploads}/repos/{REPOSITORY}/releases/{number}/assets{{?name,label}}"
        self.state.releases[tag] = {"id": number, "tag_name": tag, "upload_url": address}
        return 201, self.state.releases[tag]

    def _files(self, release: str, *, query: dict[str, str], **_options: object) -> tuple[int, object]:
        found = [file for file in self.state.files.values() if file["release"] == int(release)]
        return 200, self._page(found, query)

    def _page(self, found: list[Any], query: dict[str, str]) -> list[Any]:
        size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
        self._require(0 < size <= 100, "per_page")
        return found[(page - 1) * size : page * size]

    def _upload(self, release: str, *, query: dict[str, str], body: bytes) -> tuple[int, object]:
        address = f"http://{self.headers['Host']}"
        self._require(address == self.state.uploads, "an upload to the API's own address")
        self._require(set(query) == {"name"}, f"query of an upload: {query}")
        self._require(bool(self.headers.get("Content-Type")) and 0 < len(body) <= FILE_LIMIT, "size or type of a file")
        (tag,) = (tag for tag, each in self.state.releases.items() if each["id"] == int(release))
        name = ODD.sub(".", query["name"])
        if name in self.state.names(tag):
            raise _Refused(422, "Validation Failed", errors=[{"code": "already_exists"}])
        place = f"/download/{tag}/{name}"
        number = max(self.state.files, default=0) + 1
        self.state.contents[place] = body
        self.state.files[number] = {
            "id": number,
            "release": int(release),
            "name": name,
            "state": "uploaded",
            "size": len(body),
            "digest": f"sha256:{hashlib.sha256(body).hexdigest()}" if self.state.digests else None,
            "browser_download_url": f"{self.state.url}{place}",
        }
        return 201, self.state.files[number]

    def _delete(self, number: str, **_options: object) -> tuple[int, object]:
        if self.state.files.pop(int(number), None) is None:
            raise _Refused(404, "Not Found")
        return 204, None

    def _issues(self, *, query: dict[str, str], **_options: object) -> tuple[int, object]:
        self._require(query.get("state") in ("open", "closed", "all"), "state of issues")
        wanted = query.get("labels", "").split(",")
        found = [
            issue
            for issue in self.state.issues.values()
            if query["state"] in ("all", issue["state"])
            and all(label in [each["name"] for each in issue["labels"]] for label in wanted)
        ]
        return 200, self._page(found, query)

    def _create_issue(self, *, body: bytes, **_options: object) -> tuple[int, object]:
        value = self._json(body, ISSUE_FIELDS - {"state", "state_reason"}, "title")
        self._require_text(value)
        number = self.state.add_issue(value["title"], value.get("body", ""), *value.get("labels", ()))
        return 201, self.state.issues[number]

    def _update_issue(self, number: str, *, body: bytes, **_options: object) -> tuple[int, object]:
        value = self._json(body, ISSUE_FIELDS)
        self._require_text(value)
        self._require(value.get("state") in (None, "open", "closed"), "state")
        if int(number) not in self.state.issues:
            raise _Refused(404, "Not Found")
        self.state.issues[int(number)] |= value
        return 200, self.state.issues[int(number)]

    def _require_text(self, value: dict[str, Any]) -> None:
        self._require(len(value.get("title", "")) <= TITLE_LIMIT, "a title that is too long")
        self._require(len(value.get("body", "")) <= BODY_LIMIT, "a text that is too long")


@contextmanager
def github_served() -> Iterator[GitHubState]:
    """Run the API and the address for uploads on the loopback interface; yield the repository."""
    state = GitHubState()
    handler = type("Handler", (_Handler,), {"state": state})
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as api,
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as uploads,
    ):
        state.url = f"http://127.0.0.1:{api.server_port}"
        state.uploads = f"http://127.0.0.1:{uploads.server_port}"
        for server in (api, uploads):
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield state
        api.shutdown()
        uploads.shutdown()
