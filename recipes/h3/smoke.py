"""Find H3's cells with its compiled code and hold them against geometry in plain Python.

FACTORY_RESULT names the JSON file to write; FACTORY_PROFILE is the name of the profile that this runs on.
"""

import json
import math
import os
import random
from itertools import pairwise
from pathlib import Path

import h3

EARTH_RADIUS_KM = 6371.007180918475  # the one that H3 documents
# The example of H3's own documentation.
SAN_FRANCISCO = (37.775938728915946, -122.41795063018799)
CELL = "8928308280fffff"


def main() -> None:
    source = random.Random(20240607)
    points = [(math.degrees(math.asin(source.uniform(-1, 1))), source.uniform(-180, 180)) for _ in range(150)]
    same(h3.latlng_to_cell(*SAN_FRANCISCO, 9), CELL, "the documented cell")
    same(h3.int_to_str(h3.str_to_int(CELL)), CELL, "a cell as a number and back")
    for point in points:
        cells_of(point)
    for left, right in pairwise(points):
        near(h3.great_circle_distance(left, right), distance(left, right), f"the distance from {left} to {right}")
    whole_earth()
    neighbours()
    polygon()
    wrong_input()
    shown = f"h3 {h3.versions()['python']}: {len(points)} points, the whole Earth, neighbours and a polygon"
    result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    print(f"[{os.environ.get('FACTORY_PROFILE', 'unknown profile')}] {shown}")


def cells_of(point: tuple[float, float]) -> None:
    """A point lies nearer to its cell's centre than the cell's corners reach, and the centre lies in the cell."""
    for resolution in (0, 5, 10, 15):
        cell = h3.latlng_to_cell(*point, resolution)
        centre, corners = h3.cell_to_latlng(cell), h3.cell_to_boundary(cell)
        same(h3.latlng_to_cell(*centre, resolution), cell, f"the cell of the centre of {cell}")
        if distance(point, centre) > 1.001 * max(distance(centre, corner) for corner in corners):
            raise AssertionError(f"{point} is beyond the corners of its cell {cell}")
    fine = h3.latlng_to_cell(*point, 9)
    parent = h3.cell_to_parent(fine, 7)
    children = h3.cell_to_children(parent, 9)
    same(len(set(children)), h3.cell_to_children_size(parent, 9), f"the children of {parent}")
    same(set(h3.compact_cells(children)), {parent}, f"the compacted children of {parent}")
    same(set(h3.uncompact_cells([parent], 9)), set(children), f"the uncompacted {parent}")


def whole_earth() -> None:
    cells = h3.get_res0_cells()
    same((len(cells), sum(map(h3.is_pentagon, cells))), (122, 12), "the cells of resolution 0")
    for resolution in (0, 2):
        area = sum(h3.cell_area(child, "km^2") for cell in cells for child in h3.cell_to_children(cell, resolution))
        near(area, 4 * math.pi * EARTH_RADIUS_KM**2, f"the Earth's area at resolution {resolution}")


def neighbours() -> None:
    for radius in range(8):
        disk = h3.grid_disk(CELL, radius)
        same(len(set(disk)), 1 + 3 * radius * (radius + 1), f"the cells within {radius}")
        same(max(h3.grid_distance(CELL, cell) for cell in disk), radius, f"the greatest distance within {radius}")
        same(
            set(disk) - set(h3.grid_disk(CELL, radius - 1) if radius else []), set(h3.grid_ring(CELL, radius)), "a ring"
        )


def polygon() -> None:
    """A box: its cells are those around it whose centre is in it."""
    (south, west), (north, east) = (37.75, -122.45), (37.80, -122.40)
    box = h3.LatLngPoly([(south, west), (south, east), (north, east), (north, west)])
    centres = {cell: h3.cell_to_latlng(cell) for cell in h3.grid_disk(h3.latlng_to_cell(37.775, -122.425, 8), 12)}
    inside = {cell for cell, (lat, lng) in centres.items() if south < lat < north and west < lng < east}
    same(set(h3.polygon_to_cells(box, 8)), inside, "the cells of a box")


def wrong_input() -> None:
    for call, error in (
        (lambda: h3.cell_to_latlng("not a cell"), ValueError),
        (lambda: h3.latlng_to_cell(0, 0, 16), h3.H3ResDomainError),
        (lambda: h3.latlng_to_cell(math.nan, 0, 5), h3.H3LatLngDomainError),
    ):
        try:
            call()
        except error:
            continue
        raise AssertionError(f"wrong input raised no {error.__name__}")


def distance(left: tuple[float, float], right: tuple[float, float]) -> float:
    """In kilometres, by the haversine formula."""
    lat1, lng1, lat2, lng2 = map(math.radians, (*left, *right))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lng2 - lng1) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(half))


def near(found: float, expected: float, what: str) -> None:
    if not math.isclose(found, expected, rel_tol=1e-9):
        raise AssertionError(f"{what}: found {found}, expected {expected}")


def same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


if __name__ == "__main__":
    main()
