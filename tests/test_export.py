"""Export: what the graphs compute is what the networks do."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

import openvino as ov  # noqa: E402

from gouache.diffusion.denoiser import Conditioning, Denoiser  # noqa: E402
from gouache.diffusion.graphs import Runtime  # noqa: E402
from gouache.diffusion.upscaler import Upscaler, without_seams  # noqa: E402
from training import export, model, upscale  # noqa: E402

pytestmark = pytest.mark.training


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # two runtimes that both wait busily would hold each other up
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = model.Denoiser(model.DenoiserConfig(widths=(16, 16, 16), blocks=(1, 1, 1)))
    for parameter in network.parameters():
        if not parameter.any():  # what starts at zero would hide the rest
            torch.nn.init.normal_(parameter, std=0.05)
    return network.eval()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("int8", "most"), [(False, 0.01), (True, 0.05)])
def test_a_denoiser_graph_computes_what_its_network_does(network, tmp_path, int8, most):
    path = tmp_path / "denoiser.xml"
    export.export_denoiser(network, path, int8=int8)
    denoiser = Denoiser(path, runtime=Runtime(threads=1))
    for height, width in ((64, 64), (112, 64), (32, 48)):
        x, t, *rest = export.denoiser_examples(height, width)
        with torch.no_grad():
            expected = network(x, t, *rest).numpy()
        conditioning = Conditioning(*(part.numpy() for part in rest))
        found = denoiser(x.numpy(), float(t[0]), conditioning)
        assert found.shape == expected.shape
        assert np.sqrt(np.mean((found - expected) ** 2)) < most * expected.std()


@pytest.mark.filterwarnings("ignore")
def test_an_upscaler_graph_computes_what_its_network_does(tmp_path):
    torch.manual_seed(0)
    network = upscale.Upscaler(8, 2).eval()
    export.export_upscaler(network, tmp_path / "upscaler.xml")
    upscaler = Upscaler(tmp_path / "upscaler.xml", runtime=Runtime(threads=1))
    for height, width in ((32, 32), (32, 56), (20, 8)):
        x = torch.rand(1, 3, height, width) * 2 - 1
        with torch.no_grad():
            expected = without_seams(network(x).numpy(), 8)
        found = upscaler(x.numpy())
        assert found.shape == (1, 3, 8 * height, 8 * width)
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_int8_keeps_each_row_s_range_in_256_steps(tmp_path):
    rows = np.array([[1.0], [100.0], [0.01]], np.float32)
    values = (np.linspace(-0.2, 1, 40_000, dtype=np.float32) * rows).reshape(3, 200, 200)
    given = ov.opset13.parameter([3, 200, 200], np.float32)
    small = ov.opset13.constant(np.ones((2, 2), np.float32))
    total = ov.opset13.add(given, ov.opset13.constant(values))
    graph = ov.Model([total, small], [given], "sum")
    assert export.quantise(graph) == 1
    ov.save_model(graph, tmp_path / "sum.xml")
    assert (tmp_path / "sum.bin").stat().st_size < 1.1 * values.size
    compiled = ov.Core().compile_model(tmp_path / "sum.xml", "CPU")
    found = compiled([np.zeros((3, 200, 200), np.float32)])[0]
    error = np.abs(found - values).max(axis=(1, 2))
    assert (error < 0.003 * rows[:, 0]).all()
