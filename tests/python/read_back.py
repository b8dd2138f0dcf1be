"""Reads with numpy, safetensors and tensorboard what Kiln wrote, compares it, and writes files for Kiln to read."""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

folder = Path(sys.argv[1])
expected = json.loads((folder / "expected.json").read_text())
checked = 0


def same(what, array, bits):
    """The array holds these bits, in row-major order."""
    global checked
    assert array.dtype == np.float32, f"{what} is {array.dtype}"
    found = np.ascontiguousarray(array).reshape(-1).view(np.uint32)
    assert found.tolist() == bits, f"{what} has other bits"
    checked += len(bits)


def close(what, found, wanted, tolerance):
    global checked
    assert len(found) == len(wanted), f"{what}: {len(found)} values for {len(wanted)}"
    for a, b in zip(found, wanted):
        assert abs(a - b) <= tolerance * max(1.0, abs(b)), f"{what}: {a} for {b}"
    checked += len(wanted)


# safetensors: the weights of both files, and a prediction computed from them.
for file in ["model.safetensors", "weights.safetensors"]:
    tensors = load_file(folder / file)
    for name, weights in expected["weights"].items():
        assert list(tensors[name].shape) == weights["shape"], name
        same(f"{name} of {file}", tensors[name], weights["bits"])
dense = [tensors[name] for name in ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"]]
x = np.load(folder / "x.npy")
y = np.tanh(x @ dense[0] + dense[1]) @ dense[2] + dense[3]
close("predictions", y.reshape(-1).tolist(), expected["predictions"], 1e-5)

# numpy: .npy and .npz.
same("x.npy", x, expected["x"])
assert x.shape == (2, 3)
arrays = np.load(folder / "arrays.npz")
assert sorted(arrays.files) == ["long", "x"]
assert arrays["long"].shape == (10, 20, 5)
for name in arrays.files:
    same(f"{name} of arrays.npz", arrays[name], expected[name])

# tensorboard: scalars and histograms; its reader compares the checksums.
everything = {"scalars": 0, "histograms": 0}
for part in ["train", "validation"]:
    events = EventAccumulator(str(folder / "board" / part), size_guidance=everything)
    events.Reload()
    tags = events.Tags()
    assert sorted(tags["scalars"]) == sorted(expected[part]), tags
    for tag, values in expected[part].items():
        scalars = events.Scalars(tag)
        assert [scalar.step for scalar in scalars] == list(range(len(values))), scalars
        assert all(scalar.wall_time > 1.6e9 for scalar in scalars), scalars
        close(f"{part} {tag}", [scalar.value for scalar in scalars], values, 1e-6)
    if part == "train":
        assert sorted(tags["histograms"]) == sorted(expected["weights"]), tags
        for name, weights in expected["weights"].items():
            histograms = events.Histograms(name)
            assert [h.step for h in histograms] == expected["histogram_steps"], histograms
            # The last one is of the weights that were saved.
            last, own = histograms[-1].histogram_value, tensors[name].astype(np.float64)
            told = [last.num, last.min, last.max, last.sum, last.sum_squares]
            wanted = [own.size, own.min(), own.max(), own.sum(), (own * own).sum()]
            close(f"histogram of {name}", told, wanted, 1e-9)
            assert sum(last.bucket) == own.size, name
            for limit, count in zip(np.cumsum(last.bucket), last.bucket_limit):
                below = (own <= count).sum()
                assert below == limit, f"{name}: {below} up to {count}, {limit} in the buckets"
            checked += len(last.bucket)

# The other way.
save_file({name: tensors[name] * 2 for name in expected["weights"]}, folder / "from_python.safetensors")
labels = np.array([0, 2, 1], dtype=np.int64)
np.savez(folder / "from_python.npz", x=x, labels=labels)
np.savez_compressed(folder / "from_python_compressed.npz", x=np.asfortranarray(x), labels=labels)

assert checked > 1000, checked
print(f"read_back.py: {checked} numbers are as Kiln wrote them")
