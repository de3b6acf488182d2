"""Pipelines of diffusers with random weights, as small as wanted, with the
tokenizers and schedulers of published folders."""

import quiet  # before the others
import torch
from diffusers import (AutoencoderKL, FlowMatchEulerDiscreteScheduler,
                       PNDMScheduler, SD3Transformer2DModel,
                       StableDiffusion3Pipeline, StableDiffusionPipeline,
                       UNet2DConditionModel)
from transformers import (CLIPTextConfig, CLIPTextModel,
                          CLIPTextModelWithProjection, CLIPTokenizer, T5Config,
                          T5EncoderModel, T5TokenizerFast)

SD15 = "configs/runwayml/stable-diffusion-v1-5"
SD3 = "configs/stabilityai/stable-diffusion-3-medium-diffusers"


def lively(model):
    """No weight is silent, and none explodes."""
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return model.eval()


def clip(kind, width, act, layers=2):
    return lively(kind(CLIPTextConfig(
        vocab_size=49408, hidden_size=width, intermediate_size=2 * width,
        projection_dim=width - 8, num_hidden_layers=layers,
        num_attention_heads=2, hidden_act=act, bos_token_id=0,
        eos_token_id=2)))


def vae(latents, convs, channels=(16, 24), layers=1, **more):
    levels = len(channels)
    return lively(AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        block_out_channels=channels, layers_per_block=layers,
        norm_num_groups=4, latent_channels=latents, use_quant_conv=convs,
        use_post_quant_conv=convs, **more))


def sd15(assets):
    """Two levels of one layer."""
    return sd15_of(assets, clip(CLIPTextModel, 32, "quick_gelu"),
                   vae(4, True), (16, 32), 1)


def deep_sd15(assets):
    """As deep as Stable Diffusion 1.5."""
    return sd15_of(assets, clip(CLIPTextModel, 16, "quick_gelu", 12),
                   vae(4, True, (4, 4, 8, 8), 2), (8, 16, 16, 16), 2)


def sd15_of(assets, text, autoencoder, channels, layers):
    folder = assets / SD15
    crossed = len(channels) - 1
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=channels, layers_per_block=layers,
        down_block_types=["CrossAttnDownBlock2D"] * crossed + ["DownBlock2D"],
        up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * crossed,
        cross_attention_dim=text.config.hidden_size, attention_head_dim=2,
        norm_num_groups=4)
    return StableDiffusionPipeline(
        vae=autoencoder, unet=lively(unet), text_encoder=text,
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        scheduler=PNDMScheduler.from_pretrained(folder / "scheduler"),
        safety_checker=None, feature_extractor=None,
        requires_safety_checker=False)


def sd3(assets):
    """Two blocks."""
    return sd3_of(assets, 2, (0,), 16, (32, 40, 80), (2, 2, 2), (16, 24), 1)


def deep_sd35(assets):
    """As deep as Stable Diffusion 3.5 medium, every encoder included."""
    return sd3_of(assets, 24, tuple(range(13)), 8, (16, 16, 32), (12, 32, 24),
                  (4, 4, 8, 8), 2)


def sd3_of(assets, blocks, dual, head, widths, depths, vae_channels,
           vae_layers):
    folder = assets / SD3
    projected = CLIPTextModelWithProjection
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=16, out_channels=16,
        num_layers=blocks, attention_head_dim=head, num_attention_heads=2,
        joint_attention_dim=widths[2], caption_projection_dim=2 * head,
        pooled_projection_dim=widths[0] + widths[1] - 16,
        pos_embed_max_size=12, dual_attention_layers=dual, qk_norm="rms_norm")
    t5 = T5EncoderModel(T5Config(
        vocab_size=32128, d_model=widths[2], d_kv=8, d_ff=2 * widths[2],
        num_layers=depths[2], num_heads=4, feed_forward_proj="gated-gelu",
        is_encoder_decoder=False, tie_word_embeddings=False, use_cache=False))
    return StableDiffusion3Pipeline(
        transformer=lively(transformer),
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(
            folder / "scheduler"),
        vae=vae(16, False, vae_channels, vae_layers, scaling_factor=1.5305,
                shift_factor=0.0609),
        text_encoder=clip(projected, widths[0], "quick_gelu", depths[0]),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        text_encoder_2=clip(projected, widths[1], "gelu", depths[1]),
        tokenizer_2=CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
        text_encoder_3=lively(t5),
        tokenizer_3=T5TokenizerFast.from_pretrained(folder / "tokenizer_3"))
