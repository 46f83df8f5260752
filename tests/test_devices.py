import pytest

from gouache.engines.devices import Cuda, Machine, choose_place, free_memory
from gouache.errors import SettingsError

H100 = Cuda("NVIDIA H100", (9, 0), 80_000_000_000)
OLD = Cuda("Tesla T4", (7, 5), 15_000_000_000)


@pytest.mark.parametrize(
    ("machine", "device", "dtype", "place", "why"),
    [
        (Machine(), "auto", "auto", ("cpu", "float32"), "no graphics card"),
        (Machine(has_mps=True), "auto", "auto", ("mps", "bfloat16"), "Apple"),
        (Machine((H100,)), "auto", "auto", ("cuda:0", "bfloat16"), "NVIDIA H100, 80 GB"),
        (Machine((OLD,)), "auto", "auto", ("cuda:0", "float16"), "too old for bfloat16"),
        (Machine((OLD, H100)), "cuda:1", "auto", ("cuda:1", "bfloat16"), "options say"),
        (Machine((H100,)), "cpu", "auto", ("cpu", "float32"), "options say"),
        (Machine((H100,)), "cuda", "float32", ("cuda:0", "float32"), "float32 is what the options"),
    ],
)
def test_a_place_is_chosen_and_explained(machine, device, dtype, place, why):
    chosen = choose_place(machine, device=device, dtype=dtype)
    assert (chosen.device, chosen.dtype) == place
    assert why in "; ".join(chosen.why)
    assert chosen.kind == place[0].split(":")[0]


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_a_device_that_is_not_there_is_refused_by_name(device):
    machine = Machine((H100,)) if device == "cuda:1" else Machine()
    with pytest.raises(SettingsError, match=device) as caught:
        choose_place(machine, device=device)
    assert caught.value.param == "options.device"


def test_the_free_memory_of_the_processor_is_that_of_the_machine():
    psutil = pytest.importorskip("psutil")
    assert 0 < free_memory("cpu") <= psutil.virtual_memory().total
