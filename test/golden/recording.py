"""Turn runs of the networks and of the training loop into named numpy tensors."""
import numpy as np
import torch
from torch import nn

from training import iterate, optimisers
from ugatit import DISCRIMINATORS, GENERATORS, NETS, build

STATS = ["sum", "sum_abs", "sum_sq", "max_abs"]
NOISE = ["max_abs_f32_minus_f64", "max_abs_f64"]
IMAGES = {"D": ["fake_A2B", "fake_B2A"],
          "G": ["fake_A2B", "fake_B2A", "fake_A2B2A", "fake_B2A2B", "fake_A2A", "fake_B2B"]}
SILENT = (nn.ReflectionPad2d, nn.ReLU, nn.LeakyReLU, nn.Upsample, nn.Tanh)


def array(tensor):
    return tensor.detach().numpy().copy()


def load_nets(nets, tensors):
    """tensors: {"genA2B.<parameter>": array}"""
    for net, module in nets.items():
        state = {key[len(net) + 1:]: torch.from_numpy(np.array(value))
                 for key, value in tensors.items() if key.startswith(net + ".")}
        module.load_state_dict(state)


def nets_of(config, dtype, init=None):
    """The six networks of a configuration, from `init` (as in load_nets) or freshly initialised."""
    nets = build(config["ch"], config["n_res"], config["light"], config["img_size"],
                 config.get("dis_layers", (7, 5)))
    if init:
        load_nets(nets, init)
    return {name: net.to(dtype) for name, net in nets.items()}


def states(nets):
    """{"genA2B.<parameter>": array} of all networks, as in load_nets"""
    return {f"{net}.{key}": array(value) for net in NETS for key, value in nets[net].state_dict().items()}


def watched(net):
    """Modules whose output is recorded: all but padding, activations and the outermost containers."""
    for name, module in net.named_modules():
        if name and not isinstance(module, SILENT) and not name.endswith(("conv_block", "UpBlock2")):
            yield name, module


def net_record(net, given, dtype):
    """Forward and backward of one network from `param.*`, `input` and `cot.*` in given."""
    net = net.to(dtype)
    record = {key: given[key] for key in given if key == "input" or key.startswith(("param.", "cot."))}
    parameters = {key[6:]: torch.from_numpy(record[key]) for key in record if key.startswith("param.")}
    net.load_state_dict(parameters)
    for name, module in watched(net):
        module.register_forward_hook(
            lambda _module, _inputs, out, name=name: record.update({f"act.{name}": array(out.float())}))
    image = torch.from_numpy(given["input"]).to(dtype).requires_grad_(True)
    outputs = dict(zip(("out", "cam_logit", "heatmap"), net(image)))
    loss = sum((value * torch.from_numpy(given[f"cot.{key}"]).to(dtype)).sum()
               for key, value in outputs.items())
    loss.backward()
    record.update({f"fwd.{key}": array(value) for key, value in outputs.items()})
    record.update({"loss": array(loss), "grad.input": array(image.grad)})
    record.update({f"grad.{key}": array(p.grad) for key, p in net.named_parameters()})
    record.update({f"buffer_after.{key}": array(value) for key, value in net.named_buffers()})
    return record


def decode_inputs(tensors):
    """uint8 pictures -> [(a, b)] per iteration, as arrays with x = (q - 128) / 128"""
    count = len(tensors) // 2
    decoded = {key: (value.astype(np.float64) - 128) / 128 for key, value in tensors.items()}
    return [(decoded[f"it{k}.real_A"], decoded[f"it{k}.real_B"]) for k in range(1, count + 1)]


def named(nets, names, kind):
    """{net.tensor: tensor} of the parameters or buffers of the nets called names"""
    return {f"{net}.{key}": value for net in names
            for key, value in getattr(nets[net], f"named_{kind}")()}


def stats(values):
    rows = [[v.sum(), np.abs(v).sum(), np.square(v).sum(), np.abs(v).max()]
            for v in (value.astype(np.float64) for value in values)]
    return np.array(rows)


class Recorder:
    """Fills `record` (what a golden file holds) and `full` (every gradient and parameter, for noise)."""

    def __init__(self, nets, optims):
        self.nets, self.optims, self.record, self.full, self.names = nets, optims, {}, {}, {}
        self.iteration = 0

    def table(self, key, values):
        """A group of tensors: whole into full, one row of statistics each into record."""
        self.names[key] = list(values)
        self.full.update({f"it{self.iteration}.{key}.{name}": value for name, value in values.items()})
        self.record[f"it{self.iteration}.{key}.stats"] = stats(values.values())

    def observe(self, phase, log):
        if phase == "D":
            self.iteration += 1
        it, nets = f"it{self.iteration}", self.nets
        mine = {key: array(value) for key, value in log.items() if key.startswith(phase)}
        self.table(f"{phase}.images", {name: mine[f"{phase}.{name}"] for name in IMAGES[phase]})
        parameters = named(nets, DISCRIMINATORS if phase == "D" else GENERATORS, "parameters")
        self.table(f"{phase}.grad", {name: array(p.grad) for name, p in parameters.items()})
        buffers = named(nets, DISCRIMINATORS, "buffers")
        self.record.update({f"{it}.{phase}.buffer.{name}": array(value) for name, value in buffers.items()})
        self.record.update({f"{it}.{key}": value for key, value in mine.items()})
        if phase == "G":
            everything = named(nets, NETS, "parameters")
            self.table("param", {name: array(value) for name, value in everything.items()})
            self.adam(it, everything)

    def adam(self, it, parameters):
        state = {**self.optims[0].state, **self.optims[1].state}
        for name, p in parameters.items():
            self.record[f"{it}.adam.m.{name}"] = array(state[p]["exp_avg"])
            self.record[f"{it}.adam.v.{name}"] = array(state[p]["exp_avg_sq"])


def train_record(nets, batches, config, lrs=None):
    """Iterations over batches (arrays) from the nets as they stand -> (record, names of table rows)."""
    optims = optimisers(nets, config["lr"], config["weight_decay"])
    recorder = Recorder(nets, optims)
    dtype = next(nets["genA2B"].parameters()).dtype
    for index, (a, b) in enumerate(batches):
        for optim in optims if lrs else ():
            optim.param_groups[0]["lr"] = lrs[index]
        iterate(nets, optims, torch.from_numpy(a).to(dtype), torch.from_numpy(b).to(dtype),
                observe=recorder.observe)
    return {**recorder.full, **recorder.record}, recorder.names


def noise(ours, reference):
    """Rows [max |difference|, max |reference|] for pairs of arrays."""
    rows = [[np.abs(a.astype(np.float64) - b).max(), np.abs(b).max()] for a, b in zip(ours, reference)]
    return np.array(rows)
