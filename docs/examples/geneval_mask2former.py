"""Exports a Mask2Former for the reward `geneval`, with its list of classes.

    pip install torch transformers scipy pillow
    python3 docs/examples/geneval_mask2former.py facebook/mask2former-swin-small-coco-instance 512 models/geneval
    reward: "geneval:models/geneval"

The first argument is a folder or a Hugging Face name of transformers' Mask2FormerForUniversalSegmentation, the
second the size of the pictures that are sampled, 512 or HEIGHTxWIDTH. It writes detector.pt and classes.txt.

These are Meta's weights of the architecture that GenEval's published evaluation uses, shown pictures as
transformers shows them (384 x 384): neither mmdetection's checkpoint nor its preprocessing. So results are
"geneval-like"; leave `published` false.
"""

import pathlib
import sys
import warnings
from typing import List, Tuple

import numpy
import torch
from transformers import AutoImageProcessor, Mask2FormerForUniversalSegmentation

LEAST_SCORE = 0.05  # what is below is left out: 100 masks of each picture would fill the memory
MASK_SIDE = 384  # to which transformers resizes masks before it cuts them at 0, of all models

# Names of COCO's classes in configs of transformers -> those of GenEval's object_names.txt.
SPELT = {"mouse": "computer mouse", "remote": "tv remote", "keyboard": "computer keyboard", "tvmonitor": "tv",
         "motorbike": "motorcycle", "aeroplane": "airplane", "sofa": "couch", "pottedplant": "potted plant",
         "diningtable": "dining table"}


class Network(torch.nn.Module):
    """Normalised pictures [B,3,h,w] -> logits of classes [B,Q,C+1] and of masks [B,Q,h/4,w/4]."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        out = self.model(pixel_values=pixels, return_dict=True)
        return out.class_queries_logits, out.masks_queries_logits


class Mask2Former(torch.nn.Module):
    picture_size: int
    height: int
    width: int
    side: int
    least: float

    def __init__(self, network, shown, black, white, size):
        super().__init__()
        self.network, self.picture_size = network, size
        self.height, self.width = shown
        self.side, self.least = MASK_SIDE, LEAST_SCORE
        self.register_buffer("black", black.view(3, 1, 1))
        self.register_buffer("range", (white - black).view(3, 1, 1))

    def pixels(self, images: torch.Tensor) -> torch.Tensor:
        """As the image processor makes them, of bytes."""
        images = torch.nn.functional.interpolate(images.to(torch.float32), [self.height, self.width],
                                                 mode="bilinear", antialias=True)
        return (images * 255).round().clamp(0, 255) / 255 * self.range + self.black

    def found(self, kinds: torch.Tensor, masks: torch.Tensor, height: int, width: int) -> Tuple[
            torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of one picture, by logits [Q,C+1] and [Q,h,w]: post_process_instance_segmentation of transformers,
        whose best Q pairs of a query and a class count, so that a query may have two classes."""
        chances = kinds.softmax(1)[:, :-1]
        sure, pairs = chances.flatten().topk(chances.size(0))
        likely = sure >= self.least  # their scores are no higher
        sure, pairs = sure[likely], pairs[likely]
        classes = pairs % chances.size(1)
        masks = masks[torch.div(pairs, chances.size(1), rounding_mode="floor")].unsqueeze(1)
        masks = torch.nn.functional.interpolate(masks, [self.side, self.side], mode="bilinear")
        inside = (masks > 0).to(torch.float32)
        area = inside.flatten(1).sum(1)
        scores = sure * ((masks.sigmoid() * inside).flatten(1).sum(1) / (area + 1e-6))
        inside = torch.nn.functional.interpolate(inside, [height, width], mode="nearest").squeeze(1)
        kept = (scores >= self.least) & (inside.flatten(1).amax(1) > 0)
        inside = inside[kept]
        columns, rows = inside.amax(1), inside.amax(2)
        boxes = torch.stack([columns.argmax(1), rows.argmax(1), width - columns.flip(1).argmax(1),
                             height - rows.flip(1).argmax(1)], 1)
        return boxes.to(torch.float32), scores[kept], classes[kept], inside

    def forward(self, images: torch.Tensor) -> Tuple[
            List[torch.Tensor], List[torch.Tensor], List[torch.Tensor], List[torch.Tensor]]:
        boxes: List[torch.Tensor] = []
        scores: List[torch.Tensor] = []
        classes: List[torch.Tensor] = []
        masks: List[torch.Tensor] = []
        kinds, shapes = self.network(self.pixels(images))
        for i in range(images.size(0)):
            found = self.found(kinds[i], shapes[i], images.size(2), images.size(3))
            boxes.append(found[0])
            scores.append(found[1])
            classes.append(found[2])
            masks.append(found[3])
        return boxes, scores, classes, masks


def on_any_device(module):
    """A trace makes its tensors on the device that it was made on: here, on that of the pictures. Weights become
    constants, which `type` leaves in float32."""
    module = torch.jit.freeze(module, ["picture_size"], optimize_numerics=False)
    images = list(module.graph.inputs())[1]
    there = module.graph.create("prim::device", [images])
    there.output().setType(torch._C.DeviceObjType.get())
    module.graph.prependNode(there)
    for constant in module.graph.findAllNodes("prim::Constant"):
        if constant.output().type().kind() == "DeviceObjType":
            constant.output().replaceAllUsesWith(there.output())
    module.graph.lint()
    return module


def wrapped(model, processor, height, width):
    """For pictures of this size; others are squashed to the shape that these are resized to."""
    if processor.do_resize and int(processor.resample) != 2:
        raise SystemExit(f"the image processor resizes by {processor.resample}; only bilinear (2) is known here")

    def shown(level):
        picture = numpy.full((height, width, 3), level, numpy.uint8)
        return processor(images=[picture], return_tensors="pt")["pixel_values"][0].to(torch.float32)

    black, white = shown(0), shown(255)
    network = Network(model).eval().requires_grad_(False)
    pixels = black + (white - black) * torch.rand(2, *black.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes that become constants, which is meant
        traced = torch.jit.trace(network, pixels, check_trace=False)
    return Mask2Former(traced, black.shape[1:], black[:, 0, 0], white[:, 0, 0], max(height, width)).eval()


def exported(model, processor, height, width):
    """A module to save()."""
    return on_any_device(torch.jit.script(wrapped(model, processor, height, width)))


def class_names(model):
    names = model.config.id2label
    return [SPELT.get(names[i], names[i]) for i in range(len(names))]


def main(name, size, folder):
    sides = [int(side) for side in size.split("x")]
    model = Mask2FormerForUniversalSegmentation.from_pretrained(name)
    processor = AutoImageProcessor.from_pretrained(name)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    exported(model, processor, sides[0], sides[-1]).save(str(folder / "detector.pt"))
    (folder / "classes.txt").write_text("\n".join(class_names(model)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
