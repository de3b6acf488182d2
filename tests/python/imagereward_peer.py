"""A small random ImageReward, exported as docs/examples does, for imagereward_test.

    imagereward_peer.py OUT

Writes OUT/imagereward.pt, and OUT/peer.safetensors: "images" [B,3,H,W], exact
bytes, "scores" [B] by transformers' classes and tokenizer, picture by picture,
and "gradient" of their sum in the images; OUT/prompts.json has the prompts.
Fails where the exported tokenizer gives other ids than transformers', or where
weights by BLIP's own names do not become the same network.
"""

import importlib.util
import json
import pathlib
import re
import sys

import quiet  # noqa: F401
import torch
from safetensors.torch import save_file
from transformers import BertTokenizer, BlipTextConfig, BlipVisionConfig

PROMPTS = ["a red circle", "Two CAFÉS, above \"it\"!", "naïve strawberries ... — ok",
           "zzz unknown words\tand re-do", "", "a " * 60, "l’été: 50% off"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "circle", "two",
         "cafe", "##s", "above", "it", "\"", "!", ",", ".", "naive", "straw",
         "##berries", "—", "ok", "words", "and", "re", "-", "do", "l", "’", "ete",
         ":", "50", "%", "off", "un", "##known", "##k"]


def example():
    path = pathlib.Path(__file__).parents[2] / "docs/examples/imagereward.py"
    spec = importlib.util.spec_from_file_location("imagereward", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def towers(e):
    vision = e.BlipVisionModel(BlipVisionConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=2, image_size=32, patch_size=8, layer_norm_eps=1e-6))
    text = e.BlipTextModel(BlipTextConfig(
        vocab_size=len(WORDS), hidden_size=12, encoder_hidden_size=16,
        intermediate_size=20, num_hidden_layers=2, num_attention_heads=3,
        max_position_embeddings=64), add_pooling_layer=False)
    return vision.eval(), text.eval(), e.head(12)


def released(vision, text, top):
    """Their weights by the names of ImageReward's release."""
    out = {}
    for name, tensor in vision.state_dict().items():
        for new, old in (("embeddings.class_embedding", "cls_token"),
                         ("embeddings.position_embedding", "pos_embed"),
                         ("embeddings.patch_embedding.", "patch_embed.proj."),
                         ("post_layernorm.", "norm."), ("encoder.layers.", "blocks."),
                         ("self_attn.projection.", "attn.proj."),
                         ("self_attn.qkv.", "attn.qkv."), ("layer_norm", "norm")):
            name = name.replace(new, old)
        out["blip.visual_encoder." + name] = tensor
    for name, tensor in text.state_dict().items():
        out["blip.text_encoder." + name] = tensor
    out["blip.text_encoder.embeddings.position_ids"] = torch.arange(64)[None]
    for name, tensor in top.state_dict().items():
        out["mlp.layers." + name] = tensor
    return out


def main(out):
    out = pathlib.Path(out)
    e = example()
    torch.manual_seed(0)
    first = towers(e)
    for module in first:
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    vision, text, top = towers(e)
    e.load_release(released(*first), vision, text, top)
    assert [len(re.findall(r"\d+", n)) for n in top.state_dict()] == [1] * 10
    assert list(top.state_dict())[::2] == [f"{i}.weight" for i in (0, 2, 4, 6, 7)]
    e.exported(vision, text, top, WORDS).save(str(out / "imagereward.pt"))

    (out / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    tokenizer = BertTokenizer(str(out / "vocab.txt"), do_lower_case=True)
    read = tokenizer(PROMPTS, padding="max_length", truncation=True,
                     max_length=e.TOKENS, return_tensors="pt")
    ids = torch.jit.load(str(out / "imagereward.pt")).words(PROMPTS)
    assert torch.equal(ids, read.input_ids), (ids, read.input_ids)

    images = torch.randint(0, 256, (len(PROMPTS), 3, 40, 56)) / 255
    images.requires_grad_(True)
    resized = torch.nn.functional.interpolate(
        images, (32, 44), mode="bicubic", antialias=True)[:, :, :, 6:38].clamp(0, 1)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    scores = []
    for i in range(len(PROMPTS)):
        seen = first[0](pixel_values=((resized - mean) / deviation)[i:i + 1])[0]
        state = first[1](input_ids=read.input_ids[i:i + 1],
                         attention_mask=read.attention_mask[i:i + 1],
                         encoder_hidden_states=seen)[0]
        scores.append((first[2](state[:, 0]) - 0.16717362830052426)
                      / 1.0333394966054072)
    scores = torch.cat(scores).flatten()
    scores.sum().backward()
    (out / "prompts.json").write_text(json.dumps(PROMPTS))
    save_file({"images": images.detach(), "scores": scores.detach(),
               "gradient": images.grad}, out / "peer.safetensors")


main(sys.argv[1])
