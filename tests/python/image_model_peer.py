"""diffusers and transformers as readers of a model folder, for image_model_test.

    image_model_peer.py FOLDER DIR   reads the model in FOLDER, part by part, and
                                    computes in float32 what DIR/prompts.json
                                    and DIR/inputs.safetensors (x, timestep)
                                    ask for: ids, tokens and pooled of the
                                    prompts, the network's output for them, and
                                    the times of ten steps. DIR/peer.safetensors
"""

import json
import pathlib
import sys

import quiet  # before the others
import torch
from diffusers import (DDIMScheduler, FlowMatchEulerDiscreteScheduler,
                       SD3Transformer2DModel, UNet2DConditionModel)
from safetensors.torch import load_file, save_file
from transformers import (CLIPTextModel, CLIPTextModelWithProjection,
                          CLIPTokenizer)


def loaded(kind, folder):
    """The part, insisting that file and model have the same tensors."""
    model, info = kind.from_pretrained(folder, torch_dtype=torch.float32,
                                       output_loading_info=True)
    for word in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[word], (word, info[word])
    return model.eval()


def flow(folder, ids, inputs):
    """What a folder of SD3's kind computes."""
    text = loaded(CLIPTextModelWithProjection, folder / "text_encoder")
    transformer = loaded(SD3Transformer2DModel, folder / "transformer")
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(
        folder / "scheduler")
    scheduler.set_timesteps(10)
    encoded = text(ids, output_hidden_states=True)
    tokens, pooled = encoded.hidden_states[-2], encoded.text_embeds
    out = transformer(
        hidden_states=inputs["x"], timestep=inputs["timestep"],
        encoder_hidden_states=tokens, pooled_projections=pooled).sample
    return {"tokens": tokens, "pooled": pooled, "out": out,
            "times": scheduler.sigmas}


def diffusion(folder, ids, inputs):
    """What a folder of Stable Diffusion 1.x's kind computes."""
    text = loaded(CLIPTextModel, folder / "text_encoder")
    unet = loaded(UNet2DConditionModel, folder / "unet")
    scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
    scheduler.set_timesteps(10)
    tokens = text(ids).last_hidden_state
    out = unet(inputs["x"], inputs["timestep"],
               encoder_hidden_states=tokens).sample
    times = torch.cat([scheduler.timesteps, torch.zeros(1)]) / 1000
    return {"tokens": tokens, "out": out, "times": times}


PIPELINES = {"StableDiffusion3Pipeline": flow,
             "StableDiffusionPipeline": diffusion}


def main(folder, work):
    folder, work = pathlib.Path(folder), pathlib.Path(work)
    index = json.loads((folder / "model_index.json").read_text())
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    prompts = json.loads((work / "prompts.json").read_text())
    ids = tokenizer(prompts, padding="max_length", truncation=True,
                    max_length=tokenizer.model_max_length,
                    return_tensors="pt").input_ids
    with torch.no_grad():
        out = PIPELINES[index["_class_name"]](
            folder, ids, load_file(work / "inputs.safetensors"))
    save_file({"ids": ids, **{key: value.contiguous()
                              for key, value in out.items()}},
              work / "peer.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
