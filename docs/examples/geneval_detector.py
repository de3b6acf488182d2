"""A detector for the reward geneval as a file, with its list of classes.

    python3 docs/examples/geneval_detector.py models/geneval
    reward: "geneval:models/geneval"

It finds plain rectangles before a grey ground, one in each of 4 x 4 cells:
enough to try a run with. docs/rewards.md says what forward returns; a real
detector is wrapped in the same way, its boxes brought back to the pixels of the
pictures that it was given. Needs torch.
"""

import pathlib
import sys
from typing import List, Tuple

import torch

CLASSES = ["bench", "vase", "clock"]  # wide, tall and square ones


class Rectangles(torch.nn.Module):
    picture_size: int  # pixels of the pictures that it is tried with
    cells: int

    def __init__(self):
        super().__init__()
        self.picture_size = 64
        self.cells = 4

    def forward(self, images: torch.Tensor) -> Tuple[
            List[torch.Tensor], List[torch.Tensor], List[torch.Tensor],
            List[torch.Tensor]]:
        """images [B,3,H,W] in [0,1] -> of each picture boxes [n,4], scores
        [n], classes [n] and, as this one knows them, masks [n,H,W]"""
        boxes: List[torch.Tensor] = []
        scores: List[torch.Tensor] = []
        classes: List[torch.Tensor] = []
        masks: List[torch.Tensor] = []
        height, width = images.size(2), images.size(3)
        high, wide = height // self.cells, width // self.cells
        for image in images:
            found: List[List[float]] = []
            sure: List[float] = []
            kinds: List[int] = []
            shown = [torch.zeros([0, height, width], device=image.device)]
            there = (image - 0.5).abs().amax(0) > 0.1
            for cell in range(self.cells * self.cells):
                top, left = cell // self.cells * high, cell % self.cells * wide
                bottom, right = top + high, left + wide
                mask = torch.zeros_like(there)
                mask[top:bottom, left:right] = there[top:bottom, left:right]
                rows = mask.any(1).nonzero().flatten()
                columns = mask.any(0).nonzero().flatten()
                if rows.size(0) == 0:
                    continue
                y, x = int(rows[0]), int(columns[0])
                h, w = int(rows[-1]) + 1 - y, int(columns[-1]) + 1 - x
                found.append([float(x), float(y), float(x + w), float(y + h)])
                sure.append(float(mask.sum()) / (h * w))
                kinds.append(0 if 2 * w > 3 * h else 1 if 2 * h > 3 * w else 2)
                shown.append(mask.unsqueeze(0).to(torch.float32))
            device = image.device
            boxes.append(torch.tensor(found, dtype=torch.float32,
                                      device=device).reshape(-1, 4))
            scores.append(torch.tensor(sure, dtype=torch.float32,
                                       device=device))
            classes.append(torch.tensor(kinds, dtype=torch.int64,
                                        device=device))
            masks.append(torch.cat(shown))
        return boxes, scores, classes, masks


folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
torch.jit.script(Rectangles().eval()).save(folder / "detector.pt")
(folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
