"""Contour surfaces whose contours are known, with each of contourpy's compiled algorithms.

FACTORY_RESULT names the JSON file to write; FACTORY_PROFILE is the name of the profile that this runs on.
"""

import json
import os
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy
from contourpy import FillType, LineType, contour_generator, convert_lines

ALGORITHMS = ("serial", "threaded", "mpl2014", "mpl2005")
RADIUS, POINTS = 0.75, 129


def main() -> None:
    x, y = numpy.meshgrid(numpy.linspace(-1, 1, POINTS), numpy.linspace(-1, 1, POINTS))
    for name in ALGORITHMS:
        circle(name, x, y)
    ring(x, y)
    hidden_points(x, y)
    shown = f"contourpy {version('contourpy')}: circles by {', '.join(ALGORITHMS)}, a ring and a masked plane"
    result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    print(f"[{os.environ.get('FACTORY_PROFILE', 'unknown profile')}] {shown}")


def circle(name: str, x: numpy.ndarray, y: numpy.ndarray) -> None:
    """Where the distance from the middle is RADIUS: every point of the contour is that far away."""
    # Chunks, which the threaded algorithm needs, cut the circle into open lines.
    chunks = {"chunk_count": 4} if name == "threaded" else {}
    generator = contour_generator(x, y, numpy.hypot(x, y), name=name, **chunks)
    points = numpy.concatenate(convert_lines(generator.lines(RADIUS), generator.line_type, LineType.Separate))
    farthest = numpy.abs(numpy.hypot(points[:, 0], points[:, 1]) - RADIUS).max()
    if len(points) < POINTS or farthest > 1e-3:
        raise AssertionError(f"{name}: {len(points)} points, up to {farthest} off the circle")


def ring(x: numpy.ndarray, y: numpy.ndarray) -> None:
    """Between two distances lies a ring: one outer line, one hole, and the area between them."""
    filled = contour_generator(x, y, numpy.hypot(x, y), fill_type=FillType.OuterOffset).filled(0.25, RADIUS)
    (points,), (offsets,) = filled
    if len(offsets) != 3:
        raise AssertionError(f"the ring has {len(offsets) - 1} lines")
    total = sum(area(points[start:end]) for start, end in pairwise(offsets))
    expected = numpy.pi * (RADIUS**2 - 0.25**2)
    if abs(total - expected) > 1e-2:
        raise AssertionError(f"the ring's area is {total}, not {expected}")


def area(line: numpy.ndarray) -> float:
    """The signed area inside a closed line: holes run the other way round."""
    return float(numpy.sum(line[:-1, 0] * line[1:, 1] - line[1:, 0] * line[:-1, 1]) / 2)


def hidden_points(x: numpy.ndarray, y: numpy.ndarray) -> None:
    """A plane's contour is a straight line, which ends where points are masked."""
    plane = numpy.ma.array(x, mask=y > 0)
    (line,) = contour_generator(x, y, plane, line_type=LineType.Separate).lines(0.1)
    if numpy.abs(line[:, 0] - 0.1).max() > 1e-12 or line[:, 1].max() > 0:
        raise AssertionError(f"the line of a half plane: {line}")


if __name__ == "__main__":
    main()
