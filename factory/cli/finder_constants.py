"""Program that writes the board finder's constants: `python -m` this module.

The finder runs alone on boards and imports nothing of the factory, so it has a copy of values of `factory.model`.
"""

from __future__ import annotations

from pathlib import Path

from factory.board import finder
from factory.model.target import PROFILES, PYTHONS, Profile, Target
from factory.util.atomic_files import write_if_changed

FINDER = Path(finder.__file__)
START = "# Start of constants from factory/model/, written by `.ci/nox reference`.\n"
END = "# End of constants from factory/model/.\n"


def render_constants() -> str:
    """Return the Python text of the constants."""
    vector_profiles = [profile for profile in reversed([*PROFILES.values()]) if profile.vlen]
    return "".join(
        (
            "# The Pythons of the wheels, and the newest glibc that a wheel may need.\n",
            f"PYTHONS = {_tuple(PYTHONS)}\n",
            f"GLIBC = {Target().glibc_floor}\n",
            "# Name, minimal VLEN and extensions of each profile with RVV 1.0, the most demanding first.\n",
            "VECTOR_PROFILES: Sequence[tuple[str, int, frozenset[str]]] = (\n",
            *(f"    {_vector_profile(profile)},\n" for profile in vector_profiles),
            ")\n",
        )
    )


def update(text: str) -> str:
    """Return the finder's text with current constants between the two marker lines."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}{render_constants()}{END}{after}"


def _vector_profile(profile: Profile) -> str:
    needs = ", ".join(map(_quote, profile.needs))
    return f"({_quote(profile.name)}, {profile.vlen}, frozenset({f'{{{needs}}}' if needs else ''}))"


def _tuple(values: tuple[str, ...]) -> str:
    return f"({', '.join(map(_quote, values))}{',' if len(values) == 1 else ''})"


def _quote(text: str) -> str:
    return f'"{text}"'


if __name__ == "__main__":
    write_if_changed(FINDER, update(FINDER.read_text(encoding="utf-8")).encode())
