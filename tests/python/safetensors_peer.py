"""The safetensors package of PyPI as the other side of a round trip.

make OUT        writes one tensor of each type, a scalar and an empty tensor
rewrite IN OUT  reads a file and writes the same contents again
"""

import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def make(out):
    ramp = torch.arange(6)
    tensors = {
        "double": ramp.double().reshape(2, 3) / 3,
        "float": ramp.float().reshape(3, 2) / 3,
        "half": ramp.half() / 3,
        "brain": ramp.bfloat16() / 3,
        "long": ramp - 3,
        "int": (ramp - 3).int(),
        "short": (ramp - 3).short(),
        "char": (ramp - 3).char(),
        "byte": (ramp + 250).byte(),
        "bool": ramp % 2 == 1,
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
        "zwölf \"12\"": torch.ones(1, 1, 1, 1),
    }
    save_file(tensors, out, metadata={"format": "pt"})


def rewrite(source, out):
    with safe_open(source, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        save_file(tensors, out, metadata=file.metadata())


if __name__ == "__main__":
    {"make": make, "rewrite": rewrite}[sys.argv[1]](*sys.argv[2:])
