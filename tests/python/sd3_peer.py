"""diffusers' SD3Transformer2DModel, for sd3_transformer_test and loading_test.

    sd3_peer.py models OUT     writes OUT/<case>/: a model as diffusers saves
                               it and peer.safetensors with arguments, the
                               velocity in float32 ("rough") and in double, the
                               weights of a loss (the sum of velocity times
                               weights) and the loss's gradients in double
    sd3_peer.py defaults OUT   writes the config's default values as JSON
"""

import sys

import quiet  # before the others
import torch
from diffusers import SD3Transformer2DModel

from network_peer import saved, write_defaults, write_models, write_results

# config, size of the latents in patches, and how it is saved.
CASES = {
    "patch_1": (dict(
        sample_size=6, patch_size=1, in_channels=4, out_channels=4,
        num_layers=1, attention_head_dim=16, num_attention_heads=1,
        pos_embed_max_size=9), (6, 6), {}),
    "more_out_than_in": (dict(
        sample_size=8, patch_size=2, in_channels=3, out_channels=5,
        num_layers=2, attention_head_dim=8, num_attention_heads=3,
        pos_embed_max_size=7, dual_attention_layers=(0,),
        qk_norm="rms_norm"), (4, 6), {}),
    "in_shards": (dict(
        sample_size=16, patch_size=4, in_channels=6, out_channels=2,
        num_layers=3, attention_head_dim=24, num_attention_heads=2,
        pos_embed_max_size=4, dual_attention_layers=(0, 1)),
        (4, 1), {"max_shard_size": "100KB"}),
    "last_block_dual_half": (dict(
        sample_size=4, patch_size=2, in_channels=2, out_channels=None,
        num_layers=1, attention_head_dim=8, num_attention_heads=4,
        pos_embed_max_size=3, dual_attention_layers=(0,)),
        (3, 2), {"type": torch.float16}),
    # The fields of SD3.5-medium's config.json, sizes made small.
    "medium_brain": (dict(
        sample_size=16, patch_size=2, in_channels=16, out_channels=16,
        num_layers=3, attention_head_dim=16, num_attention_heads=3,
        pos_embed_max_size=48, dual_attention_layers=tuple(range(13)),
        qk_norm="rms_norm"), (8, 12), {"type": torch.bfloat16}),
}


def random_case(dice):
    layers = dice.randint(1, 3)
    most = dice.randint(2, 9)
    patch = dice.choice([1, 2, 4])
    return dict(
        sample_size=patch * dice.randint(1, most), patch_size=patch,
        in_channels=dice.randint(1, 5), out_channels=dice.randint(1, 5),
        num_layers=layers, attention_head_dim=4 * dice.randint(1, 6),
        num_attention_heads=dice.randint(1, 4), pos_embed_max_size=most,
        dual_attention_layers=dice.choice([(), (0,), (0, 1)]),
        qk_norm=dice.choice([None, "rms_norm"]),
    ), (dice.randint(1, most), dice.randint(1, most)), {}


def velocity_of(model, given):
    return model(hidden_states=given["x"], timestep=given["timestep"],
                 encoder_hidden_states=given["tokens"],
                 pooled_projections=given["pooled"]).sample


def make(config, grid, saving, folder, seed):
    torch.manual_seed(seed)
    width = config["attention_head_dim"] * config["num_attention_heads"]
    model = SD3Transformer2DModel(
        caption_projection_dim=width, joint_attention_dim=10,
        pooled_projection_dim=12, **config)
    model = saved(model, saving, folder)
    patch = config["patch_size"]
    found = {
        "x": torch.randn(3, config["in_channels"], patch * grid[0],
                         patch * grid[1]),
        "timestep": 1000 * torch.rand(3),
        "tokens": torch.randn(3, 5, 10),
        "pooled": torch.randn(3, 12),
    }
    write_results(model, velocity_of, found, folder)


def models(out):
    write_models(make, CASES, random_case, 3, out)


def defaults(out):
    write_defaults(SD3Transformer2DModel, out)


if __name__ == "__main__":
    {"models": models, "defaults": defaults}[sys.argv[1]](*sys.argv[2:])
