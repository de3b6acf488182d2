"""PIL as the other side of JPEG files.

Writes for each FOLDER/*.png a JPEG of quality 95 beside it, as DDPO's reward
does: Image.save(format="JPEG", quality=95).
"""

import io
import pathlib
import sys

from PIL import Image

for path in sorted(pathlib.Path(sys.argv[1]).glob("*.png")):
    image = Image.open(path)
    assert image.mode == "RGB"
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=95)
    path.with_suffix(".jpg").write_bytes(buffer.getvalue())
