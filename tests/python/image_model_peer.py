"""diffusers and transformers as readers of a model folder, for flow_model_test.

    flow_model_peer.py FOLDER DIR   reads the model in FOLDER, part by part, and
                                    computes in float32 what DIR/prompts.json
                                    and DIR/inputs.safetensors (x, timestep)
                                    ask for: ids, tokens and pooled of the
                                    prompts, the velocity for them, and the
                                    times of ten steps. DIR/peer.safetensors
"""

import json
import os
import pathlib
import sys

os.environ["DIFFUSERS_VERBOSITY"] = "error"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from diffusers.utils import logging
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModelWithProjection, CLIPTokenizer
from transformers.utils import logging as transformers_logging

logging.disable_progress_bar()
transformers_logging.disable_progress_bar()


def loaded(kind, folder):
    """The part, insisting that file and model have the same tensors."""
    model, info = kind.from_pretrained(folder, torch_dtype=torch.float32,
                                       output_loading_info=True)
    for word in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[word], (word, info[word])
    return model.eval()


def main(folder, work):
    folder, work = pathlib.Path(folder), pathlib.Path(work)
    index = json.loads((folder / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusion3Pipeline", index
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    text = loaded(CLIPTextModelWithProjection, folder / "text_encoder")
    transformer = loaded(SD3Transformer2DModel, folder / "transformer")
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(
        folder / "scheduler")
    prompts = json.loads((work / "prompts.json").read_text())
    inputs = load_file(work / "inputs.safetensors")
    ids = tokenizer(prompts, padding="max_length", truncation=True,
                    max_length=tokenizer.model_max_length,
                    return_tensors="pt").input_ids
    with torch.no_grad():
        encoded = text(ids, output_hidden_states=True)
        tokens, pooled = encoded.hidden_states[-2], encoded.text_embeds
        velocity = transformer(
            hidden_states=inputs["x"], timestep=inputs["timestep"],
            encoder_hidden_states=tokens, pooled_projections=pooled).sample
    scheduler.set_timesteps(10)
    save_file({"ids": ids, "tokens": tokens.contiguous(),
               "pooled": pooled.contiguous(),
               "velocity": velocity.contiguous(),
               "times": scheduler.sigmas}, work / "peer.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
