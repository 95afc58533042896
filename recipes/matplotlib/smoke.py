"""Figures drawn and held against geometry: pixels, shaped text, triangles, meshes, paths; files of five formats."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path as File

import matplotlib as mpl

mpl.use("agg")

import numpy as np
from matplotlib import ft2font, pyplot
from matplotlib.patches import Circle, Rectangle
from matplotlib.path import Path
from matplotlib.tri import Triangulation

SIZE = 200


def canvas() -> tuple[pyplot.Figure, pyplot.Axes]:
    """Return a figure of 200 x 200 pixels, one unit each."""
    figure = pyplot.figure(figsize=(2, 2), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, SIZE), ylim=(0, SIZE))
    return figure, axes


def pixels(figure: pyplot.Figure) -> np.ndarray:
    figure.canvas.draw()
    drawn = np.asarray(figure.canvas.buffer_rgba())[::-1].copy()
    pyplot.close(figure)
    return drawn


def check_areas() -> None:
    """Fill a rectangle and a disc: exact pixels and the area."""
    figure, axes = canvas()
    axes.add_patch(Rectangle((20, 30), 50, 60, color=(1, 0, 0), antialiased=False, linewidth=0))
    axes.add_patch(Circle((140, 140), 40, facecolor=(0, 0, 1, 0.5), linewidth=0))
    drawn = pixels(figure)
    assert (drawn[30:90, 20:70] == (255, 0, 0, 255)).all()
    assert tuple(drawn[140, 140, :3]) in {(127, 127, 255), (128, 128, 255)}, drawn[140, 140]
    covered = (255 - drawn[95:190, 95:190, 0].astype(float)).sum() / 127.5
    assert abs(covered - np.pi * 40**2) < 60, covered


def check_mesh() -> None:
    """Draw an image and a mesh of the same numbers: both have the colours of the map, within rounding."""
    numbers = np.random.default_rng(20261201).integers(0, 256, (8, 8))
    drawn = []
    for method in ("pcolormesh", "imshow"):
        figure, axes = canvas()
        axes.set(xlim=(0, 8), ylim=(0, 8))
        if method == "imshow":
            axes.imshow(numbers, origin="lower", extent=(0, 8, 0, 8), aspect="auto", vmin=0, vmax=255)
        else:
            axes.pcolormesh(numbers, vmin=0, vmax=255)
        drawn.append(pixels(figure)[12::25, 12::25])
    colours = pyplot.get_cmap()(numbers / 255) * 255
    for each in drawn:
        assert (np.abs(each - colours) <= 1).all(), each - colours


def check_paths() -> None:
    star = Path([(0, 0), (10, 0), (10, 10), (0, 10), (0, 0)])
    inside = star.contains_points([(5, 5), (11, 5), (0.1, 9.9)])
    assert inside.tolist() == [True, False, True]
    assert star.intersects_path(Path([(-5, 5), (15, 6)]), filled=False)
    assert not star.intersects_path(Path([(20, 20), (30, 30)]))
    assert Path.unit_circle().get_extents().bounds == (-1, -1, 2, 2)


def check_triangles() -> None:
    """Triangulate a grid by Qhull, and interpolate a plane on it."""
    x, y = (each.ravel() for each in np.meshgrid(np.arange(6.0), np.arange(5.0)))
    triangles = Triangulation(x, y)
    corners = np.stack([x[triangles.triangles], y[triangles.triangles]], axis=-1)
    edges = corners[:, 1:] - corners[:, :1]
    area = (edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]).sum() / 2
    assert area == 20.0, area
    assert triangles.get_trifinder()(2.3, 2.4) >= 0
    assert triangles.get_trifinder()(7, 7) == -1
    found = mpl.tri.LinearTriInterpolator(triangles, 2 * x - y)(2.25, 3.5)
    assert abs(found - 1.0) < 1e-12, found


def check_text() -> None:
    """Shape and render text; kerning and ligatures come from the font."""
    font = ft2font.FT2Font(mpl.get_data_path() + "/fonts/ttf/DejaVuSans.ttf")
    font.set_size(20, 100)
    widths = {}
    for text in ("A", "V", "AV", "é", "Grüße"):
        font.set_text(text, 0)
        widths[text] = font.get_width_height()[0]
    assert widths["AV"] < widths["A"] + widths["V"], widths
    font.draw_glyphs_to_bitmap()
    assert font.get_image().max() > 200
    figure, axes = canvas()
    axes.text(10, 100, r"$\int_0^\infty e^{-x^2}dx=\frac{\sqrt{\pi}}{2}$ Grüße", fontsize=10)
    assert 300 < (pixels(figure)[..., 0] < 128).sum() < 3000


def check_files() -> None:
    figure, axes = pyplot.subplots()
    axes.plot(np.sin(np.arange(500) / 30), "o-", label="sine")
    axes.contourf(np.add.outer(np.arange(20), np.arange(20)))
    axes.legend()
    for kind, start in {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml", "tiff": b"II*", "webp": b"RIFF"}.items():
        file = io.BytesIO()
        figure.savefig(file, format=kind)
        assert file.getvalue().startswith(start), kind
        assert len(file.getvalue()) > 5000, kind
    pyplot.close(figure)


for check in (check_areas, check_mesh, check_paths, check_triangles, check_text, check_files):
    check()
shown = f"matplotlib {mpl.__version__}, FreeType {ft2font.__freetype_version__}: pixels, text, triangles, five formats"
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
File(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
