"""Time one training iteration of U-GAT-IT in PyTorch on the CPU, to set beside our benchmark.

    step_time.py --size 96 --ch 16 [--n-res 4 --dis-layers 7,5 --batch 1 --full --threads 2 --iterations 5]

Two loops with the same numbers: the authors' (fakes not detached and computed twice, gradients of D
in the G step), and lean (detached, used again, no gradients of D). After one warm-up iteration of each
they take turns, so that a busy moment of the machine meets both; median and best are printed, and the
load of the machine: with other work on the cores, waiting OpenMP threads make 2 threads up to ten times
slower than 1. Numbers from a busy machine are no basis for a comparison.
"""
import argparse
import json
import os
import statistics
import time

import torch

import recording
from training import iterate, optimisers


def measure(config, iterations):
    """-> {loop: [seconds of each iteration]}"""
    torch.manual_seed(1)
    nets = recording.nets_of(config, torch.float32)
    optims = optimisers(nets)
    shape = (config["batch"], 3, config["img_size"], config["img_size"])
    a, b = torch.rand(shape) * 2 - 1, torch.rand(shape) * 2 - 1
    seconds = {"authors": [], "lean": []}
    for index in range(iterations + 1):
        for loop, measured in seconds.items():
            start = time.perf_counter()
            iterate(nets, optims, a, b, lean=loop == "lean")
            if index:
                measured.append(time.perf_counter() - start)
    return seconds


def main():
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    for name, value in (("size", 96), ("ch", 16), ("n-res", 4), ("batch", 1), ("threads", 2),
                        ("iterations", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--dis-layers", default="7,5")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config = {"light": not given.full, "ch": given.ch, "n_res": given.n_res, "img_size": given.size,
              "batch": given.batch, "dis_layers": [int(n) for n in given.dis_layers.split(",")]}
    load = os.getloadavg()[0]
    milliseconds = {loop: {"median": round(1000 * statistics.median(measured), 2),
                           "best": round(1000 * min(measured), 2)}
                    for loop, measured in measure(config, given.iterations).items()}
    if given.json:
        print(json.dumps({**config, "threads": given.threads, "torch": torch.__version__, "load": load,
                          "ms": milliseconds}))
        return
    kind = "light" if config["light"] else "full"
    print(f"PyTorch {torch.__version__} CPU, {given.threads} threads, {kind}, {given.size} x {given.size}, "
          f"ch {given.ch}, n_res {given.n_res}, D {given.dis_layers}, batch {given.batch}")
    for loop, value in milliseconds.items():
        print(f"{loop:8} {value['median']:10.1f} ms per iteration, median of {given.iterations}; "
              f"best {value['best']:.1f}")
    if load > 0.5:
        print(f"load {load:.1f} before the start on {os.cpu_count()} cores: measure again on a quiet machine")


if __name__ == "__main__":
    main()
