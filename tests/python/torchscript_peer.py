"""Exported networks for torchscript_reward_test.

    torchscript_peer.py OUT EXAMPLE

OUT/images.safetensors has "images" [B,3,H,W] in [0,1]; OUT/tokenizer is a CLIP
tokenizer. Writes modules OUT/<name>.pt, right ones and wrong ones, with
OUT/peer.safetensors: of right ones "<name>.value" and, where they have one,
"<name>.gradient" of the values' sum in the images; and OUT/example.pt by the
script EXAMPLE of the docs.
"""

import pathlib
import runpy
import sys
import warnings
from typing import List

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTokenizer

warnings.filterwarnings("ignore")
PROMPTS = ["a red circle", "two blue squares", ""]


class Network(torch.nn.Module):
    """Convolutions, a norm with statistics, an integer buffer."""

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.BatchNorm2d(8),
            torch.nn.GELU(), torch.nn.Conv2d(8, 8, 3), torch.nn.SiLU())
        self.head = torch.nn.Linear(8, 1)
        self.register_buffer("count", torch.tensor(7))
        self.body[1].running_mean.normal_()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(images).mean([2, 3])) + self.count


class Ids(torch.nn.Module):
    def forward(self, images: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        places = torch.arange(ids.size(1), device=ids.device) + 1
        return images.mean([1, 2, 3]) * (ids * places).sum(1)


class Words(torch.nn.Module):
    def forward(self, images: torch.Tensor,
                prompts: List[str]) -> torch.Tensor:
        lengths = [float(len(prompt)) for prompt in prompts]
        return images.mean([1, 2, 3]) * torch.tensor(
            lengths, device=images.device)


class Small(torch.nn.Module):
    """Takes one size alone, and says which."""
    picture_size: int

    def __init__(self):
        super().__init__()
        self.picture_size = 20

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.size(2) == 20, "20 pixels are needed"
        return images.mean([1, 2, 3])


class Wrong(torch.nn.Module):
    def __init__(self, kind: int):
        super().__init__()
        self.kind = kind

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        means = images.mean([1, 2, 3])
        if self.kind == 0:
            return torch.log(means)  # of a black picture
        if self.kind == 1:
            return torch.stack([means, means], 1)
        if self.kind == 2:
            return means.detach()
        if self.kind == 3:
            return (means > 0.2).long()
        if self.kind == 4:  # finite, but not its gradient at black
            return torch.sqrt(means)
        raise RuntimeError("a mistake of its own")


class Pair(torch.nn.Module):
    def forward(self, images: torch.Tensor):
        return images.mean([1, 2, 3]), images


class Number(torch.nn.Module):
    def forward(self, images: torch.Tensor, weight: float) -> torch.Tensor:
        return images.mean([1, 2, 3]) * weight


class Fixed(torch.nn.Module):
    """Gives so many scores, however many pictures there are."""

    def __init__(self, count: int):
        super().__init__()
        self.count = count

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.reshape(self.count, -1).mean(1)


class Held(torch.nn.Module):
    """Makes a constant on one device, whichever is asked for, as a trace does
    that saw it there."""

    def __init__(self, device: str):
        super().__init__()
        self.device = device

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean([1, 2, 3]) * torch.ones([1], device=self.device)


def main(out, example):
    torch.manual_seed(0)
    images = load_file(out / "images.safetensors")["images"]
    network = Network().eval()
    ids = CLIPTokenizer.from_pretrained(out / "tokenizer")(
        PROMPTS, padding="max_length", truncation=True,
        return_tensors="pt").input_ids
    right = {"traced": (torch.jit.trace(network, images), ()),
             "scripted": (torch.jit.script(network), ()),
             "frozen": (torch.jit.freeze(torch.jit.script(network)), ()),
             "ids": (torch.jit.script(Ids()), (ids,)),
             "words": (torch.jit.script(Words()), (PROMPTS,)),
             "small": (torch.jit.script(Small()), ())}
    tensors = {}
    for name, (module, beside) in right.items():
        module.save(out / f"{name}.pt")
        leaf = images.clone().requires_grad_()
        value = (network if name in ("traced", "scripted", "frozen")
                 else module)(leaf, *beside).flatten()
        value.sum().backward()
        tensors[f"{name}.value"] = value.detach()
        tensors[f"{name}.gradient"] = leaf.grad
    save_file(tensors, out / "peer.safetensors")
    for kind in range(6):
        torch.jit.script(Wrong(kind)).save(out / f"wrong{kind}.pt")
    for name, module in (("pair", Pair()), ("number", Number())):
        torch.jit.script(module).save(out / f"{name}.pt")
    for device in ("cpu", "cuda"):
        torch.jit.script(Held(device)).save(out / f"held_{device}.pt")
    for name, count in (("one", 1), ("two", 2)):
        torch.jit.trace(Fixed(count), images[:count]).save(out / f"{name}.pt")
    torch.save(network.state_dict(), out / "pickle.pt")
    sys.argv = [str(example), str(out / "example.pt")]
    runpy.run_path(str(example), run_name="__main__")


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
