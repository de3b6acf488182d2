"""diffusers' UNet2DConditionModel, for unet_test.

    unet_peer.py models OUT           writes OUT/<case>/: a model as diffusers
                                      saves it and peer.safetensors with
                                      arguments, the output in float32
                                      ("rough") and in double, the weights of a
                                      loss (the sum of output times weights)
                                      and the loss's gradients in double
    unet_peer.py defaults OUT         the config's default values as JSON
    unet_peer.py shapes CONFIG OUT    names and shapes of the parameters of a
                                      config.json's model, as JSON
    unet_peer.py opens FOLDER         opens the model in FOLDER; its output for
                                      FOLDER/in.safetensors goes to
                                      FOLDER/out.safetensors
    unet_peer.py lora FOLDER          the same with an adapter of PEFT, which
                                      FOLDER/lora.json (rank, alpha, targets)
                                      and FOLDER/lora.safetensors describe
"""

import json
import pathlib
import sys

import quiet  # before the others
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from network_peer import saved, write_defaults, write_models, write_results

torch.set_num_threads(1)

DOWN = ("DownBlock2D", "CrossAttnDownBlock2D")
UP = ("UpBlock2D", "CrossAttnUpBlock2D")


def config(channels, down, up, **more):
    """`down` and `up`: for each block whether it attends to the text."""
    return dict(
        block_out_channels=channels, norm_num_groups=8, cross_attention_dim=10,
        down_block_types=tuple(DOWN[i] for i in down),
        up_block_types=tuple(UP[i] for i in up), **more)


# config, size of the latents, and how it is saved.
CASES = {
    # As Stable Diffusion 1.5: the last block of each way is another.
    "three_levels": (config(
        (16, 32, 48), (1, 1, 0), (0, 1, 1), layers_per_block=2,
        attention_head_dim=8, sample_size=8), (16, 16), {}),
    # Heads of width 32 // 3: attention is narrower than its level.
    "odd_heads": (config(
        (32, 64), (1, 0), (0, 1), layers_per_block=1, attention_head_dim=3),
        (8, 12), {}),
    "heads_by_level": (config(
        (24, 32, 40), (1, 1, 1), (1, 1, 1), layers_per_block=1,
        attention_head_dim=(3, 1, 5)), (8, 12), {}),
    "padded_far_ends": (config(
        (16, 32), (0, 1), (1, 0), layers_per_block=1, attention_head_dim=4,
        downsample_padding=0), (8, 12), {}),
    # Sides that no two levels halve: the way up takes the skips' sizes.
    "odd_sides": (config(
        (16, 16, 32), (1, 1, 0), (0, 1, 1), layers_per_block=2,
        attention_head_dim=2), (10, 7), {}),
    "every_number_else": (config(
        (32, 48), (1, 1), (0, 1), layers_per_block=2, attention_head_dim=4,
        in_channels=9, out_channels=5, center_input_sample=True,
        flip_sin_to_cos=False, freq_shift=1, mid_block_scale_factor=1.5,
        norm_eps=1e-2), (6, 4), {}),
    "one_level_half": (config(
        (16,), (1,), (0,), layers_per_block=1, attention_head_dim=2), (5, 3),
        {"type": torch.float16}),
    "in_shards_brain": (config(
        (32, 64), (1, 1), (1, 1), layers_per_block=1, attention_head_dim=8),
        (16, 16), {"type": torch.bfloat16, "max_shard_size": "200KB"}),
}


def random_case(dice):
    levels = dice.randint(2, 3)
    channels = tuple(8 * dice.randint(2, 6) for _ in range(levels))
    return config(
        channels, [dice.randint(0, 1) for _ in channels],
        [dice.randint(0, 1) for _ in channels],
        layers_per_block=dice.randint(1, 2),
        attention_head_dim=tuple(dice.randint(1, 5) for _ in channels),
        downsample_padding=dice.randint(0, 1),
        in_channels=dice.randint(1, 5), out_channels=dice.randint(1, 5),
        mid_block_scale_factor=dice.choice([1, 0.5]),
        norm_eps=dice.choice([1e-5, 1e-6]),
    ), dice.choice([(16, 16), (8, 12), (9, 6)]), {}


def output_of(model, given):
    return model(given["x"], given["timestep"],
                 encoder_hidden_states=given["tokens"]).sample


def make(case, side, saving, folder, seed):
    torch.manual_seed(seed)
    model = UNet2DConditionModel(**case)
    model = saved(model, saving, folder)
    found = {
        "x": torch.randn(3, model.config.in_channels, *side),
        "timestep": torch.tensor([981, 1, 1000 * torch.rand(())]),
        "tokens": torch.randn(3, 5, 10),
    }
    write_results(model, output_of, found, folder)


def models(out):
    write_models(make, CASES, random_case, 5, out)


def defaults(out):
    write_defaults(UNet2DConditionModel, out)


def shapes(config_file, out):
    with torch.device("meta"):
        model = UNet2DConditionModel.from_config(
            json.loads(pathlib.Path(config_file).read_text()))
    pathlib.Path(out).write_text(json.dumps({
        name: list(tensor.shape)
        for name, tensor in model.state_dict().items()}))


def open_model(folder):
    model, info = UNet2DConditionModel.from_pretrained(
        folder, output_loading_info=True)
    wrong = {key: list(names) for key, names in info.items() if names}
    if wrong:
        sys.exit(f"[unet_peer] {folder} does not fit: {wrong}")
    return model


def write_output(model, folder):
    given = load_file(folder + "/in.safetensors")
    with torch.no_grad():
        save_file({"out": output_of(model, given).contiguous()},
                  folder + "/out.safetensors")


def opens(folder):
    write_output(open_model(folder), folder)


def lora(folder):
    from peft import LoraConfig
    from peft.utils import set_peft_model_state_dict
    asked = json.loads(pathlib.Path(folder, "lora.json").read_text())
    model = open_model(folder)
    model.add_adapter(LoraConfig(
        r=asked["rank"], lora_alpha=asked["alpha"],
        target_modules=asked["targets"]))
    state = load_file(folder + "/lora.safetensors")
    own = [name for name in model.state_dict() if ".lora_" in name]
    if len(own) != len(state):
        sys.exit(f"[unet_peer] {len(state)} tensors; PEFT has {len(own)}")
    result = set_peft_model_state_dict(model, state)
    if result.unexpected_keys:
        sys.exit(f"[unet_peer] unexpected: {result.unexpected_keys}")
    write_output(model, folder)


if __name__ == "__main__":
    {f.__name__: f for f in (models, defaults, shapes, opens, lora)}[
        sys.argv[1]](*sys.argv[2:])
