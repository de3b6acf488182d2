"""What diffusers' pipelines paint, for pipelines_test.cpp and
paper_configs_test.cpp.

    pipelines_peer.py ASSETS DIR        saves tiny models, DIR/sd15, DIR/sd3 and
                                       others made of them, and what they paint
                                       from noise, DIR/peer.safetensors
    pipelines_peer.py ASSETS DIR deep  saves DIR/sd15 and DIR/sd35, as deep as
                                       the real ones
    pipelines_peer.py ASSETS DIR lora  what DIR/sd15 and DIR/sd3 paint from the
                                       same noise with the LoRAs DIR/sd15-lora
                                       and DIR/sd3-lora, DIR/lora.safetensors
"""

import json
import pathlib
import shutil
import sys

import tiny_pipelines as tiny
import torch
from diffusers import (DDIMScheduler, StableDiffusion3Pipeline,
                       StableDiffusionPipeline)
from diffusers.schedulers import scheduling_ddim
from safetensors.torch import load_file, save_file

PROMPTS = ["a photo of two red clocks, on a table", ""]
NEGATIVE = "blurry, ugly!"
STEPS = 5
GUIDANCE = 3.0


def paint(pipe, latents, **more):
    pipe.set_progress_bar_config(disable=True)
    images = pipe(PROMPTS, negative_prompt=[NEGATIVE] * len(PROMPTS),
                  num_inference_steps=STEPS, guidance_scale=GUIDANCE,
                  latents=latents.clone(), output_type="np", **more).images
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous()


def as_a_cache(folder, target):
    """The folder as a hub's cache has it: links to blobs."""
    blobs = target.parent / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if path.is_file():
            place = target / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, blobs / str(number))
            place.symlink_to(blobs / str(number))


def deep(assets, work):
    tiny.deep_sd15(assets).save_pretrained(work / "sd15")
    tiny.deep_sd35(assets).save_pretrained(work / "sd35")


def with_lora(assets, work):
    noise = load_file(work / "peer.safetensors")
    out = {}
    for name, kind in (("sd15", StableDiffusionPipeline),
                       ("sd3", StableDiffusion3Pipeline)):
        pipe = kind.from_pretrained(work / name)
        if name == "sd15":
            pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
        pipe.load_lora_weights(work / f"{name}-lora")
        out[name] = paint(pipe, noise[f"{name}.x"])
    save_file(out, work / "lora.safetensors")


def shallow(assets, work):
    out = {}
    noise = out["sd15.x"] = torch.randn(len(PROMPTS), 4, 8, 8)
    pipe = tiny.sd15(assets)
    pipe.save_pretrained(work / "sd15")
    pipe.save_pretrained(work / "sd15-sharded", max_shard_size="60KB")
    as_a_cache(work / "sd15", work / "sd15-linked")
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    out["sd15.ddim"] = paint(pipe, noise)
    steps = out["sd15.steps"] = torch.randn(STEPS, *noise.shape)
    given = iter(steps)
    scheduling_ddim.randn_tensor = lambda *_, **__: next(given)
    out["sd15.eta"] = paint(pipe, noise, eta=1.0)
    pipe.to(torch.float16).save_pretrained(work / "sd15-fp16", variant="fp16")
    pipe.to(torch.float32)  # the weights as float16 rounds them
    out["sd15.fp16"] = paint(pipe, noise)

    noise = out["sd3.x"] = torch.randn(len(PROMPTS), 16, 8, 8)
    pipe = tiny.sd3(assets)
    pipe.save_pretrained(work / "sd3")
    out["sd3"] = paint(pipe, noise)
    out["sd3.short"] = paint(pipe, noise, max_sequence_length=40)
    pipe.text_encoder_3 = pipe.tokenizer_3 = None
    out["sd3.alone"] = paint(pipe, noise)
    pipe.save_pretrained(work / "sd3-alone")
    save_file(out, work / "peer.safetensors")
    (work / "said.json").write_text(json.dumps({
        "prompts": PROMPTS, "negative": NEGATIVE, "steps": STEPS,
        "guidance": GUIDANCE}))


torch.manual_seed(5)
kind = {"deep": deep, "lora": with_lora}.get("".join(sys.argv[3:]), shallow)
kind(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
