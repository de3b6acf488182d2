"""Writes steps of diffusers' DDIMScheduler, for ddim_test.cpp.

Usage: ddim_peer.py OUTPUT.json
"""

import json
import random
import sys

import quiet  # before the others
import torch
from diffusers import DDIMScheduler, PNDMScheduler

SD15 = dict(
    beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
    set_alpha_to_one=False, steps_offset=1)
dice = random.Random(4)


def own(**more):
    return DDIMScheduler(clip_sample=False, **{**SD15, **more})


def as_pipelines_do():
    """The pipelines' PNDM scheduler, made a DDIM one."""
    pndm = PNDMScheduler(skip_prk_steps=True, **SD15)
    return DDIMScheduler.from_config(pndm.config, clip_sample=False)


def case(scheduler, steps, eta):
    scheduler.set_timesteps(steps)
    rows = []
    for timestep in scheduler.timesteps:
        x, y, eps = (dice.gauss(0, 1) for _ in range(3))
        after = scheduler.step(
            torch.tensor([y], dtype=torch.float64), timestep,
            torch.tensor([x], dtype=torch.float64), eta=eta,
            variance_noise=torch.tensor([eps], dtype=torch.float64))
        rows.append(dict(x=x, y=y, eps=eps, next=after.prev_sample.item()))
    return dict(config=json.loads(scheduler.to_json_string()), steps=steps,
                eta=eta, timesteps=scheduler.timesteps.tolist(), rows=rows)


schedulers = [
    own(), as_pipelines_do(),
    own(num_train_timesteps=300, beta_start=0.003, beta_end=0.03,
        steps_offset=2),
]
with open(sys.argv[1], "w") as file:
    json.dump([case(scheduler, steps, eta) for scheduler in schedulers
               for steps in (1, 7, 30, 50) for eta in (0.0, 0.4, 1.0)], file)
