"""Exports ImageReward (arXiv 2304.05977) for `torchscript:`: BLIP on a picture and its prompt, and a head.

    pip install torch transformers
    python3 docs/examples/imagereward.py ImageReward.pt vocab.txt imagereward.pt
    reward: "torchscript:imagereward.pt"

ImageReward.pt is the checkpoint of zai-org/ImageReward, vocab.txt that of google-bert/bert-base-uncased.
The file that is written takes pictures and prompts: its tokenizer (BERT's, uncased) is part of it. It knows
accents and marks of Latin scripts; letters of others stand as they are, and Chinese ones are not parted.
It has a gradient in the pictures.
"""

import re
import sys
import unicodedata
from typing import Dict, List

import torch
from transformers import BlipTextConfig, BlipVisionConfig
from transformers.models.blip.modeling_blip import BlipVisionModel
from transformers.models.blip.modeling_blip_text import BlipTextModel

TOKENS = 35  # of a prompt, as ImageReward was trained
MEAN, DEVIATION = 0.16717362830052426, 1.0333394966054072  # of its scores
WIDTHS = [1024, 128, 64, 16, 1]  # of the head, without activations between


class WordPieces(torch.nn.Module):
    """Texts -> ids [B,TOKENS], padded with [PAD]. Strings are bytes here: a letter may be several of them."""

    def __init__(self, words: List[str], tokens: int):
        super().__init__()
        self.tokens = tokens
        self.ids: Dict[str, int] = {word: i for i, word in enumerate(words)}
        self.plain: Dict[str, str] = {}  # letters without case and accents
        self.marks: Dict[str, bool] = {}  # that are words of their own
        for code in list(range(0x21, 0x250)) + list(range(0x300, 0x370)) + list(range(0x1e00, 0x2070)):
            letter = chr(code)
            parts = unicodedata.normalize("NFD", letter.lower())
            plain = "".join(part for part in parts if unicodedata.category(part) != "Mn")
            if plain != letter:
                self.plain[letter] = plain
            ascii_mark = code < 0x7f and not letter.isalnum()
            if ascii_mark or unicodedata.category(letter)[0] == "P":
                self.marks[letter] = True

    def words(self, text: str) -> List[str]:
        out: List[str] = []
        word = ""
        at = 0
        while at < len(text):
            first = ord(text[at])
            size = 1 if first < 0xC0 else (2 if first < 0xE0 else (3 if first < 0xF0 else 4))
            letter = text[at:at + size]
            at += size
            if first == 127 or (first < 32 and not letter.isspace()):
                continue
            space = letter.isspace() or letter == "\u00a0"
            if (space or letter in self.marks) and len(word) > 0:
                out.append(word)
                word = ""
            if letter in self.marks:
                out.append(letter)
            elif not space:
                word += self.plain[letter] if letter in self.plain else letter
        if len(word) > 0:
            out.append(word)
        return out

    def pieces(self, word: str) -> List[int]:
        """The longest known beginnings, one after the other; [UNK] where one has none."""
        out: List[int] = []
        start = 0
        while start < len(word):
            end = len(word)
            found = -1
            while end > start and found < 0:
                piece = word[start:end] if start == 0 else "##" + word[start:end]
                if piece in self.ids:
                    found = self.ids[piece]
                else:
                    end -= 1
            if found < 0 or len(word) > 100:
                return [self.ids["[UNK]"]]
            out.append(found)
            start = end
        return out

    def forward(self, texts: List[str]) -> torch.Tensor:
        rows: List[List[int]] = []
        for text in texts:
            row: List[int] = [self.ids["[CLS]"]]
            for word in self.words(text):
                row += self.pieces(word)
            row = row[:self.tokens - 1] + [self.ids["[SEP]"]]
            row += [self.ids["[PAD]"]] * (self.tokens - len(row))
            rows.append(row)
        return torch.tensor(rows, dtype=torch.long)


class Network(torch.nn.Module):
    """Normalised pictures [B,3,S,S], ids and mask [B,L] -> scores [B,1]."""

    def __init__(self, vision, text, head):
        super().__init__()
        self.vision, self.text, self.head = vision, text, head

    def forward(self, pixels, ids, mask):
        seen = self.vision(pixel_values=pixels, return_dict=False)[0]
        read = self.text(input_ids=ids, attention_mask=mask, encoder_hidden_states=seen,
                         encoder_attention_mask=torch.ones_like(seen[:, :, 0]), return_dict=False)[0]
        return (self.head(read[:, 0]) - MEAN) / DEVIATION


class ImageReward(torch.nn.Module):
    picture_size: int

    def __init__(self, network, words, size):
        super().__init__()
        self.network, self.words, self.picture_size = network, words, size
        self.register_buffer("mean", torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1))

    def forward(self, images: torch.Tensor, prompts: List[str]) -> torch.Tensor:
        size = self.picture_size
        shorter = min(images.size(2), images.size(3))
        height = size * images.size(2) // shorter
        width = size * images.size(3) // shorter
        images = torch.nn.functional.interpolate(images, [height, width], mode="bicubic", antialias=True)
        images = images.clamp(0, 1)  # which bytes are by themselves
        down, right = height - size, width - size  # halves go to even numbers
        top, left = (down + int(down % 4 == 3)) // 2, (right + int(right % 4 == 3)) // 2
        pixels = (images[:, :, top:top + size, left:left + size] - self.mean) / self.deviation
        ids = self.words(prompts).to(images.device)
        return self.network(pixels, ids, (ids != 0).to(torch.long))


def head(width):
    """Its layers have the numbers of the release, whose dropout stands between."""
    layers = torch.nn.ModuleList()
    for i, out in enumerate(WIDTHS):
        layers.append(torch.nn.Linear(width, out))
        if i < 3:
            layers.append(torch.nn.Dropout(0.0))
        width = out
    return torch.nn.Sequential(*layers)


def exported(vision, text, top, words, tokens=TOKENS):
    """A module to save(), of BLIP's towers and a head; words are lines of vocab.txt, [PAD] the first."""
    network = Network(vision, text, top).eval().requires_grad_(False)
    size = vision.config.image_size
    pieces = WordPieces(words, tokens)
    ids = pieces(["two words", "a longer text of more words"])
    inputs = (torch.randn(2, 3, size, size), ids, (ids != 0).long())
    traced = torch.jit.trace(network, inputs, check_trace=False)
    return torch.jit.script(ImageReward(traced, pieces, size).eval())


# BLIP's own names of its vision tower -> those of transformers.
NAMES = [(r"^cls_token$", "embeddings.class_embedding"), (r"^pos_embed$", "embeddings.position_embedding"),
         (r"^patch_embed\.proj\.", "embeddings.patch_embedding."), (r"^norm\.", "post_layernorm."),
         (r"^blocks\.", "encoder.layers."), (r"\.attn\.qkv\.", ".self_attn.qkv."),
         (r"\.attn\.proj\.", ".self_attn.projection."), (r"\.norm([12])\.", r".layer_norm\1.")]


def vision_name(name):
    for pattern, new in NAMES:
        name = re.sub(pattern, new, name)
    return name


def load_release(weights, vision, text, top):
    """Puts a state dict of ImageReward's release into modules; KeyError or RuntimeError where one lacks."""
    def part(prefix, rename=lambda name: name):
        return {rename(name[len(prefix):]): tensor for name, tensor in weights.items() if name.startswith(prefix)}

    vision.load_state_dict(part("blip.visual_encoder.", vision_name))
    words = part("blip.text_encoder.")
    words.pop("embeddings.position_ids", None)
    text.load_state_dict(words)
    top.load_state_dict(part("mlp.layers."))


def main(checkpoint, vocabulary, out):
    vision = BlipVisionModel(BlipVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=224,
        patch_size=16, layer_norm_eps=1e-6))
    text = BlipTextModel(BlipTextConfig(
        vocab_size=30524, hidden_size=768, encoder_hidden_size=1024, intermediate_size=3072,
        num_hidden_layers=12, num_attention_heads=12, max_position_embeddings=512), add_pooling_layer=False)
    top = head(768)
    load_release(torch.load(checkpoint, map_location="cpu", weights_only=True), vision, text, top)
    with open(vocabulary, encoding="utf-8") as lines:
        words = [line.rstrip("\n") for line in lines]
    exported(vision, text, top, words).save(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
