"""Statements of a wheel's provenance: in-toto, with the predicate SLSA provenance v1.

A statement has the whole build record, so that who trusts its signer can take the record over. Its materials repeat
what the record says in the form that other programs read.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from factory.model.artifacts import PackagePin, SourceOrigin
from factory.model.record import BuildRecord, StageRun, is_sound
from factory.publish.release import SHA256
from factory.publish.wheel_filename import parse_filename
from factory.sbom.package_urls import purl
from factory.util.identifiers import urn_of
from factory.util.jsonio import DAMAGED, convert, decode, dumps, encode
from factory.util.paths import default_layout
from factory.util.redaction import HIDDEN, redact, url_secrets

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
# Version of the fields of `externalParameters` and `internalParameters`.
BUILD_TYPE = urn_of("build/1")
# A machine that signs with a key of its owner: nobody else vouches for it.
OWN_KEY = urn_of("builder/own-key")
RECORD = "build-record"
STATEMENT_LIMIT = 8 << 20  # bytes; real ones have some 100 kB

Json = dict[str, object]


class _Subject(msgspec.Struct):
    digest: dict[str, str]
    name: str = ""


class _Product(msgspec.Struct):
    name: str = ""
    content: str = ""


class _Builder(msgspec.Struct):
    id: str = ""


class _Details(msgspec.Struct):
    builder: _Builder = msgspec.field(default_factory=_Builder)
    byproducts: list[_Product] = []


class _Predicate(msgspec.Struct):
    details: _Details = msgspec.field(name="runDetails", default_factory=_Details)


class _Statement(msgspec.Struct):
    type: str = msgspec.field(name="_type")
    subject: list[_Subject]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: _Predicate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement about one file, with the build record if it is one of a factory."""

    name: str
    sha256: str
    predicate_type: str
    builder: str
    record: BuildRecord | None


def make_statement(record: BuildRecord, builder: str = OWN_KEY) -> bytes:
    """Return the statement of a build record; `builder` is the URI of who built."""
    public = public_record(record)
    content = dumps(public).encode()
    product = {
        "name": RECORD,
        "mediaType": "application/json",
        "digest": {"sha256": hashlib.sha256(content).hexdigest()},
        "content": base64.b64encode(content).decode(),
    }
    details: Json = {
        "builder": {"id": builder},
        "metadata": {"invocationId": record.key, "finishedOn": record.finished},
        "byproducts": [product],
    }
    return encode(
        {
            "_type": TYPE,
            "subject": [{"name": record.wheel, "digest": {"sha256": record.wheel_sha256}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {"buildDefinition": _definition(public), "runDetails": details},
        }
    )


def public_record(record: BuildRecord) -> BuildRecord:
    """Return a record without this machine's paths, command lines and secrets."""
    public = replace(
        record,
        substituted_from="",
        stages=tuple(_public_stage(each) for each in record.stages),
        sources=tuple(_public_source(each) for each in record.sources),
    )
    folders = ((default_layout().root, "$FACTORY_CACHE"), (Path.home(), "~"))
    shown = [(f"{folder}/", f"{name}/") for folder, name in folders if folder != folder.parent]
    return convert(_cleaned(json.loads(dumps(public)), shown), BuildRecord)


def _public_stage(run: StageRun) -> StageRun:
    return replace(run, commands=(), log=Path(f"{run.stage}.log"))


def _public_source(origin: SourceOrigin) -> SourceOrigin:
    return replace(origin, urls=tuple(url for url in origin.urls if not url.startswith("file:")))


def _cleaned(value: object, shown: Sequence[tuple[str, str]]) -> object:
    """Return JSON values with all texts cleaned; `shown` are the names of folders."""
    if isinstance(value, dict):
        return {_clean(name, shown): _cleaned(each, shown) for name, each in value.items()}
    if isinstance(value, list):
        return [_cleaned(each, shown) for each in value]
    return _clean(value, shown) if isinstance(value, str) else value


def _clean(text: str, shown: Sequence[tuple[str, str]]) -> str:
    for folder, name in shown:
        text = text.replace(folder, name)
    text = redact(text)
    for secret in sorted(url_secrets(text), key=len, reverse=True):
        text = text.replace(f"{secret}@", f"{HIDDEN}@").replace(f"{secret}:", f"{HIDDEN}:")
    return text


def _definition(record: BuildRecord) -> Json:
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": {
            "recipe": record.name,
            "version": record.version,
            "python": record.target.python,
            "toolchain": record.built_with,
        },
        "internalParameters": {
            "contentKey": record.key,
            "environmentKey": record.environment_key,
            "baseline": record.target.baseline,
            "mode": record.mode,
            "profiles": [check.profile for check in record.checks if check.passed],
        },
        "resolvedDependencies": list(_materials(record)),
    }


def _materials(record: BuildRecord) -> Iterator[Json]:
    yield _material(f"recipes/{record.name}/recipe.toml", record.recipe_sha256)
    source = _material("source", record.source_sha256)
    # A recipe can have another name than its project, and a source another origin than the index.
    if not record.repacked_from and all(origin.folder for origin in record.sources):
        source["uri"] = purl("pypi", parse_filename(record.wheel)[0], record.version)
    yield source
    for origin in record.sources:
        digest = {"gitCommit": origin.commit} if origin.commit else {"sha256": origin.sha256}
        uri = {"uri": origin.urls[0]} if origin.urls else {}
        yield {"name": origin.folder or "source", **uri, "digest": digest}
    yield from (_material(f"patches/{each.name}", each.sha256) for each in record.patches)
    for package in record.repacked:
        yield _material(package.name, package.sha256) | {"uri": purl("deb", package.name, package.version)}
    yield from (_pin("environment", "deb", each) for each in record.environment)
    yield from (_pin("build requirement", "pypi", each) for each in record.requirements)


def _material(name: str, sha256: str) -> Json:
    """Return a material; a local folder as the source has no hash."""
    return {"name": name} | ({"digest": {"sha256": sha256}} if SHA256.fullmatch(sha256) else {})


def _pin(name: str, kind: str, pin: PackagePin) -> Json:
    return {"name": name, "uri": purl(kind, pin.name, pin.version, arch=pin.architecture)}


def read_statement(payload: bytes) -> Statement:
    """Parse a statement about one file.

    Raises:
        ValueError: it is damaged, about no or several files, or its record is of another file or has unsafe names.
    """
    try:
        parsed = decode(payload, _Statement)
    except DAMAGED as error:
        raise ValueError(f"no in-toto statement: {error}") from error
    if parsed.type != TYPE or len(parsed.subject) != 1:
        raise ValueError("no in-toto statement about one file")
    subject, predicate = parsed.subject[0], parsed.predicate or _Predicate()
    return Statement(
        name=subject.name,
        sha256=subject.digest.get("sha256", ""),
        predicate_type=parsed.predicate_type,
        builder=predicate.details.builder.id,
        record=_record(predicate, subject),
    )


def _record(predicate: _Predicate, subject: _Subject) -> BuildRecord | None:
    contents = [each.content for each in predicate.details.byproducts if each.name == RECORD]
    if not contents:
        return None
    try:
        record = convert(json.loads(base64.b64decode(contents[0], validate=True)), BuildRecord)
    except DAMAGED as error:
        raise ValueError(f"damaged build record: {error}") from error
    if len(contents) > 1 or (record.wheel, record.wheel_sha256) != (subject.name, subject.digest.get("sha256")):
        raise ValueError("its build record is of another file")
    if not is_sound(record):
        raise ValueError("its build record has unsafe names")
    return public_record(record)
