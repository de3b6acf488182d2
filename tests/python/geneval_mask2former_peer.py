"""A small random Mask2Former, exported as docs/examples does, for geneval_mask2former_test.

    geneval_mask2former_peer.py OUT

Writes OUT/detector.pt and OUT/classes.txt by the example's main() from a folder
of transformers, and OUT/peer.safetensors: "images" [B,3,32,48], exact bytes, and
of each picture i, by transformers' image processor, network and
post_process_instance_segmentation, "boxes.i", "scores.i", "classes.i" and
"masks.i". Fails where the example's pixels are not the image processor's, or
where the file would make tensors on a device of its own.
"""

import importlib.util
import pathlib
import sys

import numpy
import quiet  # noqa: F401
import torch
from safetensors.torch import save_file
from transformers import Mask2FormerConfig, SwinConfig
from transformers.models.mask2former import modeling_mask2former
from transformers.models.mask2former.image_processing_pil_mask2former import (
    Mask2FormerImageProcessorPil)

# Only the loss, which nothing here needs, is of scipy.
modeling_mask2former.requires_backends = lambda *names: None

NAMES = ["person", "motorbike", "remote", "bench", "tvmonitor"]
PICTURES = 11  # more than are looked at together
QUERIES = 12
HEIGHT, WIDTH = 32, 48  # and the processor doubles both
SHIFT = -1.8  # of the logits of masks: they are small


def example():
    path = pathlib.Path(__file__).parents[2] / "docs/examples/geneval_mask2former.py"
    spec = importlib.util.spec_from_file_location("geneval_mask2former", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def small_model(e):
    swin = SwinConfig(embed_dim=8, depths=[1, 2, 1, 1], num_heads=[1, 2, 2, 4],
                      window_size=3,
                      out_features=["stage1", "stage2", "stage3", "stage4"])
    model = e.Mask2FormerForUniversalSegmentation(Mask2FormerConfig(
        backbone_config=swin, feature_size=32, mask_feature_size=16,
        hidden_dim=32, encoder_feedforward_dim=24, dim_feedforward=24,
        encoder_layers=2, decoder_layers=4, num_attention_heads=4,
        num_queries=QUERIES, id2label=dict(enumerate(NAMES)))).eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=1 / parameter[0].numel() ** 0.5)
    with torch.no_grad():
        # Surer of some classes than of others, and small masks.
        model.class_predictor.weight *= 12
        features = model.model.pixel_level_module.decoder.mask_projection
        features.weight[0], features.bias[0] = 0, 1
        predictor = model.model.transformer_module.decoder.mask_predictor
        last = [module for module in predictor.modules()
                if isinstance(module, torch.nn.Linear)][-1]
        last.weight[0], last.bias[0] = 0, SHIFT
    return model


def bytes_of(images):
    return [(image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
            for image in images]


def random_pictures(count, height, width, step):
    """Blocks and noise of bytes that `step` divides."""
    blocks = torch.rand(count, 3, 4, 6)
    smooth = torch.nn.functional.interpolate(blocks, (height, width))
    noisy = 0.7 * smooth + 0.3 * torch.rand(count, 3, height, width)
    return (noisy * 255 / step).floor() * step / 255


def check_pixels(e, model, processor):
    """The processor rounds bytes once more, between rows and columns."""
    for height, width in ((40, 56), (130, 150)):
        images = random_pictures(2, height, width, 1)
        ours = e.wrapped(model, processor, height, width).pixels(images)
        known = processor(images=bytes_of(images),
                          return_tensors="pt")["pixel_values"]
        levels = (ours - known).abs() * torch.tensor(
            processor.image_std).view(3, 1, 1) * 255
        assert levels.max() < 1.01, levels.max()
        assert levels.mean() < 0.4, levels.mean()


def seen(e, model, processor, pixels):
    with torch.no_grad():
        out = model(pixel_values=pixels[None])
    found = processor.post_process_instance_segmentation(
        out, threshold=e.LEAST_SCORE, target_sizes=[(HEIGHT, WIDTH)],
        return_binary_maps=True)[0]
    infos = found["segments_info"]
    masks = found["segmentation"] if infos else torch.zeros(0, HEIGHT, WIDTH)
    boxes = []
    for mask in masks:
        rows, columns = numpy.nonzero(mask.numpy())
        boxes.append([columns.min(), rows.min(), columns.max() + 1,
                      rows.max() + 1])
    return {"masks": masks.contiguous(),
            "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            "scores": torch.tensor([info["score"] for info in infos]),
            "classes": torch.tensor([info["label_id"] for info in infos],
                                    dtype=torch.int64)}


def steady(first, second):
    """Whether a change of the pixels' last bits leaves all as it is: attention
    and masks are cut at thresholds."""
    return (first["masks"].shape == second["masks"].shape
            and torch.equal(first["classes"], second["classes"])
            and torch.equal(first["masks"], second["masks"])
            and torch.allclose(first["scores"], second["scores"], atol=1e-5))


def main(out):
    out = pathlib.Path(out)
    e = example()
    torch.manual_seed(0)
    model = small_model(e)
    processor = Mask2FormerImageProcessorPil(
        size={"height": 2 * HEIGHT, "width": 2 * WIDTH})
    check_pixels(e, model, processor)
    model.save_pretrained(out / "model")
    processor.save_pretrained(out / "model")
    e.main(str(out / "model"), f"{HEIGHT}x{WIDTH}", str(out))
    graph = str(torch.jit.load(str(out / "detector.pt")).graph)
    assert "Device = prim::device(" in graph
    assert "Device = prim::Constant" not in graph

    # Twice the size: of bytes that 16 divides the processor rounds none.
    candidates = random_pictures(60, HEIGHT, WIDTH, 16)
    pixels = processor(images=bytes_of(candidates),
                       return_tensors="pt")["pixel_values"]
    kept, tensors, counts = [], {}, []
    for image, values in zip(candidates, pixels):
        found = seen(e, model, processor, values)
        moved = values + 3e-6 * torch.randn_like(values)
        if not steady(found, seen(e, model, processor, moved)):
            continue
        for name, tensor in found.items():
            tensors[f"{name}.{len(kept)}"] = tensor
        counts.append(len(found["scores"]))
        kept.append(image)
        if len(kept) == PICTURES:
            break
    assert len(kept) == PICTURES, len(kept)
    assert min(counts) < max(counts) == QUERIES, counts  # some are left out
    save_file({"images": torch.stack(kept), **tensors}, out / "peer.safetensors")


main(sys.argv[1])
