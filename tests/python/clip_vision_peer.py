"""transformers' CLIP vision towers, for clip_vision_test.

    clip_vision_peer.py OUT

Writes OUT/<case>/: a model as transformers saves it, and peer.safetensors with
"pixels", outputs "output.<name>", "bfloat16", image_embeds of that type, the
weights "weight.<name>" of a loss (the sum of outputs times weights) and its
gradients, "grad.<parameter>" and "grad.pixels". OUT/whole is a whole CLIP.
Then loads OUT/ours, a model and its pixels.safetensors, and writes its outputs
to peer.safetensors there.
"""

import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import (CLIPConfig, CLIPModel, CLIPVisionConfig,
                          CLIPVisionModelWithProjection)

from encoder_peer import fill, gradients, weighed, write_cases

CASES = {
    "quick": dict(hidden_act="quick_gelu", hidden_size=16,
                  num_attention_heads=2, num_hidden_layers=2, image_size=12,
                  patch_size=4, projection_dim=10),
    "left_over": dict(hidden_act="gelu", hidden_size=30, num_attention_heads=5,
                      num_hidden_layers=3, image_size=11, patch_size=3,
                      projection_dim=7, layer_norm_eps=1e-3),
    "one_layer": dict(hidden_act="gelu", hidden_size=24, num_attention_heads=1,
                      num_hidden_layers=1, image_size=8, patch_size=8,
                      projection_dim=24, num_channels=1),
    "whole": dict(hidden_act="quick_gelu", hidden_size=16,
                  num_attention_heads=4, num_hidden_layers=2, image_size=8,
                  patch_size=2),
}


def random_case(dice):
    heads, patch = dice.randint(1, 5), dice.randint(1, 5)
    return dict(hidden_act=dice.choice(["quick_gelu", "gelu"]),
                hidden_size=heads * dice.randint(2, 8),
                num_attention_heads=heads, patch_size=patch,
                num_hidden_layers=dice.randint(1, 4),
                image_size=patch * dice.randint(1, 4) + dice.randrange(patch),
                projection_dim=dice.randint(1, 20))


def outputs(model, pixels):
    out = model(pixels, output_hidden_states=True)
    return {"image_embeds": out.image_embeds,
            "last_hidden_state": out.last_hidden_state,
            "penultimate": out.hidden_states[-2],
            "pooled": model.vision_model(pixels).pooler_output}


def save_case(folder, fields, generator):
    """What CLIPVisionModelWithProjection makes of the folder."""
    config = CLIPVisionConfig(intermediate_size=28, **fields)
    if folder.name == "whole":
        # The projection of the whole counts, whatever its parts say.
        model = CLIPModel(CLIPConfig(
            vision_config=config.to_dict(), projection_dim=9,
            text_config=dict(vocab_size=5, hidden_size=4, num_hidden_layers=1,
                             intermediate_size=4, num_attention_heads=1)))
    else:
        model = CLIPVisionModelWithProjection(config)
    fill(model, generator)
    model.save_pretrained(folder)
    if folder.name != "whole":
        return model
    config.projection_dim = 9
    part = CLIPVisionModelWithProjection(config)
    part.load_state_dict({name: tensor
                          for name, tensor in model.state_dict().items()
                          if name.startswith(("vision_model.", "visual_"))})
    return part


def make_case(folder, fields, generator):
    model = save_case(folder, fields, generator).eval()
    config = model.config
    pixels = torch.randn(2, config.num_channels, config.image_size,
                         config.image_size, generator=generator)
    leaf = pixels.clone().requires_grad_()
    tensors = {"pixels": pixels,
               **weighed(outputs(model, leaf), generator),
               **gradients([("pixels", leaf), *model.named_parameters()])}
    with torch.no_grad():
        tensors["bfloat16"] = model.bfloat16()(pixels).image_embeds
    save_file(tensors, folder / "peer.safetensors")


def run(folder):
    model, info = CLIPVisionModelWithProjection.from_pretrained(
        folder, output_loading_info=True)
    assert not any(info.values()), info
    with torch.no_grad():
        found = outputs(model.eval(),
                        load_file(folder / "pixels.safetensors")["pixels"])
    save_file({"output." + name: value.clone()
               for name, value in found.items()}, folder / "peer.safetensors")


write_cases(sys.argv[1], make_case, CASES, random_case, run)
