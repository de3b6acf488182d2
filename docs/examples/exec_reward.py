"""A reward of one's own as a program: how bright a picture is.

    reward: "exec:python3 docs/examples/exec_reward.py"

docs/rewards.md describes what is read and printed.
"""

import json
import sys


def say(message):
    print(json.dumps(message), flush=True)


say({"ready": True, "name": "brightness"})  # after loading a model, say
for line in sys.stdin.buffer:
    request = json.loads(line)
    size = request["height"] * request["width"] * request["channels"]
    scores = []
    for prompt in request["prompts"]:
        pixels = sys.stdin.buffer.read(size)  # row by row, RGB, 0 to 255
        scores.append(sum(pixels) / size / 255)
    dark = [float(score < 0.5) for score in scores]
    say({"id": request["id"], "scores": scores, "metrics": {"dark": dark}})
