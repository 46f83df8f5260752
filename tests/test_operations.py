"""What `benchmarks/operations.py` counts, against what is known by hand."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def operations():
    sys.path.insert(0, str(BENCHMARKS))
    yield import_module("operations")
    sys.path.remove(str(BENCHMARKS))


def graph(made, *given):
    return ov.Model([made], list(given))


def test_a_convolution_asks_for_each_weight_at_each_pixel(operations):
    picture = ops.parameter([2, 3, 8, 6], np.float32)
    weights = ops.constant(np.ones((5, 3, 3, 3), np.float32))
    made = ops.convolution(picture, weights, [2, 2], [1, 1], [1, 1], [1, 1])
    assert operations.operations(graph(made, picture)) == 2 * (2 * 5 * 4 * 3) * (3 * 3 * 3)


@pytest.mark.parametrize("turned", [False, True])
def test_a_product_asks_for_its_whole_inner_side(operations, turned):
    left = ops.parameter([4, 9, 7] if turned else [4, 7, 9], np.float32)
    right = ops.constant(np.ones((4, 9, 2), np.float32))
    made = ops.matmul(left, right, turned, False)
    assert operations.operations(graph(made, left)) == 2 * 4 * 7 * 2 * 9


def test_attention_asks_for_two_products(operations):
    queries, keys = (ops.parameter([1, 2, n, 16], np.float32) for n in (10, 12))
    values = ops.parameter([1, 2, 12, 8], np.float32)
    made = ops.scaled_dot_product_attention(queries, keys, values)
    assert operations.operations(graph(made, queries, keys, values)) == 2 * 2 * 10 * 12 * (16 + 8)


def test_what_only_adds_is_not_counted(operations):
    given = ops.parameter([3, 3], np.float32)
    assert operations.operations(graph(ops.relu(ops.add(given, given)), given)) == 0


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_peak_s_graph_asks_for_what_it_is_timed_by(operations, precision):
    made = operations._matrix_graph(precision)
    assert operations.operations(made) == 2 * operations.SIDE**3
    made = operations._convolution_graph(precision)
    pixels = operations.CHANNELS * operations.CELLS**2
    assert operations.operations(made) == 2 * pixels * 9 * operations.CHANNELS
