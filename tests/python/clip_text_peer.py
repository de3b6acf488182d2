"""transformers' CLIP text models, for clip_text_test.

    clip_text_peer.py OUT

Writes OUT/<case>/: a model as transformers saves it and peer.safetensors with
ids, outputs, the weights of a loss (the sum of outputs times weights) and the
loss's gradients. Then loads each folder OUT/ours_* (a model and its
ids.safetensors), insists that every tensor is used, and writes its outputs to
peer.safetensors there.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import (CLIPTextConfig, CLIPTextModel,
                          CLIPTextModelWithProjection)

from encoder_peer import fill, gradients, weighed

CASES = {
    "quick_legacy_eos": (CLIPTextModelWithProjection, dict(
        hidden_act="quick_gelu", hidden_size=16, num_attention_heads=2,
        num_hidden_layers=2, projection_dim=12, eos_token_id=2)),
    "gelu_five_heads": (CLIPTextModelWithProjection, dict(
        hidden_act="gelu", hidden_size=40, num_attention_heads=5,
        num_hidden_layers=3, projection_dim=8, layer_norm_eps=1e-3)),
    "one_layer": (CLIPTextModel, dict(
        hidden_act="quick_gelu", hidden_size=24, num_attention_heads=1,
        num_hidden_layers=1)),
    "gelu_plain": (CLIPTextModel, dict(
        hidden_act="gelu", hidden_size=32, num_attention_heads=4,
        num_hidden_layers=2, eos_token_id=30)),
}
VOCABULARY = 50
LENGTH = 11


def make_ids(eos, generator):
    """Texts of several lengths; padding with the last id, which is the usual
    end, and with 0; the end twice; no end at all; a short batch."""
    ids = torch.randint(3, 29, (6, LENGTH), generator=generator)
    ids[:, 0] = VOCABULARY - 2
    end = VOCABULARY - 1 if eos == 2 else eos
    for row, place, pad in [(0, 1, VOCABULARY - 1), (1, 5, 0), (2, 4, end),
                            (3, LENGTH - 1, 0), (4, 3, 1)]:
        ids[row, place] = end
        ids[row, place + 1:] = pad
    return ids


def outputs(model, ids):
    out = model(ids, output_hidden_states=True)
    found = {"last_hidden_state": out.last_hidden_state,
             "penultimate": out.hidden_states[-2]}
    if hasattr(model, "text_projection"):
        found["text_embeds"] = out.text_embeds
        found["pooled"] = model.text_model(ids).pooler_output
    else:
        found["pooled"] = out.pooler_output
    return found


def make_case(folder, kind, fields, generator):
    config = CLIPTextConfig(**{
        "vocab_size": VOCABULARY, "intermediate_size": 28,
        "max_position_embeddings": LENGTH + 2, "pad_token_id": 1,
        "bos_token_id": VOCABULARY - 2, "eos_token_id": VOCABULARY - 1,
        **fields})
    model = kind(config).eval()
    fill(model, generator)
    model.save_pretrained(folder)
    ids = make_ids(config.eos_token_id, generator)
    tensors = {"ids": ids, **weighed(outputs(model, ids), generator),
               **gradients(model.named_parameters())}
    save_file(tensors, folder / "peer.safetensors")


def run(folder):
    kind = {"CLIPTextModel": CLIPTextModel,
            "CLIPTextModelWithProjection": CLIPTextModelWithProjection}[
                json.loads((folder / "config.json").read_text())
                ["architectures"][0]]
    model, info = kind.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    with torch.no_grad():
        found = outputs(model.eval(), load_file(folder / "ids.safetensors")["ids"])
    save_file({f"output.{name}": value.clone() for name, value in found.items()},
              folder / "peer.safetensors")


out = pathlib.Path(sys.argv[1])
torch.manual_seed(0)
generator = torch.Generator().manual_seed(0)
for name, (kind, fields) in CASES.items():
    make_case(out / name, kind, fields, generator)
for folder in sorted(out.glob("ours_*")):
    run(folder)
