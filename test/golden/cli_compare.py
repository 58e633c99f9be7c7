"""Compare a checkpoint with the expected one of cli_reference.py, tensor by tensor.

Parameters move by about lr per step, a thousandth of their size, so a difference relative to the
largest value says little: an untrained network passes. What counts is the difference relative to
the update, ||ours - expected|| / ||expected - init||. Adam's first steps are close to lr * sign(g):
an element whose gradient is rounding noise may go the other way. So the worst hundredth of a
tensor's elements (at least one, in tensors above 16) is left out, and such flips are counted apart.
"""
import numpy as np
import torch

import tensorfile

VALUE_LIMIT = 5e-3       # max |difference| / max |value|: ten times what golden/README measures for float32
UPDATE_LIMIT = 5e-3      # or OWN times what PyTorch's own float32 does, where that is more
OWN, FLIPS = 10, 0.01


def read_checkpoint(path):
    """-> {"genA2B.<parameter>": float32 array} of a .pt or .safetensors file"""
    if path.suffix == ".safetensors":
        return tensorfile.read(path)[0]
    nested = torch.load(path, map_location="cpu")
    return {f"{net}.{key}": value.numpy() for net, state in nested.items() for key, value in state.items()}


def trimmed_norm(difference):
    ordered = np.sort(np.abs(difference), axis=None)
    dropped = max(1, difference.size // 100) if difference.size > 16 else 0
    return np.linalg.norm(ordered[:difference.size - dropped])


def rows(ours, expected, init, lr):
    """One dict per tensor: its name, size, value and update differences and flipped elements."""
    table = []
    for name, target in expected.items():
        target, start = target.astype(np.float64), init[name].astype(np.float64)
        difference = ours[name].astype(np.float64) - target
        moved = max(np.linalg.norm(target - start), 1e-30)
        finite = bool(np.isfinite(difference).all())
        table.append({
            "name": name, "size": target.size, "buffer": name.endswith(("weight_u", "weight_v")),
            "value": np.abs(difference).max() / max(np.abs(target).max(), 1e-2) if finite else np.inf,
            "update": trimmed_norm(difference) / moved if finite else np.inf,
            "flips": int((np.abs(difference) > lr).sum()) if finite else target.size,
        })
    return table


def check_names(ours, expected):
    problems = [f"missing: {name}" for name in expected if name not in ours]
    problems += [f"not expected: {name}" for name in ours if name not in expected]
    return problems + [f"shape of {name}: {ours[name].shape}, expected {expected[name].shape}"
                       for name in expected if name in ours and ours[name].shape != expected[name].shape]


def split(whole):
    """expected.safetensors -> (expected, init, float32) without the prefixes"""
    parts = {"": {}, "init": {}, "f32": {}}
    for name, value in whole.items():
        head, _, rest = name.partition(".")
        if not name.endswith("losses"):
            parts[head if head in parts else ""][rest if head in parts else name] = value
    return parts[""], parts["init"], parts["f32"]


def compare(options):
    whole, meta = tensorfile.read(options.expected / "expected.safetensors")
    (expected, init, single), lr = split(whole), meta["config"]["lr"]
    ours = read_checkpoint(options.ours)
    if problems := check_names(ours, expected):
        print("\n".join(problems))
        return 1
    table = rows(ours, expected, init, lr)
    own = {row["name"]: row for row in rows(single, expected, init, lr)}
    for row in table:
        row["limit"] = max(UPDATE_LIMIT, OWN * own[row["name"]]["update"])
        row["bad"] = not row["value"] <= VALUE_LIMIT or not (row["buffer"] or row["update"] <= row["limit"])
    flips = sum(row["flips"] for row in table if not row["buffer"])
    elements = sum(row["size"] for row in table if not row["buffer"])
    own_flips = sum(row["flips"] for row in own.values() if not row["buffer"])
    report(table, own, options.all)
    failed = sum(row["bad"] for row in table) or flips > max(FLIPS * elements, 2 * own_flips)
    print(f"{len(table)} tensors, {sum(row['bad'] for row in table)} beyond the limits; "
          f"{flips} of {elements} elements off by more than lr (PyTorch float32: {own_flips})")
    print("FAILED" if failed else "ok")
    return 1 if failed else 0


def report(table, own, everything):
    """Worst first: failures, then by the share of the limit that is used."""
    def rank(row):
        return row["bad"], not row["buffer"], row["update"] / row["limit"]
    order = sorted(table, key=rank, reverse=True)
    print(f"{'diff/value':>10} {'diff/update':>11} {'(PyTorch f32)':>13} {'flips':>6} {'elements':>8}")
    for row in order if everything else order[:10]:
        update = "" if row["buffer"] else f"{row['update']:.1e}"
        reference = "" if row["buffer"] else f"{own[row['name']]['update']:.1e}"
        print(f"{row['value']:10.1e} {update:>11} {reference:>13} {row['flips']:6d} {row['size']:8d} "
              f"{row['name']}{'  BAD' if row['bad'] else ''}")
