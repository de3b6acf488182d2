"""GenEval's rules and Flow-GRPO's graded score, for geneval_rules_test.

    geneval_rules_peer.py OUT

Writes OUT/cases.json: "classes", and "cases" of made-up detections, each with
the metadata of a prompt, thresholds and the verdicts by the published rules
(arXiv 2310.11513 and its evaluation script; arXiv 2505.05470 and its reward
server), worked out here for themselves; and "pixels": colours with what they
are called by value, saturation and hue. Numbers of boxes and scores are
float32, as detectors give them.
"""

import colorsys
import json
import pathlib
import random
import sys

import numpy as np

CLASSES = ["person", "bench", "potted plant", "cat", "vase"]
COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "pink",
           "brown", "black", "white"]
RELATIONS = ["left of", "right of", "above", "below"]
TAGS = ["single_object", "two_object", "counting", "colors", "position",
        "color_attr"]
PUBLISHED = {"threshold": 0.3, "counting_threshold": 0.9, "max_objects": 16,
             "max_overlap": 1.0, "position_threshold": 0.1}
F = np.float32


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    shared = max(width, 0) * max(height, 0)
    both = sum(max(c[2] - c[0] + 1, 0) * max(c[3] - c[1] + 1, 0)
               for c in (a, b)) - shared
    return shared / both if both else 0


def kept(detections, tag, rules):
    """By class, surest first, each [box, colour]."""
    least = F(rules["counting_threshold" if tag == "counting"
                    else "threshold"])
    out = {}
    for index, name in enumerate(CLASSES):
        own = [d for d in detections if d["class"] == index]
        order = np.argsort([F(d["score"]) for d in own], kind="stable")[::-1]
        sure = [own[i] for i in order if F(own[i]["score"]) > least]
        sure = sure[:rules["max_objects"]]
        chosen = []
        for d in sure:
            if rules["max_overlap"] == 1 or all(
                    iou(d["box"], c["box"]) < rules["max_overlap"]
                    for c in chosen):
                chosen.append(d)
        if chosen:
            out[name] = chosen
    return out


def relations(a, b, margin):
    a, b = (np.array(d["box"], F).reshape(2, 2) for d in (a, b))
    offset = a.mean(0) - b.mean(0)
    sizes = np.abs(a[1] - a[0]) + np.abs(b[1] - b[0])
    clear = np.maximum(np.abs(offset) - F(margin) * sizes, F(0))
    clear = clear * np.sign(offset)
    if np.all(np.abs(clear) < 1e-3):
        return []
    dx, dy = clear / np.linalg.norm(offset)
    there = [dx < -0.5, dx > 0.5, dy < -0.5, dy > 0.5]
    return [word for word, is_so in zip(RELATIONS, there) if is_so]


def first_wrong_place(objects, targets, wanted, margin):
    for o in objects:
        for target in targets:
            found = relations(o, target, margin)
            if wanted not in found:
                return " and ".join(found) or "at its place"
    return None


def count_colours(objects):
    found = [f"{n} {colour}" for colour in COLOURS
             if (n := sum(o["colour"] == colour for o in objects))]
    return ", ".join(found) or "none of a known colour"


def official(found, task, margin):
    """The benchmark's verdict: at least so many, the surest looked at."""
    reasons, groups = [], []
    for clause in task["include"]:
        name, count = clause["class"], clause["count"]
        objects = found.get(name, [])[:count]
        group = None
        if len(objects) < count:
            reasons.append(f"expected at least {count} {name}, "
                           f"found {len(objects)}")
        elif "color" in clause and any(o["colour"] != clause["color"]
                                       for o in objects):
            reasons.append(f"expected {count} {clause['color']} {name}, "
                           f"found {count_colours(objects)}")
        elif "position" in clause:
            wanted, target = clause["position"]
            if groups[target] is None:
                reasons.append(f"nothing right for {name} to be {wanted}")
            else:
                wrong = first_wrong_place(objects, groups[target], wanted,
                                          margin)
                if wrong is None:
                    group = objects
                else:
                    reasons.append(f"expected {name} {wanted} its target, "
                                   f"found {wrong}")
        else:
            group = objects
        groups.append(group)
    for clause in task.get("exclude", []):
        n = len(found.get(clause["class"], []))
        if n >= clause["count"]:
            reasons.append(f"expected fewer than {clause['count']} "
                           f"{clause['class']}, found {n}")
    return not reasons, "\n".join(reasons)


def graded(found, task, margin):
    """The strict verdict and the mean mark: exactly so many."""
    reasons, groups, marks = [], [], []
    for clause in task["include"]:
        name, count = clause["class"], clause["count"]
        objects = found.get(name, [])
        groups.append(None)
        marks.append(1 - abs(count - len(objects)) / count)
        if len(objects) != count:
            reasons.append(f"expected {count} {name}, found {len(objects)}")
            if "color" in clause or "position" in clause:
                marks.append(0.0)
            continue
        if "color" in clause:
            n = sum(o["colour"] == clause["color"] for o in objects)
            marks.append(1 - abs(count - n) / count)
            if n != count:
                reasons.append(f"expected {count} {clause['color']} {name}, "
                               f"found {count_colours(objects)}")
                continue
        if "position" in clause:
            wanted, target = clause["position"]
            if groups[target] is None:
                marks.append(0.0)
                reasons.append(f"nothing right for {name} to be {wanted}")
                continue
            wrong = first_wrong_place(objects, groups[target], wanted, margin)
            if wrong is not None:
                marks.append(0.0)
                reasons.append(f"expected {name} {wanted} its target, "
                               f"found {wrong}")
            marks.append(1.0)
            if wrong is not None:
                continue
        groups[-1] = objects
    return not reasons, sum(marks) / len(marks), "\n".join(reasons)


def make_task(rng, tag):
    one, two = rng.sample(CLASSES, 2)
    clause = {"class": one, "count": 1}
    if tag == "single_object":
        return {"tag": tag, "include": [clause]}
    if tag == "counting":
        clause["count"] = rng.randint(1, 4)
        return {"tag": tag, "include": [clause],
                "exclude": [{"class": one, "count": clause["count"] + 1}]}
    if tag == "colors":
        clause.update(color=rng.choice(COLOURS[:2]), count=rng.randint(1, 2))
        return {"tag": tag, "include": [clause]}
    other = {"class": two, "count": rng.choice([1, 1, 1, 2])}
    if tag == "position":
        other["position"] = [rng.choice(RELATIONS), 0]
    if tag == "color_attr":
        clause["color"], other["color"] = rng.sample(COLOURS[:3], 2)
    if tag == "color_attr" and rng.random() < 0.3:  # more than is published
        other["position"] = [rng.choice(RELATIONS), 0]
    return {"tag": tag, "include": [clause, other]}


def make_detections(rng, task):
    asked = [CLASSES.index(c["class"]) for c in task["include"]]
    exact = [float(F(x)) for x in (0.3, 0.9)]
    above = [float(np.nextafter(F(x), F(1))) for x in (0.3, 0.9)]
    out = []
    for kind in asked:
        wanted = task["include"][asked.index(kind)]["count"]
        few = [wanted] * 8 + [0, wanted + 1, wanted + 2, 18]
        for _ in range(rng.choice(few)):
            out.append({"class": kind})
    for _ in range(rng.choice([0, 0, 0, 1, 5])):
        out.append({"class": rng.randrange(len(CLASSES))})
    rng.shuffle(out)
    wanted = {CLASSES.index(c["class"]): c["color"]
              for c in task["include"] if "color" in c}
    places = [[8 * rng.randint(0, 40), 8 * rng.randint(0, 40)]
              for _ in range(3)]
    for d in out:
        d["score"] = rng.choice(
            exact + above + 9 * [0.95] + [float(F(rng.uniform(0.2, 1)))
                                          for _ in range(3)])
        d["score"] = float(F(d["score"]))
        x, y = rng.choice(places + [[rng.randint(0, 400) / 8 * 5,
                                     rng.randint(0, 400) / 8 * 5]])
        w, h = rng.choice([(64, 64), (40, 40), (0, 0), (80, 16),
                           (rng.randint(1, 800) / 8, rng.randint(1, 800) / 8)])
        d["box"] = [float(x), float(y), float(x + w), float(y + h)]
        d["colour"] = rng.choice(12 * [wanted.get(d["class"])] + COLOURS[:4]
                                 + [None])
    return out


def make_case(rng, number):
    task = make_task(rng, TAGS[number % len(TAGS)])
    task["prompt"] = "a photo"
    rules = dict(PUBLISHED)
    if number % 3 == 0:
        rules.update(max_overlap=rng.choice([0.3, 0.5, 0.9]),
                     max_objects=rng.choice([2, 3, 16]),
                     position_threshold=rng.choice([0.05, 0.25, 0.1]))
    detections = make_detections(rng, task)
    found = kept(detections, task["tag"], rules)
    margin = rules["position_threshold"]
    correct, reason = official(found, task, margin)
    strict, mark, strict_reason = graded(found, task, margin)
    return {"task": task, "rules": rules, "detections": detections,
            "correct": correct, "reason": reason, "strict": strict,
            "graded": mark, "strict_reason": strict_reason}


def hue_name(rgb):
    hue, saturation, value = colorsys.rgb_to_hsv(*rgb)
    if value < 0.2:
        return "black"
    if saturation < 0.15:
        return "white" if value > 0.8 else None
    for end, name in ((15, "red"), (45, "orange"), (70, "yellow"),
                      (165, "green"), (255, "blue"), (310, "purple"),
                      (345, "pink"), (361, "red")):
        if 360 * hue < end:
            break
    if name == "orange" and value < 0.65:
        return "brown"
    if name == "red" and value > 0.7 and saturation < 0.6:
        return "pink"
    if name == "red" and value <= 0.7 and saturation < 0.8:
        return "brown"
    return name


def main(out):
    rng = random.Random(0)
    cases = [make_case(rng, number) for number in range(900)]
    pixels = [[rng.random() ** rng.choice([0.3, 1, 3]) for _ in range(3)]
              for _ in range(500)]
    (out / "cases.json").write_text(json.dumps(
        {"classes": CLASSES, "cases": cases,
         "pixels": [{"rgb": rgb, "colour": hue_name(rgb)} for rgb in pixels]}))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
