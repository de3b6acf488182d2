"""PIL as the other side of PNG files.

Reads FOLDER/rgb.png and writes it again in several kinds of PNG beside it,
and its texts as texts.png.
"""

import pathlib
import sys

import numpy
from PIL import Image, PngImagePlugin

folder = pathlib.Path(sys.argv[1])
image = Image.open(folder / "rgb.png")
texts = PngImagePlugin.PngInfo()
for keyword, text in image.text.items():
    texts.add_text(keyword, str(text))
texts.add_text("compressed", "passed over", zip=True)
texts.add_itxt("compressed too", "passed over", zip=True)
image.save(folder / "texts.png", pnginfo=texts)

pixels = numpy.asarray(image)
height, width, channels = pixels.shape
assert channels == 3 and pixels.dtype == numpy.uint8
Image.fromarray(pixels).save(folder / "again.png")

red = numpy.ascontiguousarray(pixels[..., 0])
Image.fromarray(red).save(folder / "grey.png")
Image.fromarray(red.astype(numpy.uint16) * 257).save(folder / "grey16.png")
palette = Image.frombytes("P", (width, height), red.tobytes())
palette.putpalette([value for grey in range(256) for value in [grey] * 3])
palette.save(folder / "palette.png")

alpha = numpy.full((height, width, 1), 255, numpy.uint8)
alpha[:, : width // 2] = 0
Image.fromarray(numpy.concatenate([pixels, alpha], 2)).save(
    folder / "transparent.png")
