"""What an ONNX detector sees, for onnx_detector_test.

    onnx_detector_peer.py DETECTOR OUT

DETECTOR is a YOLOX of COCO's 80 classes. Draws signs and clocks, writes
OUT/images.safetensors, "images" [5,3,384,512], and, by ONNX Runtime, OpenCV and
NumPy alone, OUT/peer.json: of each picture a list of [class, score, left, top,
right, bottom], from the left to the right.
"""

import json
import math
import pathlib
import sys

import cv2
import numpy as np
import onnxruntime
import torch
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import save_file

HEIGHT, WIDTH = 384, 512
SIDE, STRIDES, LEAST, OVERLAP = 416, (8, 16, 32), 0.3, 0.45


def octagon(x, y, radius):
    return [(x + radius * math.cos(math.pi / 8 + i * math.pi / 4),
             y + radius * math.sin(math.pi / 8 + i * math.pi / 4))
            for i in range(8)]


def sign(draw, x, y, radius):
    draw.rectangle([x - 5, y, x + 5, HEIGHT], fill=(120, 120, 120))
    draw.polygon(octagon(x, y, radius), fill=(245, 245, 245))
    draw.polygon(octagon(x, y, 0.93 * radius), fill=(190, 20, 30))
    draw.text((x, y), "STOP", font=ImageFont.load_default(int(0.62 * radius)),
              fill=(245, 245, 245), anchor="mm")


def clock(draw, x, y, radius):
    for share, colour in ((1, (30, 30, 30)), (0.88, (250, 250, 245))):
        r = share * radius
        draw.ellipse([x - r, y - r, x + r, y + r], fill=colour)
    font = ImageFont.load_default(max(8, int(0.22 * radius)))
    for hour in range(12):
        angle = hour * math.pi / 6 - math.pi / 2
        draw.text((x + 0.72 * radius * math.cos(angle),
                   y + 0.72 * radius * math.sin(angle)),
                  str(hour or 12), font=font, fill=(20, 20, 20), anchor="mm")
    for dx, dy, width in ((0.35, -0.3, 0.07), (-0.1, -0.6, 0.05)):
        draw.line([x, y, x + dx * radius, y + dy * radius],
                  fill=(10, 10, 10), width=int(width * radius) + 1)


def picture(signs, clocks):
    outside = bool(signs)
    image = Image.new("RGB", (WIDTH, HEIGHT),
                      (150, 190, 230) if outside else (205, 190, 170))
    draw = ImageDraw.Draw(image)
    if outside:
        draw.rectangle([0, 0.8 * HEIGHT, WIDTH, HEIGHT], fill=(90, 130, 70))
    for one in signs:
        sign(draw, *one)
    for one in clocks:
        clock(draw, *one)
    return np.asarray(image)


PICTURES = [picture([(240, 170, 90)], []),
            picture([(130, 170, 85), (380, 170, 85)], []),
            picture([], [(256, 180, 120)]),
            picture([(130, 170, 90)], [(380, 150, 90)]),
            picture([], [(110, 110, 85), (390, 110, 85), (250, 275, 85)])]


def decoded(rows):
    places, sizes = [], []
    for stride in STRIDES:
        count = SIDE // stride
        y, x = np.meshgrid(range(count), range(count), indexing="ij")
        places.append(np.stack([x, y], -1).reshape(-1, 2))
        sizes.append(np.full((count * count, 1), stride))
    places, sizes = np.concatenate(places), np.concatenate(sizes)
    centres = (rows[:, :2] + places) * sizes
    halves = np.exp(rows[:, 2:4]) * sizes / 2
    scores = rows[:, 4:5] * rows[:, 5:]
    return (np.concatenate([centres - halves, centres + halves], 1),
            scores.max(1), scores.argmax(1))


def overlap(a, b):
    shared = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0,
                     None).prod()
    return shared / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared)


def seen(session, image):
    scale = min(SIDE / HEIGHT, SIDE / WIDTH)
    size = int(WIDTH * scale), int(HEIGHT * scale)
    shown = np.full((SIDE, SIDE, 3), 114, np.uint8)
    shown[:size[1], :size[0]] = cv2.resize(image[:, :, ::-1], size)
    name = session.get_inputs()[0].name
    rows = session.run(None, {
        name: shown.transpose(2, 0, 1)[None].astype(np.float32)})[0][0]
    boxes, scores, kinds = decoded(rows)
    kept = []
    for i in np.argsort(-scores):
        if scores[i] > LEAST and all(
                kinds[i] != kinds[j] or overlap(boxes[i], boxes[j]) < OVERLAP
                for j in kept):
            kept.append(i)
    return [[int(kinds[i]), float(scores[i]), *(boxes[i] / scale).tolist()]
            for i in sorted(kept, key=lambda i: boxes[i][0])]


def main(detector, out):
    session = onnxruntime.InferenceSession(
        detector, providers=["CPUExecutionProvider"])
    images = torch.from_numpy(np.stack(PICTURES)).permute(0, 3, 1, 2)
    save_file({"images": (images.float() / 255).contiguous()},
              out / "images.safetensors")
    (out / "peer.json").write_text(json.dumps(
        [seen(session, image) for image in PICTURES]))


main(sys.argv[1], pathlib.Path(sys.argv[2]))
