"""Writes diffusers' flow-matching time grids, for flow_matching_test.cpp.

Usage: flow_matching_peer.py OUTPUT.json
"""

import json
import sys

from diffusers import FlowMatchEulerDiscreteScheduler


def grid(shift, train_steps, steps):
    scheduler = FlowMatchEulerDiscreteScheduler(
        num_train_timesteps=train_steps, shift=shift
    )
    scheduler.set_timesteps(steps)
    return {
        "config": json.loads(scheduler.to_json_string()),
        "steps": steps,
        "times": scheduler.sigmas.double().tolist(),
    }


grids = [
    grid(shift, train_steps, steps)
    for shift in (1.0, 1.15, 3.0, 6.0)
    for train_steps in (100, 1000)
    for steps in (1, 2, 10, 28, 40)
]
with open(sys.argv[1], "w") as file:
    json.dump(grids, file)
