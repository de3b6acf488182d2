"""What the peers of encoders share: random weights, outputs with a loss of
them, and the folders of cases."""

import pathlib
import random

import torch


def fill(model, generator):
    """Every parameter normal, but the weights of norms about one."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name and "weight" in name:
                parameter.copy_(1 + 0.2 * noise)
            else:
                parameter.copy_(0.3 * noise)


def weighed(outputs, generator):
    """Of outputs by name "output.<name>" and "weight.<name>", random weights of
    a loss: the sum of outputs times weights. Goes backward from it."""
    tensors = {}
    loss = 0
    for name, value in outputs.items():
        weight = torch.randn(value.shape, generator=generator)
        loss = loss + (value * weight).sum()
        tensors["output." + name] = value.detach().clone()
        tensors["weight." + name] = weight
    loss.backward()
    return tensors


def gradients(leaves):
    """Of (name, tensor) pairs, parameters or inputs: "grad.<name>"."""
    return {"grad." + name: leaf.grad.clone() for name, leaf in leaves}


def write_cases(out, make_case, cases, random_case, run):
    """OUT/<case>/ by make_case(folder, fields, generator) for all cases and
    four random ones; then run(OUT/ours)."""
    out = pathlib.Path(out)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    dice = random.Random(0)
    for name, fields in {**cases, **{f"random_{i}": random_case(dice)
                                     for i in range(4)}}.items():
        make_case(out / name, fields, generator)
    run(out / "ours")
