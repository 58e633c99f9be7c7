"""The operators of the golden set: each is a function from named inputs to named outputs.

`differentiate` adds the gradients of sum(output * cotangent), so that make.py records and
verify.py checks through the same definitions.
"""
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

from training import bce_to, learning_rates, mse_to
from ugatit import AdaILN, ILN, EPS, class_activation


def conv(x, w, b=None, meta=None):
    padded = F.pad(x, (meta["pad"],) * 4, mode="reflect") if meta["pad"] else x
    return {"y": F.conv2d(padded, w, b, meta["stride"])}


def upconv(x, w, meta=None):
    up = F.interpolate(x, scale_factor=2, mode="nearest")
    return {"y": F.conv2d(F.pad(up, (1, 1, 1, 1), mode="reflect"), w)}


def norm_layer(layer, parameters):
    """The layer with its parameters replaced by tensors that autograd follows."""
    for name, value in parameters.items():
        delattr(layer, name)
        setattr(layer, name, value)
    return layer


def iln(x, rho, gamma, beta, meta=None):
    return {"y": norm_layer(ILN(x.shape[1]), {"rho": rho, "gamma": gamma, "beta": beta})(x)}


def adailn(x, rho, gamma, beta, meta=None):
    return {"y": norm_layer(AdaILN(x.shape[1]), {"rho": rho})(x, gamma, beta)}


def linear(x, w=None, b=None, w1=None, w2=None, meta=None):
    if w1 is not None:
        return {"y": F.relu(F.linear(F.relu(F.linear(x, w1)), w2))}
    return {"y": F.linear(x, w, b)}


class Attention(nn.Module):
    def __init__(self, gap_w, gmp_w, w1x1, b1x1, gap_u=None, gmp_u=None):
        super().__init__()
        c = gap_w.shape[1]
        self.gap_fc, self.gmp_fc = (self.fc(w, u) for w, u in ((gap_w, gap_u), (gmp_w, gmp_u)))
        self.conv1x1 = nn.Conv2d(2 * c, c, 1)
        norm_layer(self.conv1x1, {"weight": w1x1, "bias": b1x1})

    @staticmethod
    def fc(w, u):
        layer = nn.Linear(w.shape[1], 1, bias=False).to(w.dtype)
        if u is not None:
            layer = spectral_norm(layer)
            layer.weight_u.copy_(u)
        name = "weight" if u is None else "weight_orig"
        delattr(layer, name)
        layer.register_parameter(name, nn.Parameter(w.detach().clone()))
        return layer

    def parameter_gradients(self):
        return {"gap_w": next(self.gap_fc.parameters()).grad, "gmp_w": next(self.gmp_fc.parameters()).grad}


def cam(x, meta, activation, **weights):
    starts = {key: torch.tensor(meta[key], dtype=x.dtype) for key in ("gap_u", "gmp_u") if key in meta}
    block = Attention(**weights, **starts)
    z, logit = class_activation(block, x)
    z = activation(z)
    return {"logit": logit, "z": z, "heatmap": z.sum(1, keepdim=True)}, block


def loss(case):
    def on_pair(a, b, meta=None):
        return {"y": F.l1_loss(a, b)}

    def on_one(x, meta=None):
        kind, target = case.rsplit("_", 1)
        return {"y": (mse_to if kind == "mse" else bce_to)(x, 1 if target == "ones" else 0)}
    return on_pair if case == "l1" else on_one


def unary(function):
    return lambda x, meta=None: {"y": function(x)}


OPS = {
    "conv": conv, "upconv": upconv, "iln": iln, "adailn": adailn, "linear": linear,
    "instance_norm": unary(lambda x: F.instance_norm(x, eps=EPS)), "relu": unary(F.relu),
    "leaky_relu": unary(lambda x: F.leaky_relu(x, 0.2)), "tanh": unary(torch.tanh),
    "gmp": unary(lambda x: F.adaptive_max_pool2d(x, 1)),
}


def differentiate(op, case, inputs, cotangents, meta=None, dtype=torch.float64):
    """-> {outputs, g_<input> of each input}; everything numpy in, numpy out, computed in dtype.

    cotangents: {output: array}, or a function (output, shape) -> array that makes them.
    """
    leaves = {key: torch.from_numpy(value).to(dtype).requires_grad_(True) for key, value in inputs.items()}
    leaves = {key: leaf for key, leaf in leaves.items() if not key.endswith("_u")}
    block = None
    if op in ("cam_g", "cam_d"):
        outputs, block = cam(meta=meta or {}, activation=F.relu if op == "cam_g" else
                             (lambda z: F.leaky_relu(z, 0.2)), **leaves)
    else:
        function = loss(case) if op == "loss" else OPS[op]
        outputs = function(meta=meta, **leaves)
    if callable(cotangents):
        cotangents = {key: cotangents(key, tuple(value.shape)) for key, value in outputs.items()}
    total = sum((value * torch.from_numpy(cotangents[key]).to(dtype)).sum() for key, value in outputs.items())
    total.backward()
    record = {}
    for key, value in outputs.items():
        record[key], record["g" + key] = value.detach().numpy(), cotangents[key]
    gradients = {key: leaf.grad for key, leaf in leaves.items()}
    if block:
        gradients.update(block.parameter_gradients())
    for key, leaf in leaves.items():
        record[key], record["g_" + key] = leaf.detach().numpy(), gradients[key].numpy()
    return record


def spectral_norm_record(w, u0, v0, gw_sn, dtype=torch.float64):
    """Three training-mode forwards and one in eval; gw_sn: {"it1": cotangent, ...}"""
    linear_layer = w.ndim == 2
    layer = nn.Linear(w.shape[1], w.shape[0], bias=False) if linear_layer else \
        nn.Conv2d(w.shape[1], w.shape[0], w.shape[2], bias=False)
    layer = spectral_norm(layer.to(dtype))
    layer.weight_orig.data = torch.from_numpy(w.copy()).to(dtype)
    layer.weight_u.copy_(torch.from_numpy(u0))
    layer.weight_v.copy_(torch.from_numpy(v0))
    x = torch.zeros((1, w.shape[1]) + (w.shape[2:] if not linear_layer else ()), dtype=dtype)
    record = {"w": w, "u0": u0, "v0": v0}
    for it in ("it1", "it2", "it3", "eval"):
        layer.train(it != "eval")
        layer.weight_orig.grad = None
        layer(x)
        record[f"{it}.w_sn"] = layer.weight.detach().numpy().copy()
        if it == "eval":
            break
        layer.weight.backward(torch.from_numpy(gw_sn[it]).to(dtype))
        u, v = layer.weight_u.numpy().copy(), layer.weight_v.numpy().copy()
        record.update({f"{it}.u": u, f"{it}.v": v, f"{it}.sigma": np_scalar(u @ w.reshape(len(u), -1) @ v),
                       f"{it}.gw_sn": gw_sn[it], f"{it}.g_w": layer.weight_orig.grad.numpy().copy()})
    return record


def np_scalar(value):
    return torch.as_tensor(value, dtype=torch.float64).numpy()


def adam_record(p0, gradients, meta, dtype=torch.float64):
    """gradients: {"it1": array, ...}; meta: lr per step, betas, eps, weight_decay"""
    p = nn.Parameter(torch.from_numpy(p0.copy()).to(dtype))
    optim = torch.optim.Adam([p], betas=meta["betas"], eps=meta["eps"], weight_decay=meta["weight_decay"])
    record = {"p0": p0}
    for (it, gradient), lr in zip(gradients.items(), meta["lr"]):
        optim.param_groups[0]["lr"] = lr
        p.grad = torch.from_numpy(gradient.copy()).to(dtype)
        optim.step()
        state = optim.state[p]
        record.update({f"{it}.g": gradient, f"{it}.p": p.detach().numpy().copy(),
                       f"{it}.m": state["exp_avg"].numpy().copy(),
                       f"{it}.v": state["exp_avg_sq"].numpy().copy()})
    return record


def lr_record(steps_of_long_run):
    long = learning_rates(1_000_000)
    steps = torch.tensor(steps_of_long_run)
    return {"iter10": rates(10), "iter11": rates(11), "iter10_resume7": rates(10, start=7),
            "iter1e6_step": steps.numpy(), "iter1e6": np_array([long[step - 1] for step in steps])}


def rates(iterations, start=1):
    return np_array(learning_rates(iterations, start=start))


def np_array(values):
    return torch.tensor(values, dtype=torch.float64).numpy()
