"""TempFlow-GRPO with diffusers, transformers and peft: the pieces of an epoch.

A rollout has states (latents of the roots at the steps that branch) and rows
(a stochastic branch each). Latents are [B,C,H,W] float32.
"""

import math
from collections import defaultdict
from types import SimpleNamespace
from typing import NamedTuple

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from peft import LoraConfig, get_peft_model
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

TARGETS = ["attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0",
           "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj",
           "attn.to_add_out"]
NOISE_SCALE = 2.25  # strength of a step: 2.25 s
BETA = 0.004
CLIP_RANGE = 1e-4
ADVANTAGE_CLIP = 5.0
DEAD_SPREAD = 1e-12  # groups with less have no guidance


class Mode(NamedTuple):
    repeat_first_step: bool  # branches evaluate the root's state again
    pass_per_row: bool       # in the update; else one pass a state
    together: bool           # branches of all steps go on in the same calls


MODES = {"plain": Mode(True, True, False),
         "published": Mode(False, True, False),
         "shared": Mode(False, False, True)}


class Step(NamedTuple):
    """x' = a_x x + m_y y + s eps, from time t to t_next."""
    t: float
    t_next: float
    a_x: float
    m_y: float
    s: float


def flow_sde_steps(folder, count, noise_level):
    """The folder's schedule with Flow-GRPO's noise."""
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(
        folder, subfolder="scheduler")
    scheduler.set_timesteps(count)
    times, steps = scheduler.sigmas.tolist(), []
    for t, t_next in zip(times[:-1], times[1:]):
        dt = t - t_next
        variance = noise_level ** 2 * t / (1 - (times[1] if t == 1 else t))
        steps.append(Step(t, t_next, 1 - variance * dt / (2 * t),
                          -(1 + variance * (1 - t) / (2 * t)) * dt,
                          math.sqrt(variance * dt)))
    return steps


@torch.no_grad()
def encode(folder, texts):
    """Tokens [B,L,W] and pooled [B,W] of the texts."""
    tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer")
    encoder = CLIPTextModelWithProjection.from_pretrained(
        folder, subfolder="text_encoder", torch_dtype=torch.float32)
    ids = tokenizer(texts, padding="max_length", truncation=True,
                    max_length=tokenizer.model_max_length,
                    return_tensors="pt").input_ids
    out = encoder(ids, output_hidden_states=True)
    return out.hidden_states[-2], out.text_embeds


class Policy:
    """The transformer with an unmerged LoRA; counts the rows evaluated."""

    def __init__(self, folder, dtype, guidance, unconditional):
        base = SD3Transformer2DModel.from_pretrained(
            folder, subfolder="transformer", torch_dtype=torch.float32)
        base.requires_grad_(False)
        size = base.config.sample_size
        self.latent_shape = (base.config.in_channels, size, size)
        self.network = get_peft_model(base, LoraConfig(
            r=32, lora_alpha=64, init_lora_weights="gaussian",
            target_modules=TARGETS))
        self.parameters = [p for p in self.network.parameters()
                           if p.requires_grad]
        self.dtype, self.guidance = dtype, guidance
        self.unconditional = unconditional
        self.evaluations = 0

    def __call__(self, x, t, tokens, pooled):
        """y [B,C,H,W]; t [B]. Guidance is one call of twice the rows."""
        count = len(x)
        self.evaluations += count
        if self.guidance != 1:
            none_tokens, none_pooled = self.unconditional
            x, t = torch.cat([x, x]), torch.cat([t, t])
            tokens = torch.cat([none_tokens.expand_as(tokens), tokens])
            pooled = torch.cat([none_pooled.expand_as(pooled), pooled])
        with torch.autocast(x.device.type, dtype=self.dtype,
                            enabled=self.dtype != torch.float32):
            y = self.network(hidden_states=x, timestep=t * 1000,
                             encoder_hidden_states=tokens,
                             pooled_projections=pooled, return_dict=False)[0]
        y = y.float()
        if self.guidance != 1:
            y = y[:count] + self.guidance * (y[count:] - y[:count])
        return y

    @torch.no_grad()
    def sample(self, x, t, conditions, prompt, batch):
        """y at one time t for rows of the given prompts, `batch` a call."""
        tokens, pooled = conditions
        return torch.cat([
            self(rows, torch.full((len(rows),), t), tokens[of], pooled[of])
            for rows, of in zip(x.split(batch), prompt.split(batch))])


def log_prob(x_next, mean, s):
    """[B], averaged over latent elements; s [B,1,1,1]."""
    density = (-(x_next - mean) ** 2 / (2 * s ** 2) - torch.log(s)
               - 0.5 * math.log(2 * math.pi))
    return density.flatten(1).mean(1)


def euler(step, x, y):
    return x + (step.t_next - step.t) * y


def branch(kept, number, step, x, y, of, generator):
    """Branches of the roots `of`, whose states are x, with y given row by row.
    Keeps states and rows; returns where the branches lead."""
    mean = step.a_x * x[of] + step.m_y * y
    x_next = mean + step.s * torch.randn(mean.shape, generator=generator)
    kept["row_state"].append(sum(len(states) for states in kept["x"]) + of)
    kept["x_next"].append(x_next)
    kept["log_prob"].append(log_prob(x_next, mean, torch.tensor(step.s)))
    kept["x"].append(x)
    kept["state_step"].append(torch.full((len(x),), number))
    kept["state_prompt"].append(torch.arange(len(x)))
    return x_next


def finished(kept, latents):
    return SimpleNamespace(
        latents=latents, **{key: torch.cat(kept[key]) for key in kept})


def roll_out_by_step(predict, mode, steps, branches, x, generator):
    """The branches of one step go to the end before the root moves on."""
    kept, latents = defaultdict(list), []
    roots = torch.arange(len(x))
    for i, count in enumerate(branches):
        if not any(branches[i:]):
            break
        y = predict(x, steps[i].t, roots)
        if count:
            of = roots.repeat_interleave(count)
            y_rows = (predict(x[of], steps[i].t, of)
                      if mode.repeat_first_step else y[of])
            rows = branch(kept, i, steps[i], x, y_rows, of, generator)
            for step in steps[i + 1:]:
                rows = euler(step, rows, predict(rows, step.t, of))
            latents.append(rows)
        x = euler(steps[i], x, y)
    return finished(kept, torch.cat(latents))


def roll_out_together(predict, steps, branches, x, generator):
    """Roots and all branches under way are at the same time: one batch."""
    kept, roots = defaultdict(list), torch.arange(len(x))
    prompt = roots
    for i, (step, count) in enumerate(zip(steps, branches)):
        y = predict(x, step.t, prompt)
        moved = euler(step, x, y)
        if count:
            of = roots.repeat_interleave(count)
            new = branch(kept, i, step, x[:len(roots)], y[of], of, generator)
            moved, prompt = torch.cat([moved, new]), torch.cat([prompt, of])
        if count and not any(branches[i + 1:]):  # roots have done their work
            moved, prompt = moved[len(roots):], prompt[len(roots):]
        x = moved
    return finished(kept, x)


def roll_out(policy, mode, steps, branches, conditions, x, generator, batch):
    def predict(x, t, prompt):
        return policy.sample(x, t, conditions, prompt, batch)
    if mode.together:
        return roll_out_together(predict, steps, branches, x, generator)
    return roll_out_by_step(predict, mode, steps, branches, x, generator)


def advantages(rewards, group):
    """Of each row within its group, and whether the group has spread."""
    size = torch.bincount(group)
    def mean(values):
        return (torch.bincount(group, values) / size)[group]
    centred = rewards - mean(rewards)
    spread = mean(centred ** 2).sqrt()
    alive = spread >= DEAD_SPREAD
    value = (centred / (spread + 1e-4)).clamp(-ADVANTAGE_CLIP, ADVANTAGE_CLIP)
    return (value * alive).float(), alive


def passes(mode, rollout, states, batch):
    """Chunks of network passes: the state of each, rows, a row's pass."""
    def rows_of(chunk):
        return torch.isin(rollout.row_state, chunk).nonzero()[:, 0]
    if mode.pass_per_row:
        for rows in rows_of(states).split(batch):
            yield rollout.row_state[rows], rows, torch.arange(len(rows))
    else:
        for chunk in states.sort().values.split(batch):
            rows = rows_of(chunk)
            yield chunk, rows, torch.searchsorted(chunk,
                                                  rollout.row_state[rows])


def backward(policy, mode, steps, branches, rollout, conditions, advantage,
             alive, states, batch):
    """Adds the gradient of the loss over the states' rows; returns their
    log-ratios."""
    tokens, pooled = conditions
    table = torch.tensor([[s.t, s.a_x, s.m_y, s.s] for s in steps])
    used = [count for count in branches if count]
    kappas = torch.tensor([sum(used) / len(used) / max(count, 1)
                           for count in branches])
    chosen = torch.isin(rollout.row_state, states)
    live = max(int((chosen & alive).sum()), 1)
    log_ratios = []
    for state, rows, row_pass in passes(mode, rollout, states, batch):
        step, x = rollout.state_step[state], rollout.x[state]
        t, a_x, m_y, s = table[step][:, :, None, None, None].unbind(1)
        prompt = rollout.state_prompt[state]
        given = (x, t.flatten(), tokens[prompt], pooled[prompt])
        with torch.no_grad(), policy.network.disable_adapter():
            y_ref = policy(*given)
        y = policy(*given)
        mean, s_rows = a_x * x + m_y * y, s[row_pass]
        log_ratio = (log_prob(rollout.x_next[rows], mean[row_pass], s_rows)
                     - rollout.log_prob[rows])
        ratio, a = log_ratio.exp(), advantage[rows]
        clipped = ratio.clamp(1 - CLIP_RANGE, 1 + CLIP_RANGE)
        loss = (NOISE_SCALE * s_rows.flatten()
                * torch.maximum(-a * ratio, -a * clipped))
        kl = ((m_y * (y - y_ref)) ** 2 / (2 * s ** 2)).flatten(1).mean(1)
        kappa = kappas[step[row_pass]]
        total = ((kappa * loss * alive[rows]).sum() / live
                 + BETA * (kappa * kl[row_pass]).sum() / chosen.sum())
        total.backward()
        log_ratios.append(log_ratio.detach())
    return torch.cat(log_ratios)
