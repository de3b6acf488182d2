"""The table of bench/against-python: medians over rounds and epochs.

    table.py FOLDER ROUNDS

FOLDER holds ours-TYPE-ROUND.jsonl (run logs of rsm), MODE-TYPE-ROUND.json
(epoch.py's output) and start_up-ROUND.txt (seconds of a whole `rsm sample` of
one picture in one step, an upper bound of rsm's start-up).
"""

import json
import pathlib
import platform
import statistics
import sys

NAMES = {"published": "Python, as published", "shared": "Python, shared"}


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def ours(path, start_up):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines[2:]:  # without the evaluation and the warm-up
        seconds = line["seconds"]
        update = seconds["old"] + seconds["update"]
        yield {"rollout": line["rows"] / seconds["rollout"],
               "update": line["rows"] / update,
               "epoch": line["rows"] / (seconds["rollout"] + update),
               "memory": line["peak_memory_mb"], "start_up": start_up}


def theirs(path):
    result = json.loads(path.read_text())
    for epoch in result["epochs"]:
        yield {"rollout": epoch["images_per_s"]["rollout"],
               "update": epoch["images"] / epoch["update_s"],
               "epoch": epoch["images_per_s"]["epoch_without_reward"],
               "memory": result["peak_memory_mb"],
               "start_up": result["start_up_s"]}


def collect(folder, rounds, kind):
    table = {}
    for name in ("rsm", *NAMES):
        samples = []
        for i in range(1, rounds + 1):
            if name == "rsm":
                start = float((folder / f"start_up-{i}.txt").read_text())
                samples += ours(folder / f"ours-{kind}-{i}.jsonl", start)
            else:
                samples += theirs(folder / f"{name}-{kind}-{i}.json")
        table[name] = {key: [s[key] for s in samples] for key in samples[0]}
    return table


def main():
    folder, rounds = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    print(f"{processor()}, {rounds} rounds; median (lowest to highest)")
    for kind in ("float32", "bfloat16"):
        table = collect(folder, rounds, kind)
        print(f"\n{kind}: pictures/s, MiB, s")
        print(f"{'':22}" + "".join(f"{key:>22}" for key in table["rsm"]))
        for name, columns in table.items():
            cells = (f"{statistics.median(v):.4g} ({min(v):.3g}-{max(v):.3g})"
                     for v in columns.values())
            print(f"{NAMES.get(name, name):22}"
                  + "".join(f"{cell:>22}" for cell in cells))
        for name in NAMES:
            ratio = {key: statistics.median(table["rsm"][key])
                     / statistics.median(table[name][key])
                     for key in table["rsm"]}
            for key in ("memory", "start_up"):
                ratio[key] = 1 / ratio[key]
            print(f"{'rsm is better by':22}"
                  + "".join(f"{value:>21.2f}x" for value in ratio.values())
                  + f"  than {NAMES[name]}")


if __name__ == "__main__":
    main()
