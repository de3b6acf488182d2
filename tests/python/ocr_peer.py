"""What RapidOCR reads in pictures of texts, for ocr_reward_test.

    ocr_peer.py OUT [drawn]

Draws 60 texts in four sizes, half of them on plain and half on textured
ground, straight and slanted, in as many lines as they need, and writes
OUT/images.safetensors, "images" [60,3,256,256] in [0,1], and "scores" [60] of
Flow-GRPO's OCR reward as RapidOCR reads them with its own settings;
OUT/signs.json, of each picture the "text" drawn, what is "asked" for (every
fifth asks for what another picture says), what was "read", the letters' "size"
in pixels, whether the ground is "plain" and whether the text is "level";
OUT/models, a link to the networks that RapidOCR carries. With "drawn" nothing
is read: every "read" is empty, and every score 0.
"""

import json
import pathlib
import sys

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import save_file

TEXTS = ["Spring Collection 2024", "Forever Yours", "Try Our New Burger",
         "Fearless", "OPEN", "Elevation 8000 Feet", "No Entry",
         "30 Years Young", "Wish You Were Here", "AI Zone", "Gas 100",
         "Caf\u00e9 7", "STOP", "Black Diamond Run", "Street Art Rules",
         "Hello, World!", "sale 50% off", "Tonight", "Lost City",
         "Upgrades Available", "Fresh Bread Daily", "Exit 24", "Mind the Gap",
         "Happy Birthday", "Library", "Do Not Disturb", "Platform 9",
         "Keep Calm", "Welcome Home", "Speed Limit 65", "Ocean View",
         "Grand Opening", "Museum of Art", "Push", "Wet Paint",
         "Live Music Friday", "Room 101", "Pure Honey", "Night Market",
         "Beware of Dog", "Low Battery", "Gate B12", "Garden Center",
         "Thank You", "Coffee & Tea", "Bus Stop", "Closed on Sunday",
         "Free Wi-Fi", "Route 66", "Mission Complete", "Handle with Care",
         "Winter Sale", "Danger", "School Zone", "Vote Today", "Pizza $5",
         "Level Up", "Since 1987", "Beach House", "The End"]
SIDE, MARGIN = 256, 8
SIZES = [18, 24, 32, 44]  # of letters, in pixels


def colour(rng, low, high):
    return rng.integers(low, high, 3).astype(float)


def textured(rng, kind, ground):
    """[SIDE,SIDE,3]: stripes, squares, waves or noise, of two light colours."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    angle, period = rng.uniform(0, np.pi), rng.uniform(10, 40)
    along = (x * np.cos(angle) + y * np.sin(angle)) / period
    share = [lambda: along % 2 < 1,
             lambda: (x // period + y // period) % 2,
             lambda: (2 + np.sin(np.pi * along) + np.sin(y / period)) / 4,
             lambda: rng.uniform(0, 1, (SIDE, SIDE))][kind]()
    other = np.clip(ground + rng.uniform(-40, 40, 3), 130, 255)
    return ground + np.asarray(share, float)[..., None] * (other - ground)


def lines_of(draw, text, font):
    """The words, as many in a line as fit."""
    lines = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and draw.textlength(longer, font=font) < SIDE - 2 * MARGIN:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def drawn(number, text):
    rng = np.random.default_rng(number)
    ground = colour(rng, 160, 256)
    plain, size = number % 2 == 0, SIZES[number // 2 % 4]
    pixels = (np.tile(ground, (SIDE, SIDE, 1)) if plain else
              textured(rng, number // 8 % 4, ground))
    image = Image.fromarray(pixels.round().astype(np.uint8))
    letters = Image.new("L", (SIDE, SIDE))  # where there is ink
    draw = ImageDraw.Draw(letters)
    font = ImageFont.load_default(size)
    lines = lines_of(draw, text, font)
    height = size + 10
    y = int(rng.integers(MARGIN, SIDE - MARGIN - height * len(lines)))
    for line in lines:
        room = SIDE - MARGIN - int(draw.textlength(line, font=font))
        draw.text((int(rng.integers(MARGIN, max(room, MARGIN + 1))), y), line,
                  fill=255, font=font)
        y += height
    level = number % 6 < 4
    if not level:
        letters = letters.rotate(float(rng.uniform(-15, 15)),
                                 resample=Image.Resampling.BICUBIC)
    image.paste(tuple(int(value) for value in colour(rng, 0, 90)),
                mask=letters)
    sign = {"text": text, "size": size, "plain": plain, "level": level}
    return sign, np.asarray(image)


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        new = [i + 1]
        for j, y in enumerate(b):
            new.append(min(row[j + 1] + 1, new[-1] + 1, row[j] + (x != y)))
        row = new
    return row[-1]


def score(read, asked):
    read, asked = (text.replace(" ", "").lower() for text in (read, asked))
    if asked in read:
        return 1.0
    return 1 - min(distance(read, asked), len(asked)) / len(asked)


def rapid_ocr(out):
    """A picture -> what it reads."""
    import rapidocr_onnxruntime

    networks = pathlib.Path(rapidocr_onnxruntime.__file__).parent / "models"
    (out / "models").symlink_to(networks)
    reader = rapidocr_onnxruntime.RapidOCR()

    def read(image):
        lines, _ = reader(image[:, :, ::-1].copy(), use_cls=False)
        return "".join(line[1] for line in lines or [])
    return read


def main(out, how=""):
    read = rapid_ocr(out) if how != "drawn" else lambda image: ""
    signs, images, scores = [], [], []
    for i, text in enumerate(TEXTS):
        sign, image = drawn(i, text)
        sign["read"] = read(image)
        sign["asked"] = TEXTS[(i + 1) % len(TEXTS)] if i % 5 == 4 else text
        scores.append(score(sign["read"], sign["asked"]))
        signs.append(sign)
        images.append(image)
    images = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    save_file({"images": (images.float() / 255).contiguous(),
               "scores": torch.tensor(scores, dtype=torch.float64)},
              out / "images.safetensors")
    (out / "signs.json").write_text(json.dumps(signs))


main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
