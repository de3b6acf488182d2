"""The shipped scorer of shapes-soft as a file: a judge that reads the prompts.

    python3 docs/examples/shapes_soft.py models/shapes-scorer shapes-soft.pt
    reward: "torchscript:shapes-soft.pt"

Its scores and gradients are those of `reward: shapes-soft`, so it shows what an
export costs and what it has to keep. Needs torch and safetensors.
"""

import itertools
import json
import pathlib
import sys
from typing import Dict, List

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import pixel_unshuffle, silu

SHAPES = ["circle", "square", "triangle", "cross"]
COLORS = ["red", "green", "blue", "yellow", "purple", "orange", "cyan", "black"]
RELATIONS = ["left of", "right of", "above", "below"]
COUNTS = {2: "two", 3: "three", 4: "four"}

# What an object may be to the network: beside these, none.
KINDS = (len(SHAPES) + 1, len(COLORS) + 1)
WORDS = 38  # one-hot; see numbers_of
WANTED = 2 * KINDS[0] * KINDS[1]  # which kinds each of two phrases means
NEEDED = WORDS + WANTED  # how many: in all, of both phrases; then a direction
NUMBERS = NEEDED + 3 + 2


def numbers_of(category, shapes, colors=(), count=1, relation=None):
    """What a caption says, in numbers [NUMBERS]."""
    out = torch.zeros(NUMBERS)
    objects = count if category == 2 else len(shapes)
    out[category] = 1
    out[30 + objects - 1] = 1
    wanted = out[WORDS:NEEDED].view(2, *KINDS)
    for i, shape in enumerate(shapes):
        out[6 + 4 * i + shape] = 1
        if colors:
            out[14 + 8 * i + colors[i]] = 1
            wanted[i, shape, colors[i]] = 1
        else:
            wanted[i, shape] = 1
        out[NEEDED + 1 + i] = count
    out[NEEDED] = objects
    if relation is not None:
        out[34 + relation] = 1
        out[NEEDED + 3 + relation // 2] = 1 if relation % 2 else -1
    return out


def captions():
    """Every caption of the shapes world with its numbers."""
    for s, shape in enumerate(SHAPES):
        plural = shape + ("es" if shape == "cross" else "s")
        yield f"a {shape}", numbers_of(0, [s])
        for n, count in COUNTS.items():
            yield f"{count} {plural}", numbers_of(2, [s], count=n)
        for c, color in enumerate(COLORS):
            yield f"a {color} {shape}", numbers_of(3, [s], [c])
    for pair in itertools.permutations(range(len(SHAPES)), 2):
        one, other = (SHAPES[s] for s in pair)
        yield f"a {one} and a {other}", numbers_of(1, pair)
        for r, relation in enumerate(RELATIONS):
            yield f"a {one} {relation} a {other}", numbers_of(
                4, pair, relation=r)
        for colors in itertools.permutations(range(len(COLORS)), 2):
            c, d = (COLORS[color] for color in colors)
            yield f"a {c} {one} and a {d} {other}", numbers_of(5, pair, colors)


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(8, width), nn.GroupNorm(8, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.conv1(silu(self.norm1(x)))
        return x + self.conv2(silu(self.norm2(inner)))


class ShapesSoft(nn.Module):
    """src/rsm/worlds/shapes_scorer.h says what the parts are."""
    picture_size: int  # the check before a run asks with pictures of this size
    rows: Dict[str, int]
    parts: List[int]

    def __init__(self, stem: int, width: int, blocks: int, judge: int):
        super().__init__()
        self.picture_size = 32
        self.parts = [WORDS, WANTED, 3, 2]
        self.stem = nn.Conv2d(14, stem, 3, padding=1)
        self.stem_norm = nn.GroupNorm(8, stem)
        self.down = nn.Conv2d(stem, width, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList([Block(width) for _ in range(blocks)])
        self.norm = nn.GroupNorm(8, width)
        self.cell = nn.Conv2d(width, 1 + sum(KINDS) + 2, 1)
        self.judge = nn.ModuleList([nn.Linear(9 + WORDS, judge),
                                    nn.Linear(judge, judge),
                                    nn.Linear(judge, 1)])
        # Other prompts are about nothing: the check asks with words of its own.
        known = dict(captions())
        self.rows = {text: row for row, text in enumerate(known)}
        self.register_buffer("captions", torch.stack(
            [*known.values(), torch.zeros(NUMBERS)]), persistent=True)

    def middles(self, side: int, like: torch.Tensor) -> torch.Tensor:
        return (torch.arange(side, device=like.device).to(like) + 0.5) / side

    def cells(self, images: torch.Tensor) -> torch.Tensor:
        x = pixel_unshuffle(images.clamp(0, 1) * 2 - 1, 2)
        side = x.size(3)
        middle = self.middles(side, x) * 2 - 1
        plane = [x.size(0), 1, side, side]
        x = torch.cat([x, middle.view(1, 1, 1, -1).expand(plane),
                       middle.view(1, 1, -1, 1).expand(plane)], 1)
        x = self.down(silu(self.stem_norm(self.stem(x))))
        for block in self.blocks:
            x = block(x)
        return self.cell(silu(self.norm(x)))

    def compared(self, cells: torch.Tensor,
                 asked: torch.Tensor) -> torch.Tensor:
        """Counts and places of what lies there with those asked for, words."""
        words, wanted, needed, way_asked = asked.split(self.parts, 1)
        there, shape, color, x, y = cells.split([1, 5, 9, 1, 1], 1)
        side = cells.size(3)
        middle = self.middles(side, cells)
        x = middle.view(1, 1, 1, -1) + x / side
        y = middle.view(1, 1, -1, 1) + y / side
        shapes = torch.sigmoid(there) * torch.softmax(shape, 1)
        weighed = torch.cat([shapes, shapes * x, shapes * y], 1).flatten(2)
        colors = torch.softmax(color, 1).flatten(2).transpose(1, 2)
        sums = torch.bmm(weighed, colors).view(-1, 3, 45)  # of every kind
        found = torch.bmm(wanted.reshape(-1, 2, 45), sums.transpose(1, 2))
        number = found[:, :, 0]
        place = found[:, :, 1:] / (number.unsqueeze(2) + 0.05)
        everything = sums[:, 0].sum(1)
        missing = number - needed[:, 1:]
        extra = everything - needed[:, 0]
        way = place[:, 0] - place[:, 1]
        ahead = 4 * (way * way_asked).sum(1)
        across = (4 * ((way * way_asked.flip(1)).square().sum(1) + 1e-6).sqrt()
                  * way_asked.abs().sum(1))
        compared = torch.stack(
            [extra, missing[:, 0], missing[:, 1], ahead, across, ahead - across,
             everything - number.sum(1), extra.square(),
             missing.square().sum(1)], 1)
        return torch.cat([compared, words], 1)

    def forward(self, images: torch.Tensor,
                prompts: List[str]) -> torch.Tensor:
        """images [B,3,32,32] in [0,1], a caption each -> chances [B]"""
        rows = [self.rows[text] if text in self.rows else len(self.rows)
                for text in prompts]
        asked = self.captions[torch.tensor(rows, device=images.device)]
        x = self.compared(self.cells(images), asked)
        for i, layer in enumerate(self.judge):
            x = layer(x if i == 0 else silu(x))
        return torch.sigmoid(x).squeeze(1)


def main(folder, out):
    config = json.loads((folder / "config.json").read_text())
    network = ShapesSoft(*(config[key]
                           for key in ("stem", "width", "blocks", "judge")))
    weights = load_file(folder / "model.safetensors")
    weights = {name: tensor.float() for name, tensor in weights.items()}
    weights["captions"] = network.captions
    network.load_state_dict(weights)
    torch.jit.script(network.eval()).save(out)


main(pathlib.Path(sys.argv[1]), sys.argv[2])
