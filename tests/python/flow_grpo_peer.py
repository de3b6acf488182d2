"""A loop after Flow-GRPO's release and TempFlow-GRPO (after arXiv 2604.17415),
with diffusers, PEFT and torch, for twin_test.

    flow_grpo_peer.py DIR...   trains from what each DIR holds:
        settings.json          the run: model, prompts and order of every epoch,
                               and the settings below
        noise.safetensors      "start.E" [roots,C,H,W], "step.E.I" [roots,K,...]
        start.safetensors      the trained weights before the first update
                               and writes DIR/peer.safetensors: of each epoch E
                               "pictures.E", "rewards.E", "advantages.E",
                               "trained.E.NAME", "average.E.NAME"

A plain loop in the order and words of flow_grpo's scripts/train_sd3.py and
diffusers_patch/: sample, judge, compare, train. The order of rows, the weights
of an update and the average are rsm's. It computes in double, so that its own
rounding does not count.

What is published and what rsm corrects is one flag, `as_published`: published,
rows whose advantage is 0 leave the loss whole; corrected, groups without spread
leave the policy's part only.
"""

import json
import math
import pathlib
import sys

import quiet  # before the others
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

import shapes_world
from shapes_peer import all_specs

TARGETS = ["attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0",
           "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj",
           "attn.to_add_out"]
NOISE_LEVEL = 0.7
CLIP_RANGE = 1e-4
ADV_CLIP_MAX = 5.0
SPREAD_OFFSET = 1e-4
NO_SPREAD = 1e-12  # of a group's rewards, or of an advantage: rounding
NOISE_WEIGHT = 2.25  # TempFlow-GRPO weighs a step by 2.25 s
BETA = {"flow-grpo": 0.04, "tempflow-grpo": 0.004}
SPECS = {shapes_world.spec_caption(spec): spec for spec in all_specs()}


def column(values):
    return values.view(-1, 1, 1, 1)


def sde_step_with_logprob(sigmas, model_output, step, sample, noise=None,
                          prev_sample=None):
    """flow_grpo's: one SDE step of each sample from sigmas[step] on, or the
    log-probability of the one that led to prev_sample.

    Returns prev_sample, log_prob [B], the mean, and the step's std_dev_t and
    standard deviation [B,1,1,1]."""
    sigma, sigma_prev = column(sigmas[step]), column(sigmas[step + 1])
    dt = sigma_prev - sigma
    std_dev_t = NOISE_LEVEL * torch.sqrt(
        sigma / (1 - torch.where(sigma == 1, sigmas[1], sigma)))
    prev_sample_mean = (
        sample * (1 + std_dev_t ** 2 / (2 * sigma) * dt)
        + model_output * (1 + std_dev_t ** 2 * (1 - sigma) / (2 * sigma)) * dt)
    std = std_dev_t * torch.sqrt(-dt)
    if prev_sample is None:
        prev_sample = prev_sample_mean + std * noise
    log_prob = (-(prev_sample.detach() - prev_sample_mean) ** 2 / (2 * std ** 2)
                - torch.log(std) - math.log(math.sqrt(2 * math.pi)))
    return prev_sample, log_prob.mean((1, 2, 3)), prev_sample_mean, std_dev_t, std


class Trainer:
    def __init__(self, folder):
        self.folder = folder
        self.config = json.loads((folder / "settings.json").read_text())
        self.noise = load_file(folder / "noise.safetensors")
        self.branches = self.config["branches"]  # of each step; paths: 1 each
        self.beta = BETA[self.config["method"]]
        self.found = {}
        self.load()
        optimizer = self.config["adamw"]
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=optimizer["lr"],
            betas=optimizer["betas"], eps=optimizer["eps"],
            weight_decay=optimizer["weight_decay"])
        self.average = {name: value.detach().clone()
                        for name, value in self.parameters.items()}

    def load(self):
        model = self.config["model"]
        scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(
            model, subfolder="scheduler")
        scheduler.set_timesteps(len(self.branches))
        self.sigmas = scheduler.sigmas.double()
        self.tokenizer = CLIPTokenizer.from_pretrained(
            model, subfolder="tokenizer")
        self.text_encoder = CLIPTextModelWithProjection.from_pretrained(
            model, subfolder="text_encoder", torch_dtype=torch.float32)
        self.text_encoder.double()
        self.transformer, self.reference = (
            SD3Transformer2DModel.from_pretrained(
                model, subfolder="transformer",
                torch_dtype=torch.float32).double() for _ in range(2))
        if self.config["lora"]:
            self.transformer = self.with_lora()
        # By rsm's names: without PEFT's prefix and adapter.
        self.parameters = {
            name.removeprefix("base_model.model.").replace(
                ".default.weight", ".weight"): p
            for name, p in self.transformer.named_parameters()
            if p.requires_grad}
        initial = load_file(self.folder / "start.safetensors")
        assert self.parameters.keys() == initial.keys(), (
            self.parameters.keys() ^ initial.keys())
        with torch.no_grad():
            for name, p in self.parameters.items():
                p.copy_(initial[name])

    def with_lora(self):
        lora = self.config["lora"]
        return get_peft_model(self.transformer, LoraConfig(
            r=lora["rank"], lora_alpha=lora["alpha"],
            target_modules=TARGETS)).double()

    @torch.no_grad()
    def encode(self, texts):
        ids = self.tokenizer(
            texts, padding="max_length", truncation=True,
            max_length=self.tokenizer.model_max_length,
            return_tensors="pt").input_ids
        out = self.text_encoder(ids, output_hidden_states=True)
        return out.hidden_states[-2], out.text_embeds

    def predict(self, transformer, x, step, prompt):
        """The velocity after text guidance; step and prompt [B]."""
        embeds, pooled = (part[prompt] for part in self.embeds)
        nothing = tuple(part.expand_as(like) for part, like
                        in zip(self.negative, (embeds, pooled)))
        noise_pred = transformer(
            hidden_states=torch.cat([x, x]),
            timestep=torch.cat([self.sigmas[step]] * 2) * 1000,
            encoder_hidden_states=torch.cat([nothing[0], embeds]),
            pooled_projections=torch.cat([nothing[1], pooled])).sample
        noise_pred_uncond, noise_pred_text = noise_pred.chunk(2)
        return noise_pred_uncond + self.config["guidance"] * (
            noise_pred_text - noise_pred_uncond)

    def predict_at(self, x, i, prompt):
        return self.predict(self.transformer, x, torch.full((len(x),), i),
                            prompt)

    def euler(self, x, i, noise_pred):
        """The deterministic step from sigmas[i]."""
        return x + (self.sigmas[i + 1] - self.sigmas[i]) * noise_pred

    def explore(self, epoch, x, i, noise_pred, prompt, root):
        """K noisy steps from each root's state x: the rows to train on."""
        x, noise_pred, prompt, root = (
            part.repeat_interleave(self.branches[i], 0)
            for part in (x, noise_pred, prompt, root))
        step = torch.full((len(x),), i)
        noise = self.noise[f"step.{epoch}.{i}"].double().flatten(0, 1)
        next_latents, log_prob, *_ = sde_step_with_logprob(
            self.sigmas, noise_pred, step, x, noise=noise)
        return {"latents": x, "next_latents": next_latents, "step": step,
                "log_probs": log_prob, "prompt": prompt, "root": root}

    def sample_paths(self, epoch, x, prompt, root):
        """Flow-GRPO: every step but the last is noisy, and a row. Pictures, and
        rows root by root."""
        rows, last = [], len(self.branches) - 1
        for i in range(last):
            noise_pred = self.predict_at(x, i, prompt)
            rows.append(self.explore(epoch, x, i, noise_pred, prompt, root))
            x = rows[-1]["next_latents"]
        pictures = self.euler(x, last, self.predict_at(x, last, prompt))
        samples = by_root(rows, len(root))
        samples["picture"] = samples["root"]
        samples["group"] = samples["prompt"]
        return pictures, samples

    def sample_branches(self, epoch, x, prompt, root):
        """TempFlow-GRPO: a deterministic root; from its state at each step K
        branches take one noisy step, and go on without noise."""
        rows, ends = [], []
        for i, count in enumerate(self.branches):
            noise_pred = self.predict_at(x, i, prompt)
            if count:
                rows.append(self.explore(epoch, x, i, noise_pred, prompt, root))
                of, branch = rows[-1]["prompt"], rows[-1]["next_latents"]
                for j in range(i + 1, len(self.branches)):
                    branch = self.euler(branch, j,
                                        self.predict_at(branch, j, of))
                ends.append({"latents": branch})
            x = self.euler(x, i, noise_pred)
        samples = by_root(rows, len(root))
        samples["picture"] = torch.arange(len(samples["root"]))
        samples["group"] = samples["root"] * len(self.branches) + samples["step"]
        return by_root(ends, len(root))["latents"], samples

    @torch.no_grad()
    def sample(self, epoch):
        texts = self.config["epochs"][epoch]["prompts"]
        self.embeds, self.negative = self.encode(texts), self.encode([""])
        start = self.noise[f"start.{epoch}"].double()
        root = torch.arange(len(start))
        prompt = root * len(texts) // len(start)
        how = (self.sample_paths if self.config["method"] == "flow-grpo"
               else self.sample_branches)
        pictures, samples = how(epoch, start, prompt, root)
        of = prompt.repeat_interleave(len(pictures) // len(start))
        rewards = torch.tensor([
            shapes_world.score(picture.float().numpy(), SPECS[texts[p]])[0]
            for picture, p in zip(pictures, of)], dtype=torch.float64)
        return pictures, samples, rewards

    def compare(self, samples, rewards):
        """Advantages within the group; of Flow-GRPO over the deviation of all
        rewards (global_std). Adds whether a row's group has spread."""
        rewards_of_rows = rewards[samples["picture"]]
        advantages = torch.zeros_like(rewards_of_rows)
        alive = torch.zeros_like(rewards_of_rows, dtype=torch.bool)
        for group in samples["group"].unique():
            mine = samples["group"] == group
            mean = rewards_of_rows[mine].mean()
            std = rewards_of_rows[mine].std(correction=0)
            alive[mine] = std > NO_SPREAD
            if self.config["method"] == "flow-grpo":
                std = rewards.std(correction=0)
            advantages[mine] = (rewards_of_rows[mine] - mean) / (
                std + SPREAD_OFFSET)
        advantages[~alive] = 0
        samples["advantages"] = advantages.clamp(-ADV_CLIP_MAX, ADV_CLIP_MAX)
        samples["alive"] = alive

    def weigh(self, samples):
        """Each row's weight in the policy's and in the KL's mean: whether it
        counts, over how many count."""
        alive, every = samples["alive"], torch.ones_like(samples["alive"])
        if self.config["as_published"]:
            kept = samples["advantages"].abs() > NO_SPREAD
            alive = every = kept if kept.any() else every
        return alive / max(int(alive.sum()), 1), every / int(every.sum())

    def loss(self, rows, policy_weight, kl_weight):
        given = rows["latents"], rows["step"], rows["prompt"]
        _, log_prob, prev_sample_mean, std_dev_t, std = sde_step_with_logprob(
            self.sigmas, self.predict(self.transformer, *given),
            rows["step"], rows["latents"], prev_sample=rows["next_latents"])
        with torch.no_grad():
            _, _, prev_sample_mean_ref, _, _ = sde_step_with_logprob(
                self.sigmas, self.predict(self.reference, *given),
                rows["step"], rows["latents"], prev_sample=rows["next_latents"])
        ratio = torch.exp(log_prob - rows["log_probs"])
        advantages = rows["advantages"]
        unclipped_loss = -advantages * ratio
        clipped_loss = -advantages * torch.clamp(
            ratio, 1.0 - CLIP_RANGE, 1.0 + CLIP_RANGE)
        policy_loss = torch.maximum(unclipped_loss, clipped_loss)
        kl = ((prev_sample_mean - prev_sample_mean_ref) ** 2).mean((1, 2, 3))
        if self.config["method"] == "flow-grpo":
            kl_loss = kl / (2 * std_dev_t.flatten() ** 2)
        else:
            policy_loss = policy_loss * NOISE_WEIGHT * std.flatten()
            kl_loss = kl / (2 * std.flatten() ** 2)
        used = [count for count in self.branches if count]
        kappa = torch.tensor([sum(used) / len(used) / max(count, 1)
                              for count in self.branches])[rows["step"]]
        return (kappa * (policy_weight * policy_loss
                         + self.beta * kl_weight * kl_loss)).sum()

    def train(self, samples, states, batch=32):
        """One update over the rows of the states (root, step)."""
        chosen = torch.tensor([
            [root, step] in states for root, step
            in zip(samples["root"].tolist(), samples["step"].tolist())])
        rows = {key: value[chosen] for key, value in samples.items()}
        weights = self.weigh(rows)
        for first in range(0, len(rows["step"]), batch):
            some = slice(first, first + batch)
            self.loss({key: value[some] for key, value in rows.items()},
                      *(weight[some] for weight in weights)).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters.values(),
                                       self.config["max_grad_norm"])
        self.optimizer.step()
        self.optimizer.zero_grad()
        for name, p in self.parameters.items():
            self.average[name].lerp_(p.detach(), 1 - self.config["ema_decay"])

    def run_epoch(self, epoch):
        pictures, samples, rewards = self.sample(epoch)
        self.compare(samples, rewards)
        for states in self.config["epochs"][epoch]["updates"]:
            self.train(samples, states)
        self.keep(epoch, pictures=pictures, rewards=rewards,
                  advantages=samples["advantages"])
        for name, p in self.parameters.items():
            self.keep(f"{epoch}.{name}", trained=p, average=self.average[name])

    def keep(self, where, **tensors):
        for name, tensor in tensors.items():
            self.found[f"{name}.{where}"] = tensor.detach().clone().contiguous()


def by_root(parts, roots):
    """Tensors [roots * K,...] of the steps, as one with each root's together."""
    return {key: torch.cat([part[key].unflatten(0, (roots, -1))
                            for part in parts], 1).flatten(0, 1)
            for key in parts[0]}


def main(folder):
    trainer = Trainer(pathlib.Path(folder))
    for epoch in range(len(trainer.config["epochs"])):
        trainer.run_epoch(epoch)
    save_file(trainer.found, trainer.folder / "peer.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(2)
    for directory in sys.argv[1:]:
        main(directory)
