"""NumPy as one side of `consilium bench learning`: the steps by hand, in 32-bit floats, products by its BLAS, one thread.

Answers one JSON value a line, as bench/peers/line-server.mjs says.
"""
import json
import os
import sys
import time

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"


def say(value):
    print(json.dumps(value), flush=True)


try:
    import numpy as np
except ImportError:
    say({"missing": "this Python has no numpy"})
    sys.exit(0)


def loss_and_slope(z, y):
    tail = np.exp(-np.abs(z))
    loss = float(np.mean(np.maximum(z, 0) - z * y + np.log1p(tail)))
    sigmoid = np.where(z >= 0, 1, tail) / (1 + tail)
    return loss, (sigmoid - y) / np.float32(len(z))


def dense_step(widths, parameters, columns, rate):
    layers, at = [], 0
    for outputs in widths:
        weights = parameters[at : at + columns * outputs].reshape(columns, outputs).copy()
        at += columns * outputs
        layers.append((weights, parameters[at : at + outputs].copy()))
        at += outputs
        columns = outputs

    def step(x, y):
        values = [x]
        for i, (weights, bias) in enumerate(layers):
            z = values[-1] @ weights
            z += bias
            if i + 1 < len(layers):
                np.maximum(z, 0, out=z)
            values.append(z)
        loss, delta = loss_and_slope(values[-1], y)
        for i in range(len(layers) - 1, -1, -1):
            weights, bias = layers[i]
            a = values[i]
            slope = a.T @ delta
            slope *= rate
            bias_slope = delta.sum(axis=0)
            if i > 0:
                delta = delta @ weights.T
                delta *= a > 0
            weights -= slope
            bias -= rate * bias_slope
        return loss

    return step


def windows(images):
    """Windows of 3 x 3 of all images, one a line: lines, columns, channels."""
    count, height, width, channels = images.shape
    if channels == 1:
        out = np.empty((9, count, height - 2, width - 2), np.float32)
        for i in range(3):
            for j in range(3):
                out[3 * i + j] = images[:, i : i + height - 2, j : j + width - 2, 0]
        return out.reshape(9, -1).T
    s = images.strides
    shape = (count, height - 2, width - 2, 3, 3, channels)
    view = np.lib.stride_tricks.as_strided(images, shape, (s[0], s[1], s[2], s[1], s[2], s[3]))
    return view.reshape(-1, 9 * channels)


def convolution_back(delta, weights, ins):
    """The gradient of a convolution's input: its windows, padded by 2, times the weights turned around."""
    count, height, width, outs = delta.shape
    padded = np.zeros((count, height + 4, width + 4, outs), np.float32)
    padded[:, 2:-2, 2:-2] = delta
    turned = weights.reshape(3, 3, ins, outs)[::-1, ::-1].transpose(0, 1, 3, 2).reshape(9 * outs, ins)
    return (windows(padded) @ turned).reshape(count, height + 2, width + 2, ins)


def pool(x):
    """The largest of 2 x 2; what is left over at the right and at the bottom is not looked at."""
    h, w = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    lines = np.maximum(x[:, 0:h:2, :w], x[:, 1:h:2, :w])
    return np.maximum(lines[:, :, 0::2], lines[:, :, 1::2])


def unpool(delta, top, x):
    count, height, width, channels = x.shape
    h, w = height // 2, width // 2
    even = (2 * h, 2 * w) == (height, width)
    blocks = x if even else np.ascontiguousarray(x[:, : 2 * h, : 2 * w])
    blocks = blocks.reshape(count, h, 2, w, 2, channels)
    spread = np.multiply(blocks == top[:, :, None, :, None], delta[:, :, None, :, None])
    spread = spread.reshape(count, 2 * h, 2 * w, channels)
    if even:
        return spread
    out = np.zeros(x.shape, np.float32)
    out[:, : 2 * h, : 2 * w] = spread
    return out


def cnn_step(parameters, rate):
    blocks, at = [], 0
    for shape in ((9, 8), (8,), (72, 16), (16,), (400, 1), (1,)):
        size = int(np.prod(shape))
        blocks.append(parameters[at : at + size].reshape(shape).copy())
        at += size
    w1, b1, w2, b2, w3, b3 = blocks

    def step(x, y):
        count = len(x)
        c1 = windows(x.reshape(count, 28, 28, 1))
        z1 = c1 @ w1
        z1 += b1
        np.maximum(z1, 0, out=z1)
        z1 = z1.reshape(count, 26, 26, 8)
        p1 = pool(z1)
        c2 = windows(p1)
        z2 = c2 @ w2
        z2 += b2
        np.maximum(z2, 0, out=z2)
        z2 = z2.reshape(count, 11, 11, 16)
        p2 = pool(z2)
        flat = p2.reshape(count, 400)
        loss, delta = loss_and_slope(flat @ w3 + b3, y)
        slopes = [None, None, None, None, flat.T @ delta, delta.sum(axis=0)]
        d2 = unpool((delta @ w3.T).reshape(p2.shape), p2, z2)
        d2 *= z2 > 0
        lines2 = d2.reshape(-1, 16)
        slopes[2:4] = c2.T @ lines2, ONES[: len(lines2)] @ lines2
        d1 = unpool(convolution_back(d2, w2, 8), p1, z1)
        d1 *= z1 > 0
        lines1 = d1.reshape(-1, 8)
        slopes[0:2] = c1.T @ lines1, ONES[: len(lines1)] @ lines1
        for block, slope in zip(blocks, slopes):
            block -= rate * slope
        return loss

    return step


ONES = np.ones(1 << 16, np.float32)


def load(folder, name):
    with open(os.path.join(folder, name + ".json")) as file:
        sizes = json.load(file)
    floats = np.fromfile(os.path.join(folder, name + ".f32"), "<f4")
    count, columns, batch = sizes["parameters"], sizes["columns"], sizes["batch"]
    rate = np.float32(sizes["rate"])
    x = floats[count : count + sizes["rows"] * columns].reshape(-1, batch, columns)
    y = floats[count + sizes["rows"] * columns :].reshape(-1, batch, 1)
    if name == "cnn":
        take = cnn_step(floats[:count], rate)
    else:
        take = dense_step({"lr": [1], "mlp": [64, 32, 1]}[name], floats[:count], columns, rate)
    state = {"next": 0}

    def step():
        at = state["next"] % sizes["batches"]
        state["next"] += 1
        return take(x[at], y[at])

    return batch, sizes["losses"], step


def blas():
    try:
        found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return ", " + found["name"] + " " + found["version"]
    except (KeyError, TypeError):
        return ""


say({"peer": "NumPy " + np.__version__ + blas()})
loaded = {}
for line in sys.stdin:
    request = json.loads(line)
    if request["op"] == "load":
        batch, losses, step = load(request["folder"], request["name"])
        loaded[request["name"]] = (batch, step)
        say({"losses": [step() for _ in range(losses)]})
    else:
        batch, step = loaded[request["name"]]
        began, cpu_began = time.perf_counter(), time.process_time()
        steps, elapsed = 0, 0.0
        while elapsed < request["seconds"]:
            step()
            steps += 1
            elapsed = time.perf_counter() - began
        cpu = time.process_time() - cpu_began
        say({"rate": steps * batch / elapsed, "cpuRate": steps * batch / cpu})
