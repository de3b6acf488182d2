"""What PIL, PyTorch and transformers show CLIP, for clip_pixels_test.

    clip_pixels_peer.py OUT

Writes OUT/peer.safetensors: pictures "image.<i>" [3,H,W] in [0,1], exact bytes,
and of each and two sizes S, ".<i>.<S>":

    crop        the shorter side to S, the middle; PIL in floating point
    pad         the longer side to S, black around; PIL in floating point
    torch       crop, by torch's bicubic interpolation with antialias=True
    processor   crop, by transformers' CLIPImageProcessor of the bytes
    bytes       pad, by PIL of the bytes, as HPSv2's ResizeMaxSize

all normalised by CLIP's mean and deviation.
"""

import pathlib
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

try:  # the one that works on PIL images, by its names of several versions
    from transformers.models.clip.image_processing_pil_clip import (
        CLIPImageProcessorPil as CLIPImageProcessor)
except ImportError:
    from transformers import CLIPImageProcessor

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
SHAPES = [(64, 64), (40, 97), (97, 40), (16, 16), (7, 11), (33, 64)]


def picture(height, width, generator):
    """Bytes [H,W,3], smooth with some noise, and far from 0 and 255, so that
    bicubic weights take none of it beyond."""
    coarse = torch.rand(1, 3, 4, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(
        coarse, (height, width), mode="bilinear")[0]
    noise = 0.1 * torch.rand(3, height, width, generator=generator)
    return ((0.25 + 0.4 * smooth + noise) * 255).round().byte().permute(1, 2, 0)


def normalised(pixels):
    """[H,W,3] in [0,1] -> [3,H,W]"""
    return ((torch.as_tensor(pixels, dtype=torch.float64)
             - torch.tensor(MEAN, dtype=torch.float64))
            / torch.tensor(DEVIATION, dtype=torch.float64)
            ).permute(2, 0, 1).float().contiguous()


def resized(pixels, height, width):
    """Each channel as an image of floating point."""
    return np.stack([np.asarray(Image.fromarray(pixels[:, :, c]).resize(
        (width, height), Image.Resampling.BICUBIC))
        for c in range(3)], axis=2)


def crop_sizes(height, width, size):
    long = int(size * max(height, width) / min(height, width))
    return (long, size) if height > width else (size, long)


def cropped(pixels, size):
    top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
    return pixels[top:top + size, left:left + size]


def padded(pixels, size):
    height, width = pixels.shape[:2]
    out = np.zeros((size, size, 3), pixels.dtype)
    top, left = (size - height) // 2, (size - width) // 2
    out[top:top + height, left:left + width] = pixels
    return out


def pad_sizes(height, width, size):
    scale = size / float(max(height, width))
    return tuple(round(side * scale) for side in (height, width))


def views(image, size):
    height, width = image.shape[:2]
    pixels = image.numpy().astype(np.float32) / 255
    crop, pad = crop_sizes(height, width, size), pad_sizes(height, width, size)
    by_torch = torch.nn.functional.interpolate(
        torch.from_numpy(pixels).permute(2, 0, 1)[None], crop, mode="bicubic",
        antialias=True, align_corners=False)[0].permute(1, 2, 0).numpy()
    processor = CLIPImageProcessor(size={"shortest_edge": size},
                                   crop_size={"height": size, "width": size})
    by_bytes = np.asarray(Image.fromarray(image.numpy()).resize(
        pad[::-1], Image.Resampling.BICUBIC))
    return {
        "crop": normalised(cropped(resized(pixels, *crop), size)),
        "pad": normalised(padded(resized(pixels, *pad), size)),
        "torch": normalised(cropped(by_torch, size)),
        "processor": torch.as_tensor(np.asarray(processor(
            Image.fromarray(image.numpy()),
            return_tensors="np")["pixel_values"])[0]).contiguous(),
        "bytes": normalised(padded(by_bytes, size) / 255),
    }


def main(out):
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for i, (height, width) in enumerate(SHAPES):
        image = picture(height, width, generator)
        tensors[f"image.{i}"] = (image.float() / 255).permute(
            2, 0, 1).contiguous()
        for size in (16, 21):
            tensors.update({f"{name}.{i}.{size}": value
                            for name, value in views(image, size).items()})
    save_file(tensors, out / "peer.safetensors")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
