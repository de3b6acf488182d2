"""diffusers' AutoencoderKL and AutoencoderTiny, for their tests.

    autoencoder_peer.py kl OUT        writes OUT/<case>/: a model as diffusers
    autoencoder_peer.py tiny OUT      saves it and peer.safetensors with latents
                                      and pictures, what they decode and encode
                                      to in float32 ("rough", "encoded"),
                                      "half" in bfloat16, "out" in double with
                                      the "weight" of a loss (the sum of output
                                      times weights) and its gradient
                                      ("grad.latents"), and larger latents and
                                      what they decode to in tiles ("wide",
                                      "tiled"); and OUT/defaults.json, the
                                      config's default values
    autoencoder_peer.py shapes OUT CONFIG...
                                      names and shapes of the parameters of each
                                      AutoencoderKL config.json, as a list
"""

import copy
import json
import pathlib
import sys

import quiet  # before the others
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from safetensors.torch import load_file, save_file

from network_peer import saved, write_defaults

torch.set_num_threads(1)

WEIGHTS = "diffusion_pytorch_model.safetensors"
# Names of 2022, as diffusers still reads them.
OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def kl_config(channels, **more):
    return dict(
        block_out_channels=channels, norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels), **more)


# config, sizes of the latents and of those decoded in tiles, how it is saved.
KL_CASES = {
    "two_levels": (kl_config((16, 32), sample_size=16), (6, 5), (13, 19), {}),
    # As Stable Diffusion 3: no quant convolutions, a shift.
    "three_levels": (kl_config(
        (16, 24, 32), layers_per_block=2, latent_channels=16, sample_size=32,
        scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=False,
        use_post_quant_conv=False), (4, 6), (9, 14), {}),
    "no_attention": (kl_config(
        (16,), latent_channels=3, sample_size=8, use_quant_conv=False,
        mid_block_add_attention=False, force_upcast=False), (5, 7), (15, 6),
        {}),
    "one_tile_too_many": (kl_config((8, 8), sample_size=16), (8, 8), (7, 7),
                          {}),
    "in_shards_brain": (kl_config((16, 16, 32), sample_size=32), (6, 4),
                        (6, 20),
                        {"type": torch.bfloat16, "max_shard_size": "100KB"}),
    "old_names": (kl_config((16, 24), sample_size=16), (6, 6), (10, 9), {}),
}


def tiny_config(width, encoder, decoder, **more):
    return dict(
        encoder_block_out_channels=(width,) * len(encoder),
        decoder_block_out_channels=(width,) * len(decoder),
        num_encoder_blocks=encoder, num_decoder_blocks=decoder, **more)


TINY_CASES = {
    # As TAESD: the only depth that diffusers' tiles are right for.
    "four_levels": (tiny_config(8, (1, 3, 3, 3), (3, 3, 3, 1)), (3, 4),
                    (60, 68), {}),
    "sixteen_channels_half": (tiny_config(
        16, (1, 2, 1), (2, 1, 3), latent_channels=16, scaling_factor=1.5,
        shift_factor=0.25), (6, 4), None, {"type": torch.float16}),
    "one_level": (tiny_config(8, (2,), (1,)), (5, 7), None, {}),
}


def rename(folder):
    tensors = {}
    for name, tensor in load_file(folder / WEIGHTS).items():
        for new, old in OLD.items():
            if "attentions" in name:
                name = name.replace(f".{new}.", f".{old}.")
        tensors[name] = tensor
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})


def encoded(model, pictures):
    out = model.encode(pictures)
    return out.latent_dist.parameters if "latent_dist" in out else out.latents


def write_results(model, found, folder):
    with torch.no_grad():
        found["rough"] = model.decode(found["latents"]).sample
        found["encoded"] = encoded(model, found["pictures"])
        half = copy.deepcopy(model).bfloat16()
        found["half"] = half.decode(found["latents"].bfloat16()).sample.float()
        if "wide" in found:
            # diffusers' own limit, but always: decode() asks for it first.
            tiles = getattr(model, "tiled_decode", None)
            found["tiled"] = (tiles(found["wide"]).sample if tiles
                              else model._tiled_decode(found["wide"]))
    model.double()
    latents = found["latents"].double().requires_grad_()
    found["out"] = model.decode(latents).sample
    found["weight"] = torch.randn_like(found["out"])
    (found["out"] * found["weight"]).sum().backward()
    found["grad.latents"] = latents.grad
    save_file({name: tensor.detach().contiguous().clone()
               for name, tensor in found.items()}, folder / "peer.safetensors")


def make(kind, case, side, wide, saving, folder, seed):
    torch.manual_seed(seed)
    model = saved(kind(**case).eval(), saving, folder).eval()
    if folder.name == "old_names":
        rename(folder)
        model = kind.from_pretrained(folder).eval()
    channels = model.config.latent_channels
    pictures = [8 * 4 * i for i in (1, 2)]
    found = {"latents": torch.randn(2, channels, *side),
             "pictures": torch.rand(2, 3, *pictures) * 2 - 1}
    if wide:
        found["wide"] = torch.randn(2, channels, *wide)
    write_results(model, found, folder)


def write_all(kind, cases, out):
    for number, (name, case) in enumerate(cases.items()):
        make(kind, *case, pathlib.Path(out) / name, number)
    write_defaults(kind, pathlib.Path(out) / "defaults.json")


def kl(out):
    write_all(AutoencoderKL, KL_CASES, out)


def tiny(out):
    write_all(AutoencoderTiny, TINY_CASES, out)


def shapes(out, *configs):
    found = []
    for config in configs:
        with torch.device("meta"):
            model = AutoencoderKL.from_config(
                json.loads(pathlib.Path(config).read_text()))
        found.append({name: list(tensor.shape)
                      for name, tensor in model.state_dict().items()})
    pathlib.Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    {f.__name__: f for f in (kl, tiny, shapes)}[sys.argv[1]](*sys.argv[2:])
