"""NIQE and BRISQUE in numpy, for quality_test.

    quality_peer.py OUT [ASSETS]

Writes OUT/peer.safetensors: pictures "image.<i>" [3,H,W] in [0,1], exact bytes,
of each "niqe.<i>" [N,36] and "brisque.<i>" [36], the features as the releases
define them; and where ASSETS/iqa is there "niqe_score.<i>" and
"brisque_score.<i>". Fits go over the whole grid of shapes, pixels are averaged
by loops over the window, bicubic weights are written out: no code is shared.
"""

import math
import pathlib
import re
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

SHAPES = np.arange(0.2, 10.0001, 0.001)
RATIO = np.array([math.exp(2 * math.lgamma(2 / a) - math.lgamma(1 / a)
                           - math.lgamma(3 / a)) for a in SHAPES])
MOVES = [(0, 1), (1, 0), (1, 1), (1, -1)]


def fit(x):
    """Shape, root mean squares below and above 0."""
    x = x.ravel()
    left = math.sqrt(np.mean(x[x < 0] ** 2))
    right = math.sqrt(np.mean(x[x > 0] ** 2))
    g = left / right
    r = np.mean(np.abs(x)) ** 2 / np.mean(x ** 2)
    r *= (g ** 3 + 1) * (g + 1) / (g ** 2 + 1) ** 2
    return SHAPES[np.argmin((RATIO - r) ** 2)], left, right


def normalised(x, constant):
    window = np.array([math.exp(-0.5 * (i / (7 / 6)) ** 2) for i in range(-3, 4)])
    window = np.outer(window, window) / window.sum() ** 2
    wide = np.pad(x, 3, mode="edge")
    height, width = x.shape
    mean, square = np.zeros_like(x), np.zeros_like(x)
    for i in range(7):
        for j in range(7):
            part = wide[i:i + height, j:j + width]
            mean += window[i, j] * part
            square += window[i, j] * part ** 2
    return (x - mean) / (np.sqrt(np.abs(square - mean ** 2)) + constant)


def grey(picture):
    red, green, blue = np.rint(picture * 255)
    return np.rint(0.299 * red + 0.587 * green + 0.114 * blue)


def factor(shape):
    return math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))


def mean(shape, left, right):
    return ((right - left) * factor(shape)
            * math.gamma(2 / shape) / math.gamma(1 / shape))


def niqe_block(x):
    shape, left, right = fit(x)
    out = [shape, (left + right) / 2 * factor(shape)]
    for move in MOVES:
        shape, left, right = fit(x * np.roll(x, move, (0, 1)))
        out += [shape, mean(shape, left, right), left * factor(shape),
                right * factor(shape)]
    return out


def niqe(picture):
    x = grey(picture)
    height, width = (side // 96 * 96 for side in x.shape)
    x = x[:height, :width]
    half = np.asarray(Image.fromarray(x.astype(np.float32), mode="F").resize(
        (width // 2, height // 2), Image.BICUBIC), np.float64)
    scales = []
    for image, side in ((x, 96), (half, 48)):
        image = normalised(image, 1)
        scales.append([niqe_block(image[i:i + side, j:j + side])
                       for i in range(0, image.shape[0], side)
                       for j in range(0, image.shape[1], side)])
    return np.hstack([np.array(scale) for scale in scales])


def cubic(t, a=-0.75):
    t = abs(t)
    if t <= 1:
        return (a + 2) * t ** 3 - (a + 3) * t ** 2 + 1
    return a * (t ** 3 - 5 * t ** 2 + 8 * t - 4) if t < 2 else 0


def halved(x):
    """OpenCV's INTER_CUBIC to half the size, rounded down."""
    def matrix(size):
        out = np.zeros((size // 2, size))
        for i in range(size // 2):
            place = (i + 0.5) * size / (size // 2) - 0.5
            first = math.floor(place)
            for k in range(first - 1, first + 3):
                out[i, min(max(k, 0), size - 1)] += cubic(place - k)
        return out
    return matrix(x.shape[0]) @ x @ matrix(x.shape[1]).T


def brisque_scale(x):
    x = normalised(x, 1 / 255)
    shape, left, right = fit(x)
    out = [shape, (left ** 2 + right ** 2) / 2]
    height, width = x.shape
    for down, to_right in ((0, 1), (1, 0), (1, 1), (-1, 1)):
        other = np.zeros_like(x)
        for i in range(height):
            if 0 <= i + down < height:
                other[i, :width - to_right] = x[i + down, to_right:]
        shape, left, right = fit(x * other)
        out += [shape, mean(shape, left, right), left ** 2, right ** 2]
    return out


def brisque(picture):
    x = grey(picture) / 255
    return np.array(brisque_scale(x) + brisque_scale(halved(x)))


def pictures(generator):
    """Smooth ones with noise of several strengths, square and not."""
    for height, width, noise in ((192, 192, 0.02), (200, 301, 0.1),
                                 (97, 240, 0.005)):
        coarse = torch.rand(1, 3, 12, 15, generator=generator)
        smooth = torch.nn.functional.interpolate(
            coarse, (height, width), mode="bicubic")[0]
        rough = torch.randn(3, height, width, generator=generator)
        yield ((0.1 + 0.8 * smooth + noise * rough).clamp(0, 1) * 255).round() / 255


def niqe_score(features, assets):
    data = (assets / "niqe_image_params.mat").read_bytes()

    def matrix(name):  # behind its name, a tag of 8 bytes and its numbers
        place = (data.index(name) + len(name) + 7) // 8 * 8
        size = int.from_bytes(data[place + 4:place + 8], "little")
        return np.frombuffer(data, "<f8", size // 8, place + 8)

    away = features.mean(0) - matrix(b"pop_mu")
    spread = (matrix(b"pop_cov").reshape(36, 36) + np.cov(features.T)) / 2
    return math.sqrt(away @ np.linalg.pinv(spread) @ away)


def numbers(text):
    return np.array([float(n) for n in re.findall(r"[-+0-9.]+(?:e[-+]?\d+)?", text)])


def brisque_score(features, assets):
    text = (assets / "brisque_model_live.yml").read_text()
    lists = [numbers(part) for part in re.findall(r"\[([^\]]*)\]", text)]
    vectors = np.array([v for v in lists if len(v) == 36])
    weights = next(v for v in lists if len(v) == len(vectors))
    gamma = float(re.search(r"gamma: (\S+)", text)[1])
    rho = float(re.search(r"rho: (\S+)", text)[1])
    ends = numbers(re.search(r"\[([^\]]*)\]", (
        assets / "brisque_range_live.yml").read_text())[1]).reshape(2, 36)
    x = 2 * (features - ends[0]) / (ends[1] - ends[0]) - 1
    value = weights @ np.exp(-gamma * ((vectors - x) ** 2).sum(1)) - rho
    return min(max(value, 0), 100)


def main(out, assets=None):
    peer = {}
    for i, picture in enumerate(pictures(torch.Generator().manual_seed(4))):
        peer[f"image.{i}"] = picture.contiguous()
        found = {"niqe": niqe(picture.double().numpy()),
                 "brisque": brisque(picture.double().numpy())}
        for name, features in found.items():
            peer[f"{name}.{i}"] = torch.from_numpy(features)
        if assets:
            iqa = pathlib.Path(assets) / "iqa"
            peer[f"niqe_score.{i}"] = torch.tensor(
                niqe_score(found["niqe"], iqa), dtype=torch.float64)
            peer[f"brisque_score.{i}"] = torch.tensor(
                brisque_score(found["brisque"], iqa), dtype=torch.float64)
    save_file(peer, pathlib.Path(out) / "peer.safetensors")


main(*sys.argv[1:])
