"""CLIP's family of rewards by transformers, for clip_reward_test.

    clip_reward_peer.py OUT

OUT/clip is a whole CLIP as the test wrote it, with tokenizer/ and
head.safetensors; OUT/inputs.safetensors has "images" [B,3,H,W] in [0,1], and
OUT/prompts.json a text for each. Writes

    OUT/open/      the same CLIP in OpenCLIP's layout, by the names and shapes of
                   its source (open_clip/model.py and transformer.py)
    OUT/half/      the CLIP in bfloat16, as transformers saves it
    OUT/peer.safetensors  "<reward>.value" [B], and "<reward>.gradient" of their
                   sum in the images; "half.value" of clip-score in bfloat16
"""

import copy
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPModel, CLIPTokenizer

from clip_pixels_peer import DEVIATION, MEAN, crop_sizes, pad_sizes


def shown(images, size, pads):
    """[B,3,H,W] in [0,1] -> [B,3,size,size], as the towers are shown them."""
    height, width = images.shape[2:]
    sizes = (pad_sizes if pads else crop_sizes)(height, width, size)
    images = torch.nn.functional.interpolate(
        images, sizes, mode="bicubic", antialias=True, align_corners=False)
    rest = [size - side for side in sizes]
    if pads:
        top, left = rest[0] // 2, rest[1] // 2
        images = torch.nn.functional.pad(
            images, (left, rest[1] - left, top, rest[0] - top))
    else:
        top, left = -rest[0] // 2, -rest[1] // 2
        images = images[:, :, top:top + size, left:left + size]
    return (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(
        DEVIATION).view(3, 1, 1)


def unit(features):
    return features / features.norm(dim=-1, keepdim=True)


class Judge:
    def __init__(self, model, tokenizer, head):
        self.model, self.tokenizer, self.head = model, tokenizer, head
        self.size = model.config.vision_config.image_size

    def picture(self, images, pads):
        pixels = shown(images, self.size, pads).to(self.model.dtype)
        pooled = self.model.vision_model(pixels).pooler_output
        return unit(self.model.visual_projection(pooled).float())

    def text(self, prompts):
        ids = self.tokenizer(prompts, padding="max_length", truncation=True,
                             return_tensors="pt").input_ids
        pooled = self.model.text_model(ids).pooler_output
        return unit(self.model.text_projection(pooled).float())

    def aesthetic(self, images, prompts):
        x = self.picture(images, pads=False)
        for layer in sorted({int(name.split(".")[1]) for name in self.head}):
            x = torch.nn.functional.linear(
                x, self.head[f"layers.{layer}.weight"],
                self.head[f"layers.{layer}.bias"])
        return x.squeeze(1)

    def clip_score(self, images, prompts):
        return (self.picture(images, pads=False) * self.text(prompts)).sum(1)

    def pick_score(self, images, prompts):
        return (self.model.logit_scale.exp().float()
                * self.clip_score(images, prompts))

    def hps(self, images, prompts):
        return (self.picture(images, pads=True) * self.text(prompts)).sum(1)


def tower(weights, prefix, layers):
    """One tower's layers under OpenCLIP's names, q, k and v in one."""
    out = {}
    for i in range(layers):
        theirs = f"{prefix}encoder.layers.{i}."
        ours = ("visual." if "vision" in prefix else "") + \
            f"transformer.resblocks.{i}."
        for kind in ("weight", "bias"):
            out[f"{ours}attn.in_proj_{kind}"] = torch.cat(
                [weights[f"{theirs}self_attn.{name}_proj.{kind}"]
                 for name in "qkv"])
            for a, b in (("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"),
                         ("attn.out_proj", "self_attn.out_proj"),
                         ("mlp.c_fc", "mlp.fc1"), ("mlp.c_proj", "mlp.fc2")):
                out[f"{ours}{a}.{kind}"] = weights[f"{theirs}{b}.{kind}"]
    return out


def open_clip(model):
    weights = model.state_dict()
    config = model.config
    vision, text = "vision_model.", "text_model."
    out = {
        **tower(weights, vision, config.vision_config.num_hidden_layers),
        **tower(weights, text, config.text_config.num_hidden_layers),
        "visual.class_embedding":
            weights[vision + "embeddings.class_embedding"],
        "visual.conv1.weight":
            weights[vision + "embeddings.patch_embedding.weight"],
        "visual.positional_embedding":
            weights[vision + "embeddings.position_embedding.weight"],
        "visual.proj": weights["visual_projection.weight"].t(),
        "token_embedding.weight":
            weights[text + "embeddings.token_embedding.weight"],
        "positional_embedding":
            weights[text + "embeddings.position_embedding.weight"],
        "text_projection": weights["text_projection.weight"].t(),
        "logit_scale": weights["logit_scale"],
    }
    for kind in ("weight", "bias"):
        out[f"visual.ln_pre.{kind}"] = weights[f"{vision}pre_layrnorm.{kind}"]
        out[f"visual.ln_post.{kind}"] = \
            weights[f"{vision}post_layernorm.{kind}"]
        out[f"ln_final.{kind}"] = weights[f"{text}final_layer_norm.{kind}"]
    return {name: tensor.clone().contiguous() for name, tensor in out.items()}


def write_open_clip(model, folder):
    folder.mkdir()
    vision, text = model.config.vision_config, model.config.text_config
    save_file(open_clip(model), folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {
        "embed_dim": model.config.projection_dim,
        "vision_cfg": {
            "image_size": vision.image_size, "patch_size": vision.patch_size,
            "layers": vision.num_hidden_layers, "width": vision.hidden_size,
            "head_width": vision.hidden_size // vision.num_attention_heads},
        "text_cfg": {
            "context_length": text.max_position_embeddings,
            "vocab_size": text.vocab_size, "width": text.hidden_size,
            "heads": text.num_attention_heads,
            "layers": text.num_hidden_layers}}}))


def main(out):
    model, info = CLIPModel.from_pretrained(out / "clip",
                                            output_loading_info=True)
    assert not any(info.values()), info
    model.eval()
    tokenizer = CLIPTokenizer.from_pretrained(out / "clip/tokenizer")
    write_open_clip(model, out / "open")
    for kind in ("tokenizer", "head.safetensors"):
        copy_to = shutil.copytree if kind == "tokenizer" else shutil.copy
        copy_to(out / "clip" / kind, out / "open" / kind)
    judge = Judge(model, tokenizer,
                  load_file(out / "clip/head.safetensors"))
    images = load_file(out / "inputs.safetensors")["images"]
    prompts = json.loads((out / "prompts.json").read_text())
    tensors = {}
    for name in ("aesthetic", "clip_score", "pick_score", "hps"):
        leaf = images.clone().requires_grad_()
        value = getattr(judge, name)(leaf, prompts)
        value.sum().backward()
        tensors[name + ".value"] = value.detach()
        tensors[name + ".gradient"] = leaf.grad
    half = copy.deepcopy(model).bfloat16()
    half.save_pretrained(out / "half")
    shutil.copytree(out / "clip/tokenizer", out / "half/tokenizer")
    with torch.no_grad():
        tensors["half.value"] = Judge(half, tokenizer, None).clip_score(
            images, prompts)
    save_file(tensors, out / "peer.safetensors")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
