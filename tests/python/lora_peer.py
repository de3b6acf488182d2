"""PEFT and diffusers as the other side of LoRA files, for lora_test and
lora_files_test.

    lora_peer.py targets IN OUT   IN: {"names": [...], "targets": [[...]]};
                                  OUT: for each list of targets the names that
                                  PEFT matches
    lora_peer.py layers IN OUT    IN: {"models": [{config.json}], "asked":
                                  [{"targets", "exclude"}]}; OUT: for each
                                  model and what is asked the names of the
                                  layers that PEFT adapts
    lora_peer.py velocities DIR   loads DIR/transformer or DIR/unet with the
                                  adapter in DIR/lora by each format's reader,
                                  and writes the outputs for
                                  DIR/inputs.safetensors to
                                  DIR/velocities.safetensors; so too for the
                                  model in DIR/lora/merged, where there is one
    lora_peer.py save DIR SCALING  makes a random adapter "style" of DIR/unet
                                  with ranks and alphas by layer and 1x1
                                  convolutions, "plain" or "rslora"; saves it in
                                  DIR/SCALING as PEFT does (peft), as diffusers
                                  does (diffusers), as it lies in the model
                                  (raw), and merged.safetensors
    lora_peer.py styles DIR       loads each DIR/styles/NAME.safetensors into
                                  DIR/transformer or DIR/unet as the pipeline
                                  does or, without the part in its names, the
                                  model; outputs for DIR/inputs.safetensors go
                                  to DIR/outputs.safetensors
    lora_peer.py resave DIR       loads the same, saves each as the package
                                  itself does: DIR/resaved_peft,
                                  DIR/resaved_diffusers
"""

import json
import pathlib
import sys

import quiet  # before the others
import torch
from diffusers import (SD3Transformer2DModel, StableDiffusion3Pipeline,
                       StableDiffusionPipeline, UNet2DConditionModel)
from peft import LoraConfig, PeftModel, inject_adapter_in_model
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file


def targets(source, out):
    asked = json.loads(pathlib.Path(source).read_text())
    found = []
    for words in asked["targets"]:
        config = LoraConfig(target_modules=words)
        found.append([name for name in asked["names"]
                      if check_target_module_exists(config, name)])
    pathlib.Path(out).write_text(json.dumps(found))


CLASSES = {"SD3Transformer2DModel": SD3Transformer2DModel,
           "UNet2DConditionModel": UNet2DConditionModel}


def layers(source, out):
    given = json.loads(pathlib.Path(source).read_text())
    found = []
    for config in given["models"]:
        of_model = []
        for asked in given["asked"]:
            model = CLASSES[config["_class_name"]].from_config(config)
            inject_adapter_in_model(
                LoraConfig(r=1, target_modules=asked["targets"],
                           exclude_modules=asked["exclude"] or None), model)
            of_model.append(sorted(name for name, module
                                   in model.named_modules()
                                   if hasattr(module, "lora_A")))
        found.append(of_model)
    pathlib.Path(out).write_text(json.dumps(found))


def network(folder):
    unet = (folder / "unet").exists()
    kind = UNet2DConditionModel if unet else SD3Transformer2DModel
    return kind.from_pretrained(folder / ("unet" if unet else "transformer"),
                                torch_dtype=torch.float32)


def with_peft(folder):
    return PeftModel.from_pretrained(network(folder), str(folder / "lora"))


def with_diffusers(folder):
    model = network(folder)
    prefix = "unet" if (folder / "unet").exists() else "transformer"
    model.load_lora_adapter(str(folder / "lora"), prefix=prefix,
                            use_safetensors=True)
    return model


def with_pipeline(folder, lora=None):
    model = network(folder)
    if (folder / "unet").exists():
        pipeline = StableDiffusionPipeline(
            unet=model, scheduler=None, vae=None, text_encoder=None,
            tokenizer=None, safety_checker=None, feature_extractor=None,
            requires_safety_checker=False)
    else:
        pipeline = StableDiffusion3Pipeline(
            transformer=model, scheduler=None, vae=None, text_encoder=None,
            tokenizer=None, text_encoder_2=None, tokenizer_2=None,
            text_encoder_3=None, tokenizer_3=None)
    pipeline.load_lora_weights(str(lora or folder / "lora"))
    return model


def output_of(model, inputs):
    given = {"encoder_hidden_states": inputs["tokens"]}
    if "pooled" in inputs:
        given["pooled_projections"] = inputs["pooled"]
    return model(inputs["x"], timestep=inputs["timestep"],
                 **given).sample.contiguous()


def velocities(folder):
    folder = pathlib.Path(folder)
    inputs = load_file(folder / "inputs.safetensors")
    found = {}
    readers = [("peft", with_peft), ("diffusers", with_diffusers),
               ("pipeline", with_pipeline)]
    if (folder / "lora" / "merged").exists():
        readers.append(("merged", lambda f: network(f / "lora/merged")))
    for name, load in readers:
        model = load(folder)
        with torch.no_grad():
            found[name] = output_of(model, inputs)
    save_file(found, folder / "velocities.safetensors")


def with_style(folder, file):
    if all(name.startswith(("unet.", "transformer.", "lora_"))
           for name in load_file(file)):
        return with_pipeline(folder, file)
    model = network(folder)
    model.load_lora_adapter(str(file), prefix=None)
    return model


def styles(folder):
    folder = pathlib.Path(folder)
    inputs = load_file(folder / "inputs.safetensors")
    found = {}
    with torch.no_grad():
        found["none"] = output_of(network(folder), inputs)
        for file in sorted((folder / "styles").glob("*.safetensors")):
            found[file.stem] = output_of(with_style(folder, file), inputs)
    save_file(found, folder / "outputs.safetensors")


def save(folder, scaling):
    folder = pathlib.Path(folder)
    out = folder / scaling
    model = PeftModel(network(folder), LoraConfig(
        r=4, lora_alpha=6, use_rslora=scaling == "rslora",
        target_modules=["to_q", "to_k", "proj_in", "proj_out"],
        rank_pattern={"to_k": 2, "mid_block.*proj_in": 3},
        alpha_pattern={"attn2.to_q": 5, "mid_block.*proj_in": 7},
        init_lora_weights=False), adapter_name="style")
    model.save_pretrained(out / "peft")
    halves = get_peft_model_state_dict(model, adapter_name="style")
    StableDiffusionPipeline.save_lora_weights(
        out / "diffusers", unet_lora_layers={
            name.removeprefix("base_model.model."): half
            for name, half in halves.items()},
        unet_lora_adapter_metadata=plain(model.peft_config["style"]))
    raw = {}  # without scales, so that alpha is the rank
    for name, layer in model.named_modules():
        if hasattr(layer, "scaling"):
            down, up = layer.lora_A["style"], layer.lora_B["style"]
            raw[f"{name}.lora_A.style.weight"] = down.weight.contiguous()
            raw[f"{name}.lora_B.style.weight"] = (
                up.weight * layer.scaling["style"]).contiguous()
    (out / "raw").mkdir(exist_ok=True)
    save_file(raw, out / "raw/any.safetensors")
    save_file({name: weight.contiguous() for name, weight
               in model.merge_and_unload().state_dict().items()},
              out / "merged.safetensors")


def plain(config):
    return {key: sorted(value) if isinstance(value, set) else value
            for key, value in config.to_dict().items()}


def resave(folder):
    folder = pathlib.Path(folder)
    with_peft(folder).save_pretrained(folder / "resaved_peft")
    model = with_pipeline(folder)
    name = next(iter(model.peft_config))
    StableDiffusion3Pipeline.save_lora_weights(
        folder / "resaved_diffusers",
        transformer_lora_layers=get_peft_model_state_dict(
            model, adapter_name=name),
        transformer_lora_adapter_metadata=plain(model.peft_config[name]))


if __name__ == "__main__":
    {"targets": targets, "layers": layers, "velocities": velocities,
     "save": save, "styles": styles, "resave": resave}[sys.argv[1]](*sys.argv[2:])
