"""Colours of objects as GenEval tells them by CLIP, for geneval_reward_test.

    geneval_clip_peer.py OUT

OUT/clip is a CLIP with its tokenizer/; OUT/inputs.safetensors has "image"
[3,H,W] in [0,1], "mask" [H,W] and "boxes" [n,4]; OUT/names.json a name for
each box. Writes OUT/peer.safetensors: "cosines" [n,10] of parts on grey
outside of the mask, and "plain" of the same without a mask.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPModel, CLIPTokenizer

from clip_reward_peer import Judge, unit
from geneval_rules_peer import COLOURS


def classifier(judge, name):
    rows = [unit(judge.text([f"a photo of a {colour} {name}",
                             f"a photo of a {colour}-colored {name}",
                             f"a photo of a {colour} object"]).mean(0))
            for colour in COLOURS]
    return torch.stack(rows)


def cosines(judge, image, boxes, names):
    rows = []
    for box, name in zip(boxes.tolist(), names):
        left, top, right, bottom = (round(side) for side in box)
        part = image[None, :, top:bottom, left:right]
        rows.append(classifier(judge, name) @ judge.picture(part, False)[0])
    return torch.stack(rows)


@torch.no_grad()
def main(out):
    inputs = load_file(out / "inputs.safetensors")
    names = json.loads((out / "names.json").read_text())
    judge = Judge(CLIPModel.from_pretrained(out / "clip").eval(),
                  CLIPTokenizer.from_pretrained(out / "clip/tokenizer"), None)
    image, boxes = inputs["image"], inputs["boxes"]
    grey = torch.where(inputs["mask"] > 0.5, image, torch.tensor(0x99 / 255))
    save_file({"cosines": cosines(judge, grey, boxes, names),
               "plain": cosines(judge, image, boxes, names)},
              out / "peer.safetensors")


main(pathlib.Path(sys.argv[1]))
