"""Encodes texts with transformers' T5TokenizerFast, for t5_tokenizer_test.

    t5_tokenizer_peer.py OUT TOKENIZER PROMPTS

TOKENIZER is a published folder, PROMPTS one of prompt files. Writes all prompts
and 1,000 odd texts to OUT/texts.json, their ids by length to
OUT/ids.safetensors, and to OUT/saved the tokenizer as transformers saves it.
"""

import csv
import json
import pathlib
import random
import sys

import torch
from safetensors.torch import save_file
from transformers import T5TokenizerFast

LENGTHS = [256, 77, 1]

WORDS = """a photo of the isn't couldn't we've internationally unbelievable
WATERCOLOR iPhone C++ e-mail 3.14 1,000,000 2024 $5 50% #1 @home a/b (yes) "no"
“quoted” it’s – — … ½ ² ™ © ﬁne Ⅷ ① ｆｕｌｌ ﷺ café naïve façade über straße señor
Ångström crème cafe\u0301 a\u030angstro\u0308m Привет мир Ελλάδα שלום مرحبا
नमस्ते 日本語 ひらがな ｶﾀｶﾅ 中文 한국어 ประเทศไทย 🙂 👩‍🚀 👍🏽 🇫🇷 ❤️ \u00ad
<3 :) ... ?! <s> <unk <extra_id_100> <extra_id_1 extra_id_1> < / s >""".split()
TAGS = ["</s>", "<pad>", "<unk>", "<extra_id_0>", "<extra_id_10>",
        "<extra_id_99>", "</s></s>", " </s> ", "\t<extra_id_5>\n", "a</s>b"]
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x1f", "\x85",
          "\xa0", "\u1680", "\u180e", "\u2003", "\u200b", "\u2028", "\u2029",
          "\u202f", "\u3000", "\ufeff", "\x00", "\x7f", "\x80", "\ufffd"]


def prompts(folder):
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".txt":
            texts = path.read_text().splitlines()
        elif path.suffix == ".jsonl":
            texts = [json.loads(line)["prompt"] for line in path.open()]
        elif path.suffix == ".json":
            texts = [text if isinstance(text, str) else text["prompt"]
                     for text in json.loads(path.read_text())]
        elif path.suffix == ".tsv":
            rows = csv.DictReader(path.open(), delimiter="\t",
                                  quoting=csv.QUOTE_NONE)
            texts = [row["Prompt"] for row in rows]
        else:
            continue
        found.update(dict.fromkeys(texts))
    return list(found)


def odd_texts(dice):
    texts = ["", " ", "\n", "\t\n ", "a", "\x85", *TAGS, "banana " * 400,
             "banana" * 40, "🙂" * 300, "a red fox " * 20_000]
    while len(texts) < 1000:
        text = ""
        for _ in range(dice.randint(1, 14)):
            text += dice.choice(TAGS if dice.random() < 0.1 else WORDS)
            if dice.random() < 0.9:
                text += dice.choice([" ", dice.choice(SPACES)])
        texts.append(text)
    return texts


out, tokenizer, folder = map(pathlib.Path, sys.argv[1:])
texts = prompts(folder) + odd_texts(random.Random(0))
(out / "texts.json").write_text(json.dumps(texts))
tokenizer = T5TokenizerFast.from_pretrained(tokenizer)
save_file({str(length): torch.tensor(
    tokenizer(texts, padding="max_length", truncation=True,
              max_length=length).input_ids) for length in LENGTHS},
          out / "ids.safetensors")
tokenizer.save_pretrained(out / "saved")
