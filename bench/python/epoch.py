"""Times epochs of TempFlow-GRPO in Python; README.md says of what."""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import resource
import sys
import time

os.environ["DIFFUSERS_VERBOSITY"] = "error"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

import numpy as np
import torch

import trainer

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "python"))
import shapes_world

PACKAGES = ["torch", "diffusers", "transformers", "peft", "numpy"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--model", required=True, help="a diffusers folder")
    add("--mode", choices=list(trainer.MODES), default="plain")
    add("--dtype", choices=["float32", "bfloat16"], default="float32")
    add("--prompts", type=int, default=16)
    add("--branches", default="6,6,6,6,6,6,6,6,6,0",
        help="one count a sampler step, the last 0")
    add("--noise-level", type=float, default=0.7)
    add("--guidance", type=float, default=1.0)
    add("--epochs", type=int, default=3, help="the first is warm-up")
    add("--updates", type=int, default=2, help="an epoch")
    add("--lr", type=float, default=3e-4)
    add("--sample-batch", type=int, default=96, help="rows a sampling call")
    add("--train-batch", type=int, default=48, help="rows a training pass")
    add("--threads", type=int, default=2)
    add("--seed", type=int, default=42)
    add("--json", action="store_true", help="on one line")
    args = parser.parse_args()
    args.branches = [int(count) for count in args.branches.split(",")]
    if args.branches[-1] or not any(args.branches):
        parser.error("--branches: the last count must be 0, another above 0")
    return args


def seconds_since_process_start():
    fields = pathlib.Path("/proc/self/stat").read_text().rsplit(")", 1)[1]
    started = int(fields.split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


class Training:
    def __init__(self, args):
        self.args, self.mode = args, trainer.MODES[args.mode]
        self.generator = torch.Generator().manual_seed(args.seed)
        torch.manual_seed(args.seed)  # of the LoRA
        dice = np.random.default_rng(args.seed)
        self.specs = [shapes_world.rand_spec(dice, i % 6)
                      for i in range(args.epochs * args.prompts)]
        tokens, pooled = trainer.encode(
            args.model, ["", *map(shapes_world.spec_caption, self.specs)])
        self.conditions = tokens[1:], pooled[1:]
        self.policy = trainer.Policy(
            args.model, getattr(torch, args.dtype), args.guidance,
            (tokens[:1], pooled[:1]))
        self.steps = trainer.flow_sde_steps(
            args.model, len(args.branches), args.noise_level)
        self.optimiser = torch.optim.AdamW(self.policy.parameters, lr=args.lr,
                                           weight_decay=1e-4)

    def sample(self, conditions):
        noise = torch.randn((self.args.prompts, *self.policy.latent_shape),
                            generator=self.generator)
        return trainer.roll_out(
            self.policy, self.mode, self.steps, self.args.branches, conditions,
            noise, self.generator, self.args.sample_batch)

    def judge(self, rollout, specs):
        of = rollout.state_prompt[rollout.row_state].tolist()
        return torch.tensor([
            shapes_world.score(image, specs[prompt])[0]
            for image, prompt in zip(rollout.latents.numpy(), of)]).double()

    def update(self, rollout, rewards, conditions):
        """Returns the largest |log-ratio| of the first update."""
        advantage, alive = trainer.advantages(rewards, rollout.row_state)
        order = torch.randperm(len(rollout.x), generator=self.generator)
        largest = []
        for states in order.tensor_split(self.args.updates):
            log_ratios = trainer.backward(
                self.policy, self.mode, self.steps, self.args.branches, rollout,
                conditions, advantage, alive, states, self.args.train_batch)
            largest.append(log_ratios.abs().max().item())
            torch.nn.utils.clip_grad_norm_(self.policy.parameters, 1.0)
            self.optimiser.step()
            self.optimiser.zero_grad()
        return largest[0]

    def run_epoch(self, number):
        own = slice(number * self.args.prompts,
                    (number + 1) * self.args.prompts)
        conditions = tuple(part[own] for part in self.conditions)
        evaluations, clock = [], [time.perf_counter()]

        def lap():
            clock.append(time.perf_counter())
            evaluations.append(self.policy.evaluations)
            self.policy.evaluations = 0

        rollout = self.sample(conditions)
        lap()
        rewards = self.judge(rollout, self.specs[own])
        lap()
        log_ratio = self.update(rollout, rewards, conditions)
        lap()
        rollout_s, reward_s, update_s = np.diff(clock).tolist()
        images = len(rollout.latents)
        half = evaluations[2] // 2  # of the policy; as many of the reference
        return {
            "rollout_s": rollout_s, "reward_s": reward_s, "update_s": update_s,
            "images": images,
            "evaluations": {"rollout": evaluations[0], "reference": half,
                            "update": half},
            "images_per_s": {
                "rollout": images / rollout_s,
                "epoch": images / (clock[-1] - clock[0]),
                "epoch_without_reward": images / (rollout_s + update_s)},
            "mean_reward": rewards.mean().item(),
            "first_update_log_ratio": log_ratio,
        }


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    training = Training(args)
    start_up = seconds_since_process_start()
    warm_up, *epochs = [training.run_epoch(i) for i in range(args.epochs)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {
        "start_up_s": start_up, "warm_up": warm_up, "epochs": epochs,
        "peak_memory_mb": peak,
        "versions": {"python": platform.python_version(), **{
            name: importlib.metadata.version(name) for name in PACKAGES}},
        "arguments": vars(args)}
    print(json.dumps(result, indent=None if args.json else 1))


if __name__ == "__main__":
    main()
