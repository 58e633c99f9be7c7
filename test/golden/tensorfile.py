"""Read and write safetensors files (Debian has no package for it).

Tensors are written by falling item size, so that each is aligned to its type within the file.
Metadata values are JSON strings, here decoded on reading and encoded on writing.
"""
import json
import struct

import numpy as np

DTYPES = {"F64": "<f8", "I64": "<i8", "F32": "<f4", "I32": "<i4", "U8": "|u1"}
NAMES = {np.dtype(code): name for name, code in DTYPES.items()}


def read(path):
    """-> ({name: numpy array}, {key: decoded metadata})"""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    meta = {key: decoded(text) for key, text in header.pop("__metadata__", {}).items()}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(data[begin:end], DTYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"]).copy()
    return tensors, meta


def decoded(text):
    """Metadata that is no JSON stays the string it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def write(path, tensors, meta=None):
    """tensors: {name: numpy array or torch tensor}; meta: {key: anything JSON can hold}"""
    arrays = {name: np.ascontiguousarray(value).reshape(np.shape(value)) for name, value in tensors.items()}
    order = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    header, offset = {"__metadata__": {key: json.dumps(value) for key, value in (meta or {}).items()}}, 0
    for name in order:
        array, begin = arrays[name], offset
        offset += array.nbytes
        header[name] = {"dtype": NAMES[array.dtype], "shape": array.shape, "data_offsets": [begin, offset]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            file.write(arrays[name].tobytes())
