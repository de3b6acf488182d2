"""What RapidOCR reads in pictures of texts, for ocr_reward_test.

    ocr_peer.py OUT SIDE

Draws texts, straight and slanted, in a line or several, and writes
OUT/images.safetensors, "images" [20,3,256,256] in [0,1], and "scores" [20] of
Flow-GRPO's OCR reward as RapidOCR reads them, enlarged to SIDE pixels;
OUT/prompts.json, of which every fifth asks for what another picture says;
OUT/models, a link to the networks that RapidOCR carries.
"""

import json
import pathlib
import sys

import numpy as np
import rapidocr_onnxruntime
import torch
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import save_file

TEXTS = ["Spring Collection 2024", "Forever Yours", "Try Our New Burger",
         "Fearless", "OPEN", "Elevation 8000 Feet", "No Entry",
         "30 Years Young", "Wish You Were Here", "AI Zone", "Gas 100",
         "Caf\u00e9 7", "STOP", "Black Diamond Run", "Street Art Rules",
         "Hello, World!", "sale 50% off", "Tonight", "Lost City",
         "Upgrades Available"]
SIZE, MARGIN = 256, 30


def colour(rng, low, high):
    return tuple(int(value) for value in rng.integers(low, high, 3))


def drawn(number, text):
    rng = np.random.default_rng(number)
    ground = colour(rng, 150, 256)
    image = Image.new("RGB", (SIZE, SIZE), ground)
    draw = ImageDraw.Draw(image)
    lines = text.split(" ") if number % 3 == 0 else [text]
    size = int(rng.integers(18, 40))
    while max(draw.textlength(line, font=ImageFont.load_default(size))
              for line in lines) > SIZE - MARGIN:
        size -= 1
    y = int(rng.integers(20, 60))
    for line in lines:
        draw.text((int(rng.integers(8, 16)), y), line,
                  fill=colour(rng, 0, 110), font=ImageFont.load_default(size))
        y += size + 12
    if number % 4 == 3:
        image = image.rotate(float(rng.uniform(-20, 20)), fillcolor=ground,
                             resample=Image.Resampling.BICUBIC)
    return np.asarray(image)


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


def main(out, side):
    reader = rapidocr_onnxruntime.RapidOCR(det_limit_side_len=side)
    images = np.stack([drawn(i, text) for i, text in enumerate(TEXTS)])
    asked = [TEXTS[(i + 1) % len(TEXTS)] if i % 5 == 4 else text
             for i, text in enumerate(TEXTS)]
    scores = []
    for image, text in zip(images, asked):
        lines, _ = reader(image[:, :, ::-1].copy(), use_cls=False)
        read = "".join(line[1] for line in lines or [])
        scores.append(score(read, text))
    save_file({"images": (torch.from_numpy(images).permute(0, 3, 1, 2).float()
                          / 255).contiguous(),
               "scores": torch.tensor(scores)}, out / "images.safetensors")
    (out / "prompts.json").write_text(json.dumps(
        [f'a sign that says "{text}"' for text in asked]))
    networks = pathlib.Path(rapidocr_onnxruntime.__file__).parent / "models"
    (out / "models").symlink_to(networks)


main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
