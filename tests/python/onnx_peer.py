"""ONNX networks for onnx_reward_test.

    onnx_peer.py OUT

OUT/images.safetensors has "images" [B,3,H,W] in [0,1]. Writes networks
OUT/<name>.onnx, right ones and wrong ones, OUT/fixed.json with settings of one,
and OUT/peer.safetensors: "<name>" [B] as ONNX Runtime computes it of right ones.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file

FLOAT = TensorProto.FLOAT
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]


def write(out, name, nodes, constants=(), shape=("b", 3, "h", "w"),
          outputs=(("scores", ("b",)),), kind=FLOAT):
    graph = helper.make_graph(
        nodes, name,
        [helper.make_tensor_value_info("images", FLOAT, shape)],
        [helper.make_tensor_value_info(one, kind, size)
         for one, size in outputs],
        [numpy_helper.from_array(np.asarray(value), key)
         for key, value in dict(constants).items()])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, out / f"{name}.onnx")


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs.split(), output.split(), **attributes)


def mean(output="scores", **more):
    return node("ReduceMean", "images", output, axes=[1, 2, 3], keepdims=0,
                **more)


def network():
    """A convolution, a nonlinearity, a mean over places, a head: [B,1]."""
    rng = np.random.default_rng(0)
    constants = {
        "kernel": rng.normal(size=(8, 3, 3, 3)).astype(np.float32),
        "bias": rng.normal(size=8).astype(np.float32),
        "head": rng.normal(size=(8, 1)).astype(np.float32)}
    nodes = [node("Conv", "images kernel bias", "a", strides=[2, 2]),
             node("Tanh", "a", "c"),
             node("ReduceMean", "c", "d", axes=[2, 3], keepdims=0),
             node("MatMul", "d head", "scores")]
    return nodes, constants


def write_right(out):
    nodes, constants = network()
    scores = (("scores", ("n", 1)),)
    write(out, "open", nodes, constants, outputs=scores)
    write(out, "fixed", nodes, constants, (1, 3, 16, 12), scores)
    write(out, "four", nodes, constants, (4, 3, "h", "w"), scores)
    write(out, "two", [mean("other"), *nodes], constants,
          outputs=(("other", ("b",)), *scores))


def write_wrong(out):
    write(out, "log", [mean("a"), node("Log", "a", "scores")])
    write(out, "pair", [node("ReduceMean", "images", "scores", axes=[2, 3],
                             keepdims=0)], outputs=(("scores", ("b", 3)),))
    write(out, "count", [mean("a"), node("Cast", "a", "scores",
                                         to=TensorProto.INT64)],
          kind=TensorProto.INT64)
    write(out, "grey", [mean()], shape=("b", 1, "h", "w"))
    torch.save({"weight": torch.ones(3)}, out / "pickle.onnx")


def scores(out, name, images):
    session = onnxruntime.InferenceSession(
        out / f"{name}.onnx", providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["scores"], {"images": one[None]})[0]
                           for one in images]).reshape(-1)


def main(out):
    images = load_file(out / "images.safetensors")["images"]
    write_right(out)
    write_wrong(out)
    (out / "settings.json").write_text(json.dumps(
        {"network": "fixed.onnx", "mean": MEAN, "std": STD,
         "channels": "bgr"}))
    (out / "two.json").write_text(json.dumps(
        {"network": "two.onnx", "output": "scores", "size": 24}))
    # As antialiased resizing of PyTorch gives them, which PIL's is to rounding.
    resized = torch.nn.functional.interpolate(
        images, (16, 12), mode="bicubic", antialias=True).clamp(0, 1)
    shown = ((resized.flip(1) - torch.tensor(MEAN).view(3, 1, 1))
             / torch.tensor(STD).view(3, 1, 1))
    large = torch.nn.functional.interpolate(
        images, (24, 24), mode="bicubic", antialias=True).clamp(0, 1)
    save_file({"open": torch.from_numpy(scores(out, "open", images.numpy())),
               "fixed": torch.from_numpy(
                   scores(out, "fixed", resized.numpy())),
               "settings": torch.from_numpy(
                   scores(out, "fixed", shown.numpy())),
               "two": torch.from_numpy(scores(out, "two", large.numpy()))},
              out / "peer.safetensors")


main(pathlib.Path(sys.argv[1]))
