"""What the peers of networks share: a model with random weights as diffusers
saves it, with outputs and gradients of its own."""

import inspect
import json
import pathlib
import random

import torch
from safetensors.torch import save_file


def saved(model, saving, folder):
    """`model` with every parameter drawn anew, through a folder: saved in
    saving["type"] and with saving's other arguments, loaded in float32."""
    # Every parameter is something, also those that start as zeros or ones.
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, 0.5 if p.dim() == 1 else p[0].numel() ** -0.5)
    kind = saving.get("type", torch.float32)
    shards = {key: saving[key] for key in saving if key != "type"}
    model.to(kind).save_pretrained(folder, **shards)
    return type(model).from_pretrained(folder, torch_dtype=torch.float32)


def write_results(model, output_of, inputs, folder):
    """FOLDER/peer.safetensors: the inputs, the float32 output "rough", and in
    float64 "out", the "weight" of a loss and "grad.<input or parameter>"."""
    found = dict(inputs)
    with torch.no_grad():
        found["rough"] = output_of(model, found)
    model.double()
    leaves = {name: tensor.double().requires_grad_()
              for name, tensor in inputs.items() if name != "timestep"}
    found["out"] = output_of(model, {**found, **leaves})
    found["weight"] = torch.randn_like(found["out"])
    (found["out"] * found["weight"]).sum().backward()
    for name, leaf in [*leaves.items(), *model.named_parameters()]:
        found["grad." + name] = leaf.grad
    save_file({name: tensor.detach().contiguous().clone()
               for name, tensor in found.items()}, folder / "peer.safetensors")


def write_defaults(kind, out):
    """The default of every argument of a model class, as JSON."""
    parameters = inspect.signature(kind.__init__).parameters
    pathlib.Path(out).write_text(json.dumps({
        name: p.default for name, p in parameters.items() if name != "self"}))


def write_models(make, cases, random_case, seed, out):
    """OUT/<case>/ by make(*case, folder, seed) for all cases and six random
    ones."""
    dice = random.Random(seed)
    cases = {**cases, **{f"random_{i}": random_case(dice) for i in range(6)}}
    for number, (name, case) in enumerate(cases.items()):
        make(*case, pathlib.Path(out) / name, number)
