"""Record ops.f64.safetensors: every operator on tiny tensors of our own choice."""
import re

import numpy as np
import torch

import ops
import tensorfile

CONVS = """k3s1p1_n2_5to6_4x6_bias k3s1p1_n1_8to8_4x5 k3s1p1_n1_3to4_2x3 k3s1p1_n1_9to5_3x4
k3s2p1_n2_4to5_7x6 k3s2p1_n1_3to8_6x5_bias k4s2p1_n2_3to5_6x8_bias k4s2p1_n1_4to4_7x5
k4s1p1_n2_4to1_5x4 k4s1p1_n1_4to8_4x4_bias k4s1p1_n1_5to1_2x2 k7s1p3_n1_3to4_6x8
k7s1p3_n2_2to3_4x5_bias k7s1p3_n1_4to3_6x6 k1s1p0_n2_7to3_4x5_bias k1s1p0_n1_8to4_3x6_bias""".split()
UPCONVS = "n1_4to8_3x4 n2_5to3_4x3 n1_3to2_1x2".split()
NORMS = """n2_c3_6x5_off0_sc1 n1_c8_4x4_off0_sc1 n1_c2_5x5_off50_sc0.1 n2_c4_5x6_off0_sc0.001
n1_c3_2x1_off0_sc1"""
ATTENTIONS = "n1_c8_4x5 n2_c3_5x3 n2_c4_4x4_ties".split()
SPECTRAL = {"conv_5x3x4x4": (5, 3, 4, 4), "conv_1x4x4x4": (1, 4, 4, 4), "linear_1x12": (1, 12),
            "linear_4x9": (4, 9)}
LARGE = 48  # results with more elements are rounded to float32, to keep the file small
UNBIASED = "unbiased (divide by N-1), both statistics"


class Maker:
    def __init__(self, seed):
        self.random, self.tensors, self.meta = torch.Generator().manual_seed(seed), {}, {}

    def normal(self, *shape):
        """Exactly representable in float32, so that every implementation starts from the same numbers."""
        return torch.randn(*shape, generator=self.random, dtype=torch.float32).numpy()

    def uniform(self, *shape):
        return torch.rand(*shape, generator=self.random, dtype=torch.float32).numpy()

    def add(self, case, record, meta=None):
        """Inputs and cotangents fit float32; results keep float64 unless they are large."""
        for key, value in record.items():
            value = np.asarray(value)
            single = value.astype(np.float32) if value.dtype == np.float64 else value
            given = np.array_equal(single, value) and value.size > 1
            self.tensors[f"{case}/{key}"] = single if given or value.size > LARGE else value
        if meta:
            self.meta[case] = meta

    def run(self, op, case, inputs, meta=None):
        record = ops.differentiate(op, case, inputs, lambda _output, shape: self.cotangent(op, shape), meta)
        self.add(f"{op}/{case}" if case else op, record, meta)

    def cotangent(self, op, shape):
        return np.ones(shape) if op == "loss" else self.normal(*shape).astype(np.float64)


def convolutions(make):
    for case in CONVS:
        k, stride, pad, n, c, o, h, w = map(int, re.findall(r"\d+", case))
        inputs = {"x": make.normal(n, c, h, w), "w": make.normal(o, c, k, k)}
        if case.endswith("bias"):
            inputs["b"] = make.normal(o)
        make.run("conv", case, inputs, {"k": k, "stride": stride, "pad": pad, "mode": "reflect"})
    for case in UPCONVS:
        n, c, o, h, w = map(int, re.findall(r"\d+", case))
        make.run("upconv", case, {"x": make.normal(n, c, h, w), "w": make.normal(o, c, 3, 3)})


def norms(make):
    for case in NORMS.split():
        n, c, h, w = map(int, re.match(r"n(\d+)_c(\d+)_(\d+)x(\d+)", case).groups())
        offset, scale = map(np.float32, re.search(r"off(.*)_sc(.*)", case).groups())
        x = offset + scale * make.normal(n, c, h, w)
        make.run("instance_norm", case, {"x": x}, {"eps": 1e-5, "var": "biased (divide by HW)"})
        rho = make.uniform(1, c, 1, 1)
        rho[0, :2, 0, 0] = 0, 1
        for op, shape in (("iln", (1, c, 1, 1)), ("adailn", (n, c))):
            inputs = {"x": x, "rho": rho, "gamma": make.normal(*shape), "beta": make.normal(*shape)}
            make.run(op, case, inputs, {"eps": 1e-5, "var": UNBIASED})
    plane = np.stack([np.full((3, 5), 0.75, np.float32), make.normal(3, 5)])[None]
    make.run("instance_norm", "constant_plane", {"x": plane})


def activations(make):
    x = np.concatenate([make.normal(35), np.float32([0, -0.0, 1e-20, -1e-20, 30, -30])])
    make.run("relu", "", {"x": x}, {"grad_at_0": 0})
    make.run("leaky_relu", "", {"x": x}, {"slope": 0.2, "grad_at_0": 0.2})
    make.run("tanh", "", {"x": x})
    make.run("linear", "nobias", {"x": make.normal(3, 17), "w": make.normal(5, 17)})
    make.run("linear", "bias", {"x": make.normal(2, 8), "w": make.normal(6, 8), "b": make.normal(6)})
    mlp = {"x": make.normal(2, 12), "w1": make.normal(7, 12), "w2": make.normal(7, 7)}
    make.run("linear", "relu_mlp", mlp)


def attention(make):
    for case in ATTENTIONS:
        n, c, h, w = map(int, re.findall(r"\d+", case)[:4])
        x = make.normal(n, c, h, w)
        if case.endswith("ties"):
            x = np.round(x).astype(np.float32)
        weights = {"gap_w": make.normal(1, c), "gmp_w": make.normal(1, c),
                   "w1x1": make.normal(c, 2 * c, 1, 1), "b1x1": make.normal(c)}
        make.run("cam_g", case, {"x": x, **weights})
        starts = {"gap_u": [-1.0], "gmp_u": [1.0]}
        make.run("cam_d", case, {"x": x, **weights}, starts)
        for key, value in starts.items():
            make.tensors[f"cam_d/{case}/{key}"] = np.array(value)
    ties = np.float32([[[[1, 3, 0], [3, 3, 2]], [[-1, -2, -1], [-4, -1, -5]], [[0, 0, 0], [0, 0, 0]]]])
    make.run("gmp", "ties", {"x": ties})


def losses(make):
    a, b = make.normal(2, 3, 3, 5), make.normal(2, 3, 3, 5)
    b[0, 0, 0, 0] = a[0, 0, 0, 0]
    make.run("loss", "l1", {"a": a, "b": b}, {"grad_at_0": 0})
    x, logits = make.normal(2, 1, 4, 3), make.normal(3, 2) * 3
    logits[0] = 100, -100
    for target in ("ones", "zeros"):
        make.run("loss", f"mse_{target}", {"x": x})
        make.run("loss", f"bce_logits_{target}", {"x": logits})


def state_updates(make):
    """Spectral norm, Adam, the rho clip and the learning rates: operators that keep state."""
    for case, shape in SPECTRAL.items():
        def unit(size):
            vector = make.normal(size).astype(np.float64)
            return (vector / np.linalg.norm(vector)).astype(np.float32).astype(np.float64)
        cotangents = {f"it{k}": make.normal(*shape).astype(np.float64) for k in (1, 2, 3)}
        weight = make.normal(*shape).astype(np.float64)
        record = ops.spectral_norm_record(weight, unit(shape[0]), unit(weight[0].size), cotangents)
        make.add(f"spectral_norm/{case}", record, {"eps": 1e-12, "dim": 0, "power_iterations": 1})
    for case, decay in (("wd1e-4", 1e-4), ("wd0", 0.0)):
        meta = {"lr": [1e-4, 1e-4, 1e-4, 7.5e-5, 5e-5], "betas": [0.5, 0.999], "eps": 1e-8,
                "weight_decay": decay}
        size, sizes = 20, np.float32([1, 1e-3, 1e-6, 1e-9, 0] * 4)
        gradients = {f"it{k}": (make.normal(size) * sizes).astype(np.float64) for k in range(1, 6)}
        make.add(f"adam/{case}", ops.adam_record(make.normal(size).astype(np.float64), gradients, meta), meta)
    values = np.array([-0.25, 0, 0.4375, 1, 1.5, 0.9])
    make.add("rho_clip", {"x": values, "y": np.clip(values, 0, 1)})
    steps = [1, 2, 499_999, 500_000, 500_001, 500_002, 700_000, 900_001, 999_998, 999_999, 1_000_000]
    make.add("lr", ops.lr_record(steps), {
        "lr0": 1e-4, "rule": "step > iteration//2: lr -= lr0/(iteration//2), before the D and G updates"})


def make_ops(folder, seed=20):
    make = Maker(seed)
    for part in (convolutions, norms, activations, attention, losses, state_updates):
        part(make)
    tensorfile.write(folder / "ops.f64.safetensors", make.tensors, make.meta)
