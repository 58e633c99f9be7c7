"""How far PyTorch's own float32 is from float64, for every output and gradient of every operator.

    python3 test/golden/ops_float32.py          writes ops.float32.json beside this file

{set: {"conv/<case>/g_x": ||float32 - float64|| / ||float64||}} where that is not 0; sets as in the tests:
"small" (this folder's) and "shared" (../shared/golden, where it is there; else what the file had stays).
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch

import tensorfile
from verify import cases_of, compute_case

HERE = Path(__file__).resolve().parent
SETS = {"shared": HERE.parents[2] / "shared" / "golden", "small": HERE / "small"}


def errors(path):
    golden, meta = tensorfile.read(path)
    rows = {}
    for case, tensors in cases_of(golden).items():
        if case in ("lr", "rho_clip"):
            continue
        single, exact = (compute_case(case, tensors, meta.get(case, {}), dtype)
                         for dtype in (torch.float32, torch.float64))
        for key, value in exact.items():
            norm = np.linalg.norm(value)
            difference = np.linalg.norm(single[key].astype(np.float64) - value)
            if difference > 0:
                rows[f"{case}/{key}"] = float(f"{difference / (norm or 1):.2e}")
    return rows


def main():
    target = HERE / "ops.float32.json"
    table = json.loads(target.read_text()) if target.exists() else {}
    for name, folder in SETS.items():
        if folder.exists():
            table[name] = errors(folder / "ops.f64.safetensors")
    target.write_text(json.dumps(table, indent=1) + "\n")
    for name, rows in table.items():
        worst = max(rows, key=rows.get)
        print(f"{name}: {len(rows)} tensors, worst {rows[worst]:.1e} {worst}")


if __name__ == "__main__":
    sys.exit(main())
