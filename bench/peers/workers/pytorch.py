"""PyTorch's CPU build behind the protocol of bench/peers/protocol.ts; networks and loop of test/golden.

pytorch.py [threads]; without a number, as many threads as cores.
"""
import json
import os
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../test/golden"))

import numpy as np
import torch
from torch.nn import functional as F

import tensorfile
from recording import load_nets
from training import iterate, optimisers
from ugatit import Generator, build, mix_norms


def layer(task, t):
    if task["kind"] == "conv":
        p = task["pad"]
        return F.conv2d(F.pad(t["x"], (p, p, p, p), mode="reflect"), t["w"], stride=task["stride"])
    if task["kind"] == "instance":
        return F.instance_norm(t["x"])
    rho, gamma, beta = t["rho"][None, :, None, None], t["gamma"], t["beta"]
    return mix_norms(t["x"], rho) * gamma[:, :, None, None] + beta[:, :, None, None]


class Layer:
    def __init__(self, task, inputs):
        self.task, self.dy = task, inputs.pop("dy", None)
        self.inputs = {name: x.requires_grad_(task["backward"]) for name, x in inputs.items()}

    def run(self):
        y = layer(self.task, self.inputs)
        if not self.task["backward"]:
            return {"y": y}
        grads = torch.autograd.grad(y, list(self.inputs.values()), self.dy)
        return {"y": y.detach(), **{f"d{name}": g for name, g in zip(self.inputs, grads)}}

    def results(self):
        return self.run()


class Translation:
    def __init__(self, task, inputs):
        self.x = inputs.pop("x")
        self.net = Generator(task["ch"], task["nRes"], True, self.x.shape[2])
        self.net.load_state_dict(inputs)

    def run(self):
        with torch.no_grad():
            return {"y": self.net(self.x)[0]}

    def results(self):
        return self.run()


class Step:
    def __init__(self, task, inputs):
        self.iterations = task["iterations"]
        self.a, self.b = inputs.pop("a"), inputs.pop("b")
        self.nets = build(task["ch"], task["nRes"], True, self.a.shape[2], task["disLayers"])
        load_nets(self.nets, {name: x.numpy() for name, x in inputs.items()})
        self.optims = optimisers(self.nets)

    def run(self):
        log = iterate(self.nets, self.optims, self.a, self.b, lean=True)
        return [log["D.loss"].item(), log["G.loss"].item()]

    def results(self):
        return {f"losses{i + 1}": torch.tensor(self.run()) for i in range(self.iterations)}


def opened(request):
    arrays, _ = tensorfile.read(request["inputs"])
    inputs = {name: torch.from_numpy(value) for name, value in arrays.items()}
    task = request["task"]
    kind = {"generator": Translation, "step": Step}.get(task["kind"], Layer)
    prepared = kind(task, inputs)
    tensorfile.write(request["results"], {name: np.ascontiguousarray(value.detach().numpy())
                                          for name, value in prepared.results().items()})
    return prepared


def sample(prepared, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        prepared.run()
    return 1000 * (time.perf_counter() - start) / repeats


def main():
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else os.cpu_count())
    prepared = None
    for line in sys.stdin:
        request, reply = json.loads(line), {}
        try:
            if request["do"] == "hello":
                reply = {"hello": {"version": torch.__version__,
                                   "details": {"threads": str(torch.get_num_threads())}}}
            elif request["do"] == "open":
                prepared = opened(request)
            elif request["do"] == "sample":
                reply = {"ms": sample(prepared, request["repeats"])}
            else:
                prepared = None
        except Exception:
            reply = {"error": traceback.format_exc()}
        print("> " + json.dumps(reply), flush=True)


main()
