"""A reward network of one's own as a file: how warm a picture is.

    python3 docs/examples/torchscript_reward.py warmth.pt
    reward: "torchscript:warmth.pt"

docs/rewards.md describes what forward may take. Needs torch; version 2.13 calls
TorchScript deprecated, and writes it all the same.
"""

import sys

import torch


class Warmth(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.tensor([1.0, 0.0, -1.0]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """images [B,3,H,W] in [0,1] -> scores [B]"""
        return (images * self.weights.view(1, 3, 1, 1)).mean([1, 2, 3])


network = Warmth().eval()  # after loading weights, say
# A network of plain Python is scripted; any other is traced, on pictures of the
# size that it will judge: torch.jit.trace(network, torch.rand(2, 3, 512, 512))
torch.jit.script(network).save(sys.argv[1])
