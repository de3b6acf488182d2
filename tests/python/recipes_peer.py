"""Runs every recipe that the help and the docs print, for recipes_test.

    recipes_peer.py ROOT PROGRAM SHOP

ROOT is the project, PROGRAM its build/rsm. SHOP is a folder to run in: it
stands for the project's root and has the runs that recipes speak of.

A recipe is a line of `rsm COMMAND --help` or of an indented block of the docs
that begins with rsm or build/rsm, such a command in backticks, a block of
Python in the docs, and the Python of the help. What has a placeholder (RUN,
CONFIG, ...) is grammar, not a recipe. Python recipes run as they are. What
would take long is shortened by its command's rule in SHORTER, which keeps all
words of the recipe.

Not run, and why: NOT_RUN.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

DOCS = ["README.md", "CONTRIBUTING.md", "docs/*.md", "bench/README.md",
        "bench/python/README.md", "models/*/README.md"]
COMMAND = r"(?:build/)?rsm [a-z]+\b"

# Keeps a recipe's words and adds to them, or to its command.
SHORTER = {
    "check": lambda words: f"{words} --quick",
    "finetune": lambda words: re.sub(
        r" --from(-epoch)? \S+", "",
        words.replace("finetune", "check", 1)) + " --quick",
    "sweep": lambda words: f"{words} --list",
    "evaluate": lambda words: f"{words} --images 6",
    "analyze": lambda words: words + (
        " --points 1 --samples 16"
        if "estimators" in words and "--points" not in words else "")
    + (" --roots 3 --branches 2 --blocks 3" if "signal" in words else ""),
    # Every entry is tried by Laboratory.EveryEntryIsTried.
    "verify": lambda words: re.sub(r"verify(?= --|$)", "verify rsm-flow ram",
                                   words) + " --epochs 1 --points 64",
    "pretrain": lambda words: f"{words} --set train.images=64 "
    f"--set output=again/{pathlib.Path(words.split()[2]).stem}/model"
    + (" --set data.samples=12 --set data.calibration=12 "
       "--set measure.renders=12 --set measure.samples=12"
       if "scorer" in words else ""),
}
NOT_RUN = [
    (r"rsm compare runs/(methods|first-order)", "compares the runs of a sweep of hours; "
     "other recipes compare runs"),
    (r"\b(configs|runs)/sd(15|35)", "need models that do not ship; "
     "paper_configs_test runs these configs on small ones"),
]


def rsm(shop, *words):
    return subprocess.run(["build/rsm", *words], cwd=shop, text=True,
                          capture_output=True, check=True).stdout


def helps(shop):
    """The help of the program and of each of its commands, by its title."""
    top = rsm(shop, "--help")
    names = re.findall(r"^  ([a-z]+) +[A-Z]", top.split("Subcommands:")[1],
                       re.MULTILINE)
    assert "finetune" in names, names
    return {"rsm --help": top,
            **{f"rsm {name} --help": rsm(shop, name, "--help")
               for name in names}}


def docs(root):
    return {str(path.relative_to(root)): path.read_text()
            for pattern in DOCS for path in sorted(root.glob(pattern))}


def indented(text):
    """Commands that stand alone on a line, without what explains them."""
    text = re.sub(r"\\\n\s*", " ", text)
    for line in re.findall(rf"^ {{2,4}}({COMMAND}.*)$", text, re.MULTILINE):
        yield re.split(r"\s+#|\s{3,}", line)[0]


def quoted(text):
    """Commands in backticks that say what they work on."""
    return re.findall(rf"`({COMMAND} [^`-][^`]*)`", text)


def is_recipe(words):
    return not re.search(r"\b[A-Z]{3,}\b|\.\.\.", words)


def python_of_help(text):
    """The block after the line that announces it."""
    return [block.replace("\n  ", "\n").strip() for block
            in re.findall(r"in Python[^\n]*:\n\n((?:  .*\n)+)", text)]


def python_of_docs(text):
    return re.findall(r"^```python\n(.*?)^```", text,
                      re.MULTILINE | re.DOTALL)


def reason_not_to_run(words):
    return next((why for pattern, why in NOT_RUN if re.search(pattern, words)),
                None)


def run_shell(words, shop):
    command = re.search(r"rsm ([a-z]+)", words)[1]
    words = SHORTER.get(command, lambda same: same)(words)
    done = subprocess.run(["bash", "-c", f"build/{words}"], cwd=shop,
                          text=True, capture_output=True)
    return "" if done.returncode == 0 else f"{words}\n{done.stderr}"


def run_python(text):
    try:
        exec(compile(text, "recipe", "exec"), {})
    except Exception as error:
        return f"{text}\n{type(error).__name__}: {error}"
    return ""


def main(root, program, shop):
    root, shop = pathlib.Path(root), pathlib.Path(shop)
    for name in ("configs", "models", "bench", "docs"):
        shutil.copytree(root / name, shop / name)
    (shop / "build").mkdir()
    (shop / "build/rsm").symlink_to(program)
    printed, written = helps(shop), docs(root)
    own = re.search(r"^```yaml\n(name:.*?)^```", written["docs/methods.md"],
                    re.MULTILINE | re.DOTALL)[1]
    (shop / "my.yaml").write_text(own)  # as the recipes below it call it
    shell, python = {}, {}
    for where, text in {**printed, **written}.items():
        found = [*indented(text), *(quoted(text) if where in written else ())]
        shell.update({words.removeprefix("build/"): where
                      for words in found if is_recipe(words)})
        blocks = (python_of_docs if where in written else python_of_help)(text)
        python.update({block: where for block in blocks})
    failed = []
    # Exports come first: others work on what they write.
    for words in sorted(shell, key=lambda words: "rsm export" not in words):
        why = reason_not_to_run(words)
        print(f"not run: {words}: {why}" if why else words, flush=True)
        if not why:
            failed += [(shell[words], run_shell(words, shop))]
    os.chdir(shop)
    for block, where in python.items():
        print(f"Python of {where}", flush=True)
        failed += [(where, run_python(block))]
    failed = [(where, what) for where, what in failed if what]
    for where, what in failed:
        print(f"FAILED in {where}: {what}")
    # Ones that must be found, lest a change of layout hides them all.
    assert any("rsm export" in words for words in shell), shell
    assert "rsm export --help" in python.values(), python
    assert any(where.startswith("models/") for where in python.values()), python
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
