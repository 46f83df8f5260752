"""Arithmetic: how much of it a graph asks for, and how much of it this machine does in a second.

An operation is one multiplication or one addition. Only what multiplies matrices is counted, as
everybody counts it; what reads, adds up and rescales beside that is time lost.
"""

import math
import statistics

import numpy as np
from durations import durations

import gouache.diffusion  # noqa: F401  (first: it keeps OpenVINO from reporting)

import openvino as ov  # isort: skip
from openvino import opset13 as ops  # isort: skip

SIDE = 2048
"""Rows and columns of the matrices that are multiplied for the peak."""

CHANNELS, CELLS = 256, 64
"""Of the convolution for the peak: channels in and out, rows and columns; 3 x 3."""

PRECISIONS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""What is measured, and how OpenVINO is told of it; in int8 the graph itself says so."""


def operations(graph):
    """Return the operations of one run of a graph whose sizes are fixed."""
    return sum(_COUNTED.get(node.get_type_name(), _none)(node) for node in graph.get_ordered_ops())


def shape(port):
    """Return the fixed shape of an input or output."""
    return list(port.get_partial_shape().to_shape())


def _none(node):
    return 0


def _convolution(node):
    per_pixel = shape(node.input(1))[1:]  # channels in, rows, columns
    return 2 * math.prod(shape(node.output(0))) * math.prod(per_pixel)


def _product(node):
    rows, columns = shape(node.input(0))[-2:]
    summed = rows if node.get_attributes()["transpose_a"] else columns
    return 2 * math.prod(shape(node.output(0))) * summed


def _attention(node):
    queries, keys, values = (shape(node.input(i)) for i in range(3))
    return 2 * math.prod(queries[:-1]) * keys[-2] * (queries[-1] + values[-1])


_COUNTED = {
    "Convolution": _convolution,
    "MatMul": _product,
    "ScaledDotProductAttention": _attention,
}


def fast_types():
    """Return the precisions this processor has instructions for."""
    can = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [name for name in PRECISIONS if name != "bf16" or "BF16" in can]


def peaks(precision, *, threads, runs):
    """Return operations a second of a large matrix product and of a large convolution, see `speed`."""
    return {
        "matrix product": _peak(_matrix_graph(precision), precision, threads, runs),
        "convolution": _peak(_convolution_graph(precision), precision, threads, runs),
    }


def _peak(graph, precision, threads, runs):
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": PRECISIONS[precision]}
    hints["INFERENCE_NUM_THREADS"] = threads
    request = ov.Core().compile_model(graph, "CPU", hints).create_infer_request()
    given = {0: _random(shape(graph.input(0)))}
    return speed(operations(graph), lambda: request.infer(given, share_inputs=True), runs)


def speed(count, call, runs):
    """Return the `count` operations of a call a second, and a second of processor time, all threads'.

    A first call warms up. Processor time does not suffer from what else runs on the machine, but is silent on idle cores.
    """
    return [
        count / statistics.median(seconds)
        for seconds in zip(*durations(call, runs + 1)[1:], strict=True)
    ]


def _matrix_graph(precision):
    left = ops.parameter([SIDE, SIDE], np.float32)
    product = ops.matmul(*_stepped(precision, left, [SIDE, SIDE]), False, False)
    return ov.Model([product], [left])


def _convolution_graph(precision):
    picture = ops.parameter([1, CHANNELS, CELLS, CELLS], np.float32)
    kernels = [CHANNELS, CHANNELS, 3, 3]
    pair = [1, 1]
    made = ops.convolution(*_stepped(precision, picture, kernels), pair, pair, pair, pair)
    return ov.Model([made], [picture])


def _stepped(precision, given, constant):
    """Return an input and random weights; for int8 in 256 and 255 steps, which the runtime takes up."""
    weights = ops.constant(_random(constant))
    if precision != "int8":
        return given, weights
    low, high = (ops.constant(np.float32(end)) for end in (-4.0, 4.0 * 127 / 128))
    least, most = (ops.constant(np.float32(end)) for end in (-4.0, 4.0))
    return (
        ops.fake_quantize(given, low, high, low, high, 256),
        ops.fake_quantize(weights, least, most, least, most, 255),
    )


def _random(shape):
    return np.random.default_rng(0).standard_normal(shape, np.float32)
