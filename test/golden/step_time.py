"""Time one training iteration of U-GAT-IT in PyTorch, to set beside our benchmark.

    step_time.py --size 96 --ch 16 [--n-res 4 --dis-layers 7,5 --batch 1 --full --threads 2 --iterations 5]
    step_time.py --size 256 --ch 64 --device cuda [--tf32]

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


def measure(config, iterations, device):
    """-> {loop: [seconds of each iteration]}"""
    torch.manual_seed(1)
    done = torch.cuda.synchronize if device == "cuda" else lambda: None
    nets = {name: net.to(device) for name, net in recording.nets_of(config, torch.float32).items()}
    optims = optimisers(nets)
    shape = (config["batch"], 3, config["img_size"], config["img_size"])
    a, b = (torch.rand(shape).to(device) * 2 - 1 for _ in "ab")
    seconds = {"authors": [], "lean": []}
    for index in range(iterations + 1):
        for loop, measured in seconds.items():
            start = time.perf_counter()
            iterate(nets, optims, a, b, lean=loop == "lean")
            done()
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
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--tf32", action="store_true", help="with cuda: products of 19-bit floats")
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = given.tf32
    config = {"light": not given.full, "ch": given.ch, "n_res": given.n_res, "img_size": given.size,
              "batch": given.batch, "dis_layers": [int(n) for n in given.dis_layers.split(",")]}
    load = os.getloadavg()[0]
    milliseconds = {loop: {"median": round(1000 * statistics.median(measured), 2),
                           "best": round(1000 * min(measured), 2)}
                    for loop, measured in measure(config, given.iterations, given.device).items()}
    if given.json:
        print(json.dumps({**config, "threads": given.threads, "device": given.device, "tf32": given.tf32,
                          "torch": torch.__version__, "load": load,
                          "ms": milliseconds}))
        return
    kind = "light" if config["light"] else "full"
    where = f"CPU, {given.threads} threads" if given.device == "cpu" else (
        f"{torch.cuda.get_device_name()}, TF32 {'on' if given.tf32 else 'off'}")
    print(f"PyTorch {torch.__version__} {where}, {kind}, {given.size} x {given.size}, "
          f"ch {given.ch}, n_res {given.n_res}, D {given.dis_layers}, batch {given.batch}")
    for loop, value in milliseconds.items():
        print(f"{loop:8} {value['median']:10.1f} ms per iteration, median of {given.iterations}; "
              f"best {value['best']:.1f}")
    if load > 0.5 and given.device == "cpu":
        print(f"load {load:.1f} before the start on {os.cpu_count()} cores: measure again on a quiet machine")


if __name__ == "__main__":
    main()
