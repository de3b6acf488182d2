"""The numpy shapes world as the other side of the C++ one's tests.

captions OUT  writes all captions
renders OUT   writes lists of objects and their pictures
verdicts OUT  writes pictures of many kinds, captions and what the checker says

Captions are in the metadata of the file, one a line.
"""

import itertools
import sys

import numpy as np
from safetensors.numpy import save_file

import shapes_world as world

MAX_OBJECTS = 4


def spec(task, s, c=(None, None), n=1, rel=None):
    return {"task": task, "s": list(s), "c": list(c), "n": n, "rel": rel}


def all_specs():
    pairs = list(itertools.permutations(range(4), 2))
    yield from (spec(0, [s]) for s in range(4))
    yield from (spec(1, p) for p in pairs)
    yield from (spec(2, [s], n=n) for s in range(4) for n in (2, 3, 4))
    yield from (spec(3, [s], [c]) for s in range(4) for c in range(8))
    yield from (spec(4, p, rel=r) for p in pairs for r in range(4))
    yield from (
        spec(5, p, c)
        for p in pairs
        for c in itertools.permutations(range(8), 2)
    )


def captions(out):
    text = "\n".join(world.spec_caption(s) for s in all_specs())
    save_file({"none": np.zeros(0, np.float32)}, out, {"captions": text})


def random_objects(rng):
    """as captions place them, or anywhere: overlapping, across the border"""
    n = int(rng.integers(1, MAX_OBJECTS + 1))
    if rng.random() < 0.5:
        places = world.place(n, rng)
    else:
        xy, r = rng.uniform(-3, 35, (n, 2)), rng.uniform(1, 14, n)
        places = [(xy[i, 0], xy[i, 1], r[i]) for i in range(n)]
    return [(int(rng.integers(4)), int(rng.integers(8)), *p) for p in places]


def renders(out, count=400):
    rng = np.random.default_rng(1)
    objects = np.full((count, MAX_OBJECTS, 5), -1.0)
    images = np.empty((count, 3, 32, 32), np.float32)
    for i in range(count):
        drawn = random_objects(rng)
        objects[i, : len(drawn)] = drawn
        images[i] = world.render(drawn).transpose(2, 0, 1)
    save_file({"objects": objects, "images": images}, out)


def blur(img, radius):
    """box blur; an odd width keeps pixels off the half-way threshold"""
    width = range(-radius, radius + 1)
    return np.mean(
        [np.roll(img, (dy, dx), (1, 2)) for dy in width for dx in width], 0
    )


def blocks(rng, size, scale):
    coarse = rng.normal(0, scale, (3, 32 // size, 32 // size))
    return coarse.repeat(size, 1).repeat(size, 2)


def pictures(sp, other, rng):
    """one picture of each kind; sp and other are specs"""

    def draw(s):
        return world.draw_spec(s, rng).transpose(2, 0, 1).astype(np.float32)

    true, wrong = draw(sp), draw(other)
    mixture = 0.63 * true + 0.37 * wrong
    noise = rng.normal(0, 1, true.shape)
    yield true
    yield wrong
    yield draw(world.sloppy(sp, rng))
    yield true + 0.1 * noise
    yield true + 0.3 * noise
    yield blur(true, 1)
    yield blur(true + 0.3 * noise, 2)
    yield mixture
    yield np.where(blur(mixture, 1) > 0.2, 0.9, -0.7)
    yield np.full_like(true, rng.uniform(-1, 1))
    yield 1.9 * true + 0.4 * noise
    yield np.minimum(true, wrong)
    yield true + blocks(rng, 4, 0.2)
    yield blocks(rng, 4, 1)
    yield noise
    yield np.where(rng.random((32, 32)) < 0.4, wrong, true)


def verdicts(out, specs=160):
    rng = np.random.default_rng(2)
    images, texts, scores, found = [], [], [], []
    for i in range(specs):
        sp, other = world.rand_spec(rng, i % 6), world.rand_spec(rng)
        for img in pictures(sp, other, rng):
            img = img.astype(np.float32)
            images.append(img)
            texts.append(world.spec_caption(sp))
            scores.append(world.score(img, sp))
            found.append(world.detect(img))
    detections = [d for list_ in found for d in list_]
    tensors = {
        "images": np.stack(images),
        "scores": np.array(scores, np.float64),
        "found": np.array([len(list_) for list_ in found], np.int64),
        "detections": np.array(detections, np.float64).reshape(-1, 5),
    }
    save_file(tensors, out, {"captions": "\n".join(texts)})


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"captions": captions, "renders": renders, "verdicts": verdicts}[command](
        *arguments
    )
