"""Run ugatit.py and training.py in float64 and compare with a folder of golden tensors.

    python3 test/golden/verify.py [FOLDER]      default: ../shared/golden, the authors' own code

Prints the largest difference per file, relative to the largest value of the tensor it is in;
ends with exit code 1 when one is above LIMIT (a tensor stored in float32: above its rounding).
"""
import sys
from pathlib import Path

import numpy as np
import torch

import ops
import recording
import tensorfile
from ugatit import Discriminator, Generator

LIMIT, F32_LIMIT = 1e-11, 1.2e-7
HERE = Path(__file__).resolve().parent


class Worst:
    """Collects differences of one file; a key is `golden` when the file has it, else ignored."""

    def __init__(self, path):
        self.path, self.count, self.worst, self.missing = path, 0, {"F64": (0, ""), "F32": (0, "")}, []

    def check(self, name, ours, golden):
        ours, kind = np.asarray(ours, dtype=np.float64), "F32" if golden.dtype == np.float32 else "F64"
        assert ours.shape == golden.shape, f"{name}: {ours.shape} against {golden.shape}"
        scale = max(np.abs(golden).max(initial=0), 1e-30)
        difference = np.abs(ours - golden).max(initial=0) / scale
        if not difference <= 1e300:
            difference = np.inf
        self.count += 1
        self.worst[kind] = max(self.worst[kind], (float(difference), name))

    def check_all(self, ours, golden):
        for name, value in golden.items():
            if name in ours:
                self.check(name, ours[name], value)
            else:
                self.missing.append(name)

    def report(self):
        ok = self.worst["F64"][0] <= LIMIT and self.worst["F32"][0] <= F32_LIMIT and not self.missing
        parts = [f"{kind} {value:.1e} ({name})" for kind, (value, name) in self.worst.items() if name]
        print(f"{'ok  ' if ok else 'FAIL'} {self.path}: {self.count} tensors; " + ", ".join(parts))
        for name in self.missing[:5]:
            print(f"     not computed: {name} (and {len(self.missing)} in all)")
        return ok


def verify_ops(path):
    golden, meta = tensorfile.read(path)
    worst = Worst(path.name)
    for case, tensors in cases_of(golden).items():
        ours = compute_case(case, tensors, meta.get(case, {}))
        worst.check_all({f"{case}/{key}": value for key, value in ours.items()},
                        {f"{case}/{key}": value for key, value in tensors.items()})
    return worst.report()


def cases_of(golden):
    """{"conv/...": {tensor: array}} of an ops file"""
    cases = {}
    for name, value in golden.items():
        case, tensor = name.rsplit("/", 1)
        cases.setdefault(case, {})[tensor] = value
    return cases


def compute_case(case, tensors, meta, dtype=torch.float64):
    op, _, rest = case.partition("/")
    tensors = {key: value.astype(np.float64) if value.dtype == np.float32 else value
               for key, value in tensors.items()}
    steps = {key.split(".")[0]: value for key, value in tensors.items()
             if key.endswith((".gw_sn", ".g")) and key.startswith("it")}
    if op == "spectral_norm":
        return ops.spectral_norm_record(tensors["w"], tensors["u0"], tensors["v0"], steps, dtype)
    if op == "adam":
        return ops.adam_record(tensors["p0"], steps, meta, dtype)
    if op == "lr":
        return ops.lr_record(tensors["iter1e6_step"])
    if op == "rho_clip":
        return {"x": tensors["x"], "y": np.clip(tensors["x"], 0, 1)}
    inputs = {key: value for key, value in tensors.items() if "g_" + key in tensors}
    cotangents = {key[1:]: value for key, value in tensors.items()
                  if key.startswith("g") and not key.startswith("g_") and key[1:] in tensors}
    record = ops.differentiate(op, rest, inputs, cotangents, meta, dtype)
    record.update({key: np.array(meta[key]) for key in ("gap_u", "gmp_u") if key in meta})
    return record


def verify_net(path):
    golden, meta = tensorfile.read(path)
    config = meta["config"]
    if config["kind"] == "dis":
        net = Discriminator(config["ch"], config["n_layers"])
    else:
        net = Generator(config["ch"], config["n_res"], config["kind"] == "light", config["h"])
    ours = recording.net_record(net, golden, torch.float64)
    worst = Worst(f"nets/{path.name}")
    worst.check_all(ours, golden)
    return worst.report()


def verify_train(path):
    golden, meta = tensorfile.read(path)
    config = meta["config"]
    init, _ = tensorfile.read(path.parent / config["init"])
    inputs, _ = tensorfile.read(path.parent / config["inputs"])
    nets = recording.nets_of(config, torch.float64, init)
    ours, _ = recording.train_record(nets, recording.decode_inputs(inputs), config)
    worst = Worst(f"train/{path.name}")
    worst.check_all(ours, golden)
    return worst.report()


def main(folder):
    print(f"float64 PyTorch {torch.__version__} against {folder}")
    results = [verify_ops(folder / "ops.f64.safetensors")]
    results += [verify_net(path) for path in sorted(folder.glob("nets/*.f64.safetensors"))]
    results += [verify_train(path) for path in sorted(folder.glob("train/*.f64.safetensors"))]
    return 0 if all(results) else 1


if __name__ == "__main__":
    default = HERE.parents[2] / "shared" / "golden"
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else default))
