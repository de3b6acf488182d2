"""Encodes texts with transformers' CLIPTokenizer, for clip_tokenizer_test.

    clip_tokenizer_peer.py OUT WORDS

WORDS is a folder with a word vocabulary. Writes OUT/texts.json (1,000 texts),
a tokenizer folder OUT/<kind>/ for each way such folders are found in the wild,
and the ids as OUT/<kind>.json, for WORDS as OUT/words.json.
"""

import collections
import json
import pathlib
import random
import sys
import unicodedata

from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77
MERGES = 800

WORDS = """a an the of and or in on at to with without under over near between
photo photograph picture painting drawing sketch render portrait landscape view
red green blue yellow purple orange cyan black white grey golden silver bright
dark small large tiny huge old young new ancient modern wooden metal glass stone
circle square triangle cross shape shapes left right above below two three four
cat cats dog dogs horse rider astronaut robot castle forest river mountain ocean
beach city street market bridge tower garden flower flowers tree trees cloud sky
running sleeping flying standing jumping walking eating reading writing playing
banana bananas icicle bicycle recycled tricycle unbelievable internationally
highly detailed sharp focus cinematic lighting trending digital art watercolor
isn wasn couldn they we you i he she it don won is was are were be been being
café naïve façade über straße señor Ångström crème brûlée jalapeño smörgåsbord
дом кот собака красный Привет мир Ελλάδα ουρανός Σίσυφος שלום مرحبا नमस्ते
日本 日本語 東京 漢字 ひらがな カタカナ 中文 北京 서울 한국어 ประเทศไทย
🙂 😀 🎨 🚀 🌈 👩‍🚀 👍🏽 🇫🇷 ❤️ ... !!! ?? -- // :) <3 © ™ € £ ½ ²""".split()

SPACES = [" ", "  ", "\t", "\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x1f",
          "\x85", "\xa0", "\u1680", "\u180e", "\u2003", "\u200b", "\u2028",
          "\u2029", "\u202f", "\u3000", "\ufeff"]
CONTROLS = ["\x00", "\x01", "\x08", "\x1b", "\x7f", "\x80", "\xad", "\u200d",
            "\u200e", "\ufffd", "\ufffe", "\U000e0001"]
ENDINGS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "’s", "''",
           "'street", "'reindeer", "'", "!'s", "'ſ"]
MARKS = ["e\u0301", "a\u030a", "u\u0308\u0301", "s\u0323\u0307", "s\u0307\u0323",
         "\u0301", "q\u0308", "\u0344", "\u0958", "\u1112\u1161\u11ab",
         "\u0130", "I\u0307", "\u212b", "\u2126", "\u212a", "ẞ", "ǅ", "ﬁ", "Σ",
         "ΑΣ", "Ω\u0345", "\u2000", "Ⅷ", "ⅷ", "\U0001d15e", "\U00010400"]
DIGITS = ["0", "7", "42", "2024", "3.14", "1,000", "٣٤", "二", "½", "²³", "①"]
SIGNS = list("!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'") + ["¿", "…", "—", "«", "»"]
TAGS = [START, END, START.upper(), END.upper(), "<|EndOfText|>", "<|endoftext",
        "endoftext|>", "<|", "|>", "</w>", "a</w>", "<|endoftext|>!!", "!" + END,
        "<|ENDOFTEXT|>!!", "!<|ENDOFTEXT|>", END + END]


def byte_symbols():
    printable = [b for b in range(256)
                 if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    others = [b for b in range(256) if b not in printable]
    symbols = {b: chr(b) for b in printable}
    symbols.update({b: chr(256 + i) for i, b in enumerate(others)})
    return [symbols[b] for b in printable + others], symbols


def train(rng):
    """Byte-pair encoding of WORDS under random frequencies: tokens, merges."""
    alphabet, symbols = byte_symbols()
    words = []
    for word in WORDS:
        parts = [symbols[b] for b in word.lower().encode()]
        words.append((parts[:-1] + [parts[-1] + "</w>"], rng.randint(1, 50)))
    tokens = alphabet + [symbol + "</w>" for symbol in alphabet]
    merges = []
    while len(merges) < MERGES:
        counts = collections.Counter()
        for parts, frequency in words:
            for pair in zip(parts, parts[1:]):
                counts[pair] += frequency
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        if "".join(best) not in tokens:
            tokens.append("".join(best))
        for parts, _ in words:
            i = 0
            while i + 1 < len(parts):
                if (parts[i], parts[i + 1]) == best:
                    parts[i:i + 2] = ["".join(best)]
                i += 1
    return tokens + [START, END], merges


def any_character(rng):
    """Of an older Unicode than both sides' tables: newer ones may differ."""
    while True:
        code = rng.choice([rng.randrange(0x20, 0x3000),
                           rng.randrange(0x20, 0x110000)])
        if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co"):
            return chr(code)


def any_case(rng, word):
    return rng.choice([word, word.lower(), word.upper(), word.title(),
                       word.swapcase()])


def piece(rng):
    kind = rng.randrange(12)
    if kind < 4:
        return any_case(rng, rng.choice(WORDS))
    if kind == 4:
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz")
                       for _ in range(rng.randint(1, 12)))
    if kind == 5:
        return "".join(rng.choice(SIGNS) for _ in range(rng.randint(1, 6)))
    if kind == 6:
        return "".join(any_character(rng) for _ in range(rng.randint(1, 4)))
    return rng.choice([ENDINGS, MARKS, DIGITS, TAGS, CONTROLS][kind - 7])


def text(rng, most):
    out = ""
    for _ in range(rng.randint(0, most)):
        out += piece(rng)
        chance = rng.random()
        if chance < 0.6:
            out += " "
        elif chance < 0.75:
            out += rng.choice(SPACES)
    return out


def make_texts(rng):
    texts = ["", " ", "\n", "!", "a", START, END, START + END, "a" * 500,
             "banana" * 40, "a photo of a cat, isn't it?", "🙂" * 60]
    while len(texts) < 1000:
        texts.append(text(rng, 200 if len(texts) % 20 == 0 else 12))
    return texts


def token(content, normalized=True, **more):
    return dict(content=content, lstrip=False, normalized=normalized,
                rstrip=False, single_word=False, **more)


def legacy_files():
    """Files beside those of every folder, by kind: tokens added the old way."""
    more = {"<Cat-Toy>": len(VOCABULARY), "<cat": len(VOCABULARY) + 1,
            END: VOCABULARY[END]}
    listed = [dict(id=len(VOCABULARY) + i, **token(name, i == 0, special=False))
              for i, name in enumerate(["<Cat-Toy>", "<cat", "<cat-nap>"])]
    unified = {"version": "1.0", "truncation": None, "padding": None,
               "added_tokens": listed, "normalizer": None,
               "pre_tokenizer": None, "post_processor": None, "decoder": None,
               "model": {"type": "BPE", "vocab": VOCABULARY,
                         "merges": [f"{a} {b}" for a, b in merges],
                         "unk_token": END, "end_of_word_suffix": "</w>",
                         "continuing_subword_prefix": "", "fuse_unk": False}}
    return {"legacy": {"added_tokens.json": more},
            "legacy_unified": {"tokenizer.json": unified}}


def folders():
    """kind -> (tokenizer_config.json, special_tokens_map.json or None)."""
    typed = {"__type": "AddedToken"}
    plain = dict(bos_token=START, eos_token=END, unk_token=END)
    tokens = dict(bos_token=token(START), eos_token=token(END),
                  unk_token=token(END))
    in_config = {key: {**typed, **value} for key, value in tokens.items()}
    start, end = str(VOCABULARY[START]), str(VOCABULARY[END])
    listed = {"0": token("!", False, special=True),
              start: token(START, special=True), end: token(END, special=True)}
    extra = {start: token(START, special=True),
             end: token(END, False, special=True),
             str(len(VOCABULARY)): token("<Cat-Toy>", special=False),
             str(len(VOCABULARY) + 1): token("<cat", False, special=False),
             str(len(VOCABULARY) + 2): token("<cat-nap>", False, special=False)}
    return {
        "clip_l": ({**in_config, "pad_token": END}, {**tokens, "pad_token": END}),
        "clip_l_alone": ({**in_config, "pad_token": END}, None),
        "clip_g": ({**in_config, "pad_token": "!"}, {**tokens, "pad_token": "!"}),
        "sd3_second": ({**plain, "pad_token": "!", "added_tokens_decoder": listed},
                       {**tokens, "pad_token": token("!", False)}),
        "added": ({**plain, "pad_token": END, "added_tokens_decoder": extra}, None),
        "short": ({**plain, "pad_token": END, "model_max_length": 8}, None),
        "bare": ({}, None),
        "legacy": (in_config, {**tokens, "pad_token": "<Cat-Toy>"}),
        "legacy_unified": ({**plain, "pad_token": END}, None),
        "options": ({**plain, "do_lower_case": False, "add_prefix_space": True,
                     "strip_accents": True, "add_bos_token": False,
                     "additional_special_tokens": []}, None),
    }


def save(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")


def ids(folder, texts):
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    return tokenizer(texts, padding="max_length", truncation=True).input_ids


rng = random.Random(0)
out = pathlib.Path(sys.argv[1])
tokens, merges = train(rng)
VOCABULARY = {name: i for i, name in enumerate(tokens)}
texts = make_texts(rng)
texts[20:24] = ["<cat-toy> <CAT-TOY>", "a<cat", "<cat-toy>", "my <cat-nap>!"]
save(out / "texts.json", texts)
for kind, (config, special) in folders().items():
    folder = out / kind
    folder.mkdir()
    save(folder / "vocab.json", VOCABULARY)
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges),
        encoding="utf-8")
    save(folder / "tokenizer_config.json",
         {"model_max_length": LENGTH, "tokenizer_class": "CLIPTokenizer",
          "do_lower_case": True, **config})
    for name, content in legacy_files().get(kind, {}).items():
        save(folder / name, content)
    if special is not None:
        save(folder / "special_tokens_map.json", special)
    save(out / f"{kind}.json", ids(folder, texts))
    if kind in ("clip_l", "sd3_second", "added"):
        saved = out / f"{kind}_saved"
        CLIPTokenizer.from_pretrained(folder).save_pretrained(saved)
        save(out / f"{kind}_saved.json", ids(saved, texts))
save(out / "words.json", ids(sys.argv[2], texts))
