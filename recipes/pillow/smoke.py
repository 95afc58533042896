"""Draw, convert and resize with Pillow's compiled code; write and read each format by the libraries in the wheel."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path

import PIL
from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageFilter, ImageFont, ImageStat, features

MODULES = ["avif", "freetype2", "jpg", "jpg_2000", "libtiff", "littlecms2", "webp", "zlib"]
LOSSLESS = {
    "PNG": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True, "exact": True},
    "JPEG2000": {"irreversible": False},
    "BMP": {},
}
# The largest mean difference of a channel, of 255, that a lossy format may have.
LOSSY = {"JPEG": 2.0, "WEBP": 3.0, "AVIF": 2.0, "JPEG2000": 3.0}
QUALITY = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90},
    "JPEG2000": {"irreversible": True, "quality_mode": "rates", "quality_layers": [8]},
}

missing = [each for each in MODULES if not features.check(each)]
assert not missing, f"without {missing}"

width, height = 96, 64
image = Image.new("RGB", (width, height))
image.putdata(
    [
        (x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height))
        for y in range(height)
        for x in range(width)
    ]
)
assert image.getpixel((48, 32)) == (127, 127, 127)
assert len(image.tobytes()) == 3 * width * height


def written(form: str, options: dict) -> Image.Image:
    file = io.BytesIO()
    image.save(file, form, **options)
    read = Image.open(io.BytesIO(file.getvalue()))
    assert (read.format, read.size) == (form, image.size), (form, read)
    return read.convert("RGB")


for form, options in LOSSLESS.items():
    assert written(form, options).tobytes() == image.tobytes(), f"{form} is not what was written"
for form, most in LOSSY.items():
    found = max(ImageStat.Stat(ImageChops.difference(image, written(form, QUALITY[form]))).mean)
    assert 0 < found < most, f"{form}: a mean difference of {found}"

grey = image.convert("L")
red, green, blue = image.getpixel((90, 60))
assert grey.getpixel((90, 60)) == (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
half = image.resize((width // 2, height // 2), Image.Resampling.BOX)
four = [image.getpixel((20 + x, 30 + y))[0] for x in (0, 1) for y in (0, 1)]
assert abs(half.getpixel((10, 15))[0] - sum(four) / 4) <= 0.5
flat = Image.new("RGB", (40, 30), (10, 200, 77))
for method in Image.Resampling:
    assert flat.resize((17, 23), method).getcolors() == [(17 * 23, (10, 200, 77))], method
assert flat.filter(ImageFilter.GaussianBlur(3)).getcolors() == [(1200, (10, 200, 77))]
assert image.transpose(Image.Transpose.ROTATE_90).getpixel((0, 0)) == image.getpixel((width - 1, 0))

canvas = Image.new("L", (120, 40))
ImageDraw.Draw(canvas).text((4, 4), "Zwölf", fill=255, font=ImageFont.load_default(24))
assert canvas.getbbox()
assert 200 < sum(1 for value in canvas.tobytes() if value > 127) < 2000
same = ImageCms.createProfile("sRGB")
through = ImageCms.profileToProfile(image, same, ImageCms.createProfile("LAB"), outputMode="LAB")
assert through.mode == "LAB"
back = ImageCms.profileToProfile(through, ImageCms.createProfile("LAB"), same, outputMode="RGB")
assert max(ImageStat.Stat(ImageChops.difference(image, back)).mean) < 3
try:
    Image.open(io.BytesIO(b"\xff\xd8\xff\xe0" + bytes(50))).load()
except OSError:
    pass
else:
    raise AssertionError("a broken JPEG was read")

pixels = hashlib.sha256(image.tobytes()).hexdigest()[:8]
versions = ", ".join(f"{each} {features.version(each)}" for each in MODULES)
shown = f"Pillow {PIL.__version__}: image {pixels} in {len(LOSSLESS) + len(LOSSY)} ways there and back; {versions}"
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
