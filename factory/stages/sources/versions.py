"""Versions of sources: in texts, in tags of git, and for build backends that ask git."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

# setuptools-scm, which hatch-vcs and scikit-build-core use too, and pdm-backend.
SCM_VARIABLES = ("SETUPTOOLS_SCM_PRETEND_VERSION", "PDM_BUILD_SCM_VERSION")
# Between the numbers of a version in a tag.
SEPARATORS = (".", "_", "-")


def parse_version(text: str | None) -> Version | None:
    """Return a version, None for text that is none."""
    try:
        return Version(text or "")
    except InvalidVersion:
        return None


def scm_variables(version: str) -> Mapping[str, str]:
    """Return variables with the version of a source without history.

    They are for backends that ask git for it.
    """
    return dict.fromkeys(SCM_VARIABLES, version)


@dataclass(frozen=True, slots=True)
class TagForm:
    """Form of a project's tags.

    It is a prefix, then a version with a separator between its numbers.
    """

    prefix: str
    separator: str

    @classmethod
    def of(cls, tag: str, version: str) -> TagForm | None:
        """Return the form of the tag of a version, None if the tag does not end with the version."""
        wanted = parse_version(version)
        for start in range(len(tag)):
            forms = [cls(tag[:start], separator) for separator in SEPARATORS]
            found = next((form for form in forms if wanted and form.version_of(tag) == wanted), None)
            if found is not None or forms[0].version_of(tag) is not None:  # the rest is another version
                return found
        return None

    def version_of(self, tag: str) -> Version | None:
        """Return the version in a tag, None if the tag has another form."""
        text = tag.removeprefix(self.prefix)
        if not tag.startswith(self.prefix) or not text[:1].isdigit():
            return None
        return parse_version(text.replace(self.separator, "."))
