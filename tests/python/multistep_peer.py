"""Writes steps of diffusers' multistep solvers, for adams_solver_test.cpp.

Usage: multistep_peer.py OUTPUT.json

Of every step its input, a network's output, noise and where it leads. Outputs
are random, no solver may mind, or in closed loop those of one function that both
sides ask where they are. Noise levels are in double, diffusers' own are rounded
to float32. diffusers has no Adams and Bashforth for flows: there it is the
integral of the line through two outputs, written out.
"""

import json
import random
import sys
from types import SimpleNamespace

import quiet  # before the others
import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SASolverScheduler
from diffusers.schedulers import scheduling_lms_discrete as lms
from diffusers.schedulers import scheduling_sasolver as sa

SD15 = dict(
    beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
dice = random.Random(5)


def normal():
    return torch.tensor([dice.gauss(0, 1)], dtype=torch.float64)


def network(x, t):
    return torch.sin(3 * x + 4 * t) + x / 2


def gauss(function, start, end, **_):
    """scipy's quad of a polynomial; scipy itself is not there."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    half = (end - start) / 2
    return [half * sum(w * function(start + half * (1 + x))
                       for x, w in zip(nodes, weights))]


def variance_exploding(timesteps):
    """sigma / alpha of whole timesteps, and of 0."""
    betas = torch.linspace(
        0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    alpha_bar = torch.cumprod(1 - betas, 0)[timesteps + [0]]
    return torch.sqrt((1 - alpha_bar) / alpha_bar)


def adams(steps, orders, tau, interval, flow, closed=False):
    noise = None
    sa.randn_tensor = lambda *_, **__: noise
    inside = lambda t: tau if interval[0] <= t <= interval[1] else 0.0
    scheduler = SASolverScheduler(
        predictor_order=orders[0], corrector_order=orders[1],
        tau_func=lambda i: inside(times[i]), use_flow_sigmas=flow,
        flow_shift=3.0,
        prediction_type="flow_prediction" if flow else "epsilon", **SD15)
    scheduler.set_timesteps(steps)
    if flow:
        # diffusers ends at the last level twice.
        scheduler.sigmas = scheduler.sigmas.double()
        scheduler.sigmas[-1] = scheduler.sigmas[-2] / 4
        times = scheduler.sigmas.tolist()
    else:
        timesteps = scheduler.timesteps.tolist()
        scheduler.sigmas = variance_exploding(timesteps)
        times = [t / 1000 for t in timesteps] + [0.0]
    start = x = normal()
    rows = []
    for i in range(steps):
        noise = normal()
        y = network(x, times[i]) if closed else normal()
        scheduler._step_index = i
        x = scheduler.step(y, i, x).prev_sample  # i is what tau is asked for
        rows.append(dict(y=y.item(), eps=noise.item(), next=x.item()))
    return dict(flow=flow, closed=closed, times=times, predictor_order=orders[0],
                corrector_order=orders[1], tau=tau, interval=interval,
                start=start.item(), rows=rows)


def bashforth(steps, closed):
    scheduler = lms.LMSDiscreteScheduler(
        timestep_spacing="leading", steps_offset=1, **SD15)
    scheduler.set_timesteps(steps)
    timesteps = [int(t) for t in scheduler.timesteps.tolist()]
    scheduler.sigmas = variance_exploding(timesteps)
    scheduler.is_scale_input_called = True
    times = [t / 1000 for t in timesteps] + [0.0]
    # Its states are x / alpha.
    alpha = 1 / torch.sqrt(1 + scheduler.sigmas**2)
    start = x = normal()
    rows = []
    for i in range(steps):
        y = network(x, times[i]) if closed else normal()
        scheduler._step_index = i
        x = scheduler.step(y, scheduler.timesteps[i], x / alpha[i],
                           order=2).prev_sample * alpha[i + 1]
        rows.append(dict(y=y.item(), next=x.item()))
    return dict(flow=False, closed=closed, times=times, start=start.item(),
                rows=rows)


def written_out(steps, closed):
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(steps)
    times = scheduler.sigmas.double().tolist()
    start = x = normal()
    before = None
    rows = []
    for i in range(steps):
        y = network(x, times[i]) if closed else normal()
        h = times[i + 1] - times[i]
        step = h * y
        if i > 0:
            slope = (y - before) / (times[i] - times[i - 1])
            step = step + slope * h**2 / 2
        x, before = x + step, y
        rows.append(dict(y=y.item(), next=x.item()))
    return dict(flow=True, closed=closed, times=times, start=start.item(),
                rows=rows)


lms.integrate = SimpleNamespace(quad=gauss)
everywhere, middle = (0.0, 1.0), (0.2, 0.8)
cases = [
    adams(steps, orders, tau, interval, flow)
    for flow in (False, True)
    for steps, orders, tau, interval in (
        (8, (2, 2), 0.0, everywhere),
        (8, (2, 2), 1.0, middle),
        (8, (2, 2), 0.4, (0.3, 0.9)),
        (8, (1, 1), 1.0, everywhere),
        (8, (3, 4), 0.0, everywhere),
        (20, (3, 4), 1.0, middle),
        (20, (4, 3), 0.7, everywhere),
        (3, (4, 4), 1.0, middle))
]
cases += [
    adams(steps, orders, tau, middle, flow, closed=True)
    for flow in (False, True)
    for steps, orders, tau in ((8, (2, 2), 1.0), (20, (3, 4), 0.4))
]
without_noise = [
    solver(steps, closed)
    for solver in (bashforth, written_out)
    for closed in (False, True)
    for steps in (5, 20)
]
with open(sys.argv[1], "w") as file:
    json.dump(dict(adams=cases, bashforth=without_noise), file)
