"""transformers' T5 encoders, for t5_encoder_test.

    t5_encoder_peer.py OUT

Writes OUT/<case>/: a model as transformers saves it, and peer.safetensors with
"ids", the float32 output "out", "bfloat16" and "float16" as loaded in that
type, the "weight" of a loss (the sum of "out" times it) and its gradients,
"grad.<parameter>". OUT/whole is a T5 with its decoder. Then loads OUT/ours, a
model and its ids.safetensors, and writes its output to peer.safetensors there.
"""

import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5EncoderModel, T5ForConditionalGeneration

from encoder_peer import gradients, write_cases

CASES = {
    "gated": dict(feed_forward_proj="gated-gelu", d_model=24, d_kv=8,
                  num_heads=3, num_layers=3),
    "relu": dict(feed_forward_proj="relu", d_model=16, d_kv=6, num_heads=4,
                 num_layers=2, layer_norm_epsilon=1e-3),
    "one_layer": dict(feed_forward_proj="gated-gelu", d_model=20, d_kv=4,
                      num_heads=2, num_layers=1,
                      relative_attention_num_buckets=6,
                      relative_attention_max_distance=9),
    "whole": dict(feed_forward_proj="gated-gelu", d_model=16, d_kv=8,
                  num_heads=2, num_layers=2),
    # The first attention leaves float16's range.
    "large": dict(feed_forward_proj="gated-gelu", d_model=24, d_kv=8,
                  num_heads=3, num_layers=2),
}
VOCABULARY = 40


def random_case(dice):
    return dict(feed_forward_proj=dice.choice(["gated-gelu", "relu"]),
                d_model=dice.randint(1, 40), d_kv=dice.randint(1, 12),
                num_heads=dice.randint(1, 5), num_layers=dice.randint(1, 4),
                relative_attention_num_buckets=dice.randint(4, 40),
                relative_attention_max_distance=dice.randint(20, 140))


def fill(model, generator):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name:
                parameter.copy_(1 + 0.2 * noise)
            elif parameter.shape[0] == VOCABULARY or "bias" in name:
                parameter.copy_(noise)
            else:
                # Scores that are not scaled stay of size one.
                parameter.copy_(noise * parameter.shape[1] ** -0.6)


def make_case(folder, fields, generator):
    config = T5Config(vocab_size=VOCABULARY, d_ff=28, **fields)
    kind = (T5ForConditionalGeneration if folder.name == "whole"
            else T5EncoderModel)
    model = kind(config).eval()
    fill(model, generator)
    if folder.name == "large":
        with torch.no_grad():
            model.encoder.block[0].layer[0].SelfAttention.v.weight.mul_(300)
            model.encoder.block[0].layer[0].SelfAttention.o.weight.mul_(3000)
    model.save_pretrained(folder)
    encoder = T5EncoderModel.from_pretrained(folder).eval()
    ids = torch.randint(VOCABULARY, (3, 45), generator=generator)
    out = encoder(ids).last_hidden_state
    tensors = {"ids": ids, "out": out.detach().clone(),
               "weight": torch.randn(out.shape, generator=generator)}
    (out * tensors["weight"]).sum().backward()
    tensors.update(gradients(encoder.named_parameters()))
    for kind in (torch.bfloat16, torch.float16):
        half = T5EncoderModel.from_pretrained(folder, dtype=kind).eval()
        with torch.no_grad():
            tensors[str(kind).split(".")[1]] = half(ids).last_hidden_state
    save_file(tensors, folder / "peer.safetensors")


def run(folder):
    model, info = T5EncoderModel.from_pretrained(folder,
                                                 output_loading_info=True)
    assert not any(info.values()), info
    with torch.no_grad():
        out = model.eval()(load_file(folder / "ids.safetensors")["ids"])
    save_file({"out": out.last_hidden_state}, folder / "peer.safetensors")


write_cases(sys.argv[1], make_case, CASES, random_case, run)
