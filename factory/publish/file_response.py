"""Response with a file: whole, one range, or only its status (RFC 9110).

werkzeug parses the headers, answers If-None-Match and If-Modified-Since, and sends ranges. The rest is here because
werkzeug 3.1 differs from RFC 9110: it evaluates Range before the conditions, applies it to HEAD, refuses ranges that a
server may ignore and suffixes longer than the file, compares If-Range weakly, rejects `If-Match: *`, lets If-Match
replace If-None-Match, and ignores If-Unmodified-Since.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from werkzeug import Request, Response
    from werkzeug.datastructures import Range

COMPRESSED = ("text/", "application/json", "application/xml", "image/svg+xml", "application/vnd.pypi.")
CACHE_CONDITIONS = ("REQUEST_METHOD", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE")
DIGESTS_KEPT, PAGES_KEPT = 1 << 17, 256


@dataclass(frozen=True, slots=True)
class _File:
    """An open file; its bytes are the same as long as path, inode, time and size are."""

    path: Path
    inode: int
    changed: int
    size: int
    content: io.BufferedReader = field(compare=False)


def file_response(path: Path, kind: str, request: Request) -> Response:
    """Answer a GET or HEAD request for a file of the content type `kind`.

    Raises:
        HTTPException: a precondition failed, or the file does not have the requested range.
    """
    from werkzeug.exceptions import HTTPException

    response = _whole_file(path, kind, request)
    try:
        return _apply_conditions(response, request)
    except HTTPException:
        response.close()
        raise


def _whole_file(path: Path, kind: str, request: Request) -> Response:
    from werkzeug import Response
    from werkzeug.wsgi import wrap_file

    content = path.open("rb")
    status = os.fstat(content.fileno())
    file = _File(path, status.st_ino, status.st_mtime_ns, status.st_size, content)
    tag, size = _digest(file), file.size
    body: IO[bytes] = content
    compressed = kind.startswith(COMPRESSED) and _accepts_gzip(request)
    if compressed:
        packed = _pack(file)
        content.close()
        tag, size, body = f"{tag}-gzip", len(packed), io.BytesIO(packed)
    response = Response(wrap_file(request.environ, body), mimetype=kind, direct_passthrough=True)
    response.call_on_close(body.close)
    response.content_length = size
    response.last_modified = int(status.st_mtime)  # type: ignore[assignment]
    response.set_etag(tag)
    if compressed:
        response.headers["Content-Encoding"] = "gzip"
    return response


def _accepts_gzip(request: Request) -> bool:
    """Test whether the client prefers gzip.

    A range is always one of the uncompressed bytes.
    """
    encodings = request.accept_encodings
    return _requested_range(request) is None and encodings.quality("gzip") > encodings.quality("identity")


def _apply_conditions(response: Response, request: Request) -> Response:
    """Evaluate preconditions, cache conditions and range (RFC 9110, 13.2.2)."""
    from werkzeug.exceptions import PreconditionFailed

    if _precondition_fails(response, request):
        raise PreconditionFailed
    response.make_conditional({name: request.environ.get(name, "") for name in CACHE_CONDITIONS})
    if response.status_code == 304:
        return response
    size, requested = response.content_length or 0, _requested_range(request)
    environ = {"REQUEST_METHOD": request.method}
    if requested is not None and _if_range_holds(response, request):
        environ["HTTP_RANGE"] = _clamp_suffix(requested, size).to_header()
    return response.make_conditional(environ, accept_ranges=True, complete_length=size)


def _precondition_fails(response: Response, request: Request) -> bool:
    """Evaluate If-Match, or If-Unmodified-Since in its absence."""
    if request.if_match:
        return (response.get_etag()[0] or "") not in request.if_match
    since, changed = request.if_unmodified_since, response.last_modified
    return since is not None and changed is not None and changed > since


def _requested_range(request: Request) -> Range | None:
    """Return the single byte range of a GET request.

    A server may ignore other ranges, and must ignore those of HEAD.
    """
    requested = request.range if request.method == "GET" else None
    return requested if requested is not None and requested.units == "bytes" and len(requested.ranges) == 1 else None


def _if_range_holds(response: Response, request: Request) -> bool:
    """Compare If-Range with the strong tag or the exact time."""
    condition = request.headers.get("If-Range")
    return condition is None or condition in (response.headers["ETag"], response.headers["Last-Modified"])


def _clamp_suffix(requested: Range, size: int) -> Range:
    """Limit a suffix range to the file's size: a longer one is the whole file."""
    from werkzeug.datastructures import Range

    ((start, end),) = requested.ranges
    return Range(requested.units, [(max(start, -size), end)])


@lru_cache(DIGESTS_KEPT)
def _digest(file: _File) -> str:
    digest = hashlib.file_digest(file.content, "sha256").hexdigest()
    file.content.seek(0)
    return digest


@lru_cache(PAGES_KEPT)
def _pack(file: _File) -> bytes:
    return gzip.compress(file.content.read(), mtime=0)
