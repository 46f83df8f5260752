"""The device a model draws on and the numbers it draws with: chosen, and explained in words.

What the machine has is read once into `Machine`; the choice itself is a function of it.
"""

from dataclasses import dataclass
from typing import Literal

from gouache.errors import SettingsError

DType = Literal["float32", "float16", "bfloat16"]

BFLOAT16_SINCE = (8, 0)
"""The compute capability from which on NVIDIA's devices compute in bfloat16."""

GIGABYTE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Cuda:
    """A device of CUDA (or of ROCm, which torch calls by the same name)."""

    name: str
    capability: tuple[int, int]
    memory: int


@dataclass(frozen=True, slots=True)
class Machine:
    """The devices there are."""

    cuda: tuple[Cuda, ...] = ()
    has_mps: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where and in which numbers a model draws; `why` are sentences."""

    device: str
    dtype: DType
    why: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The kind of device: "cuda", "mps" or "cpu"."""
        return self.device.split(":")[0]


def this_machine() -> Machine:
    """Return the devices that torch finds."""
    import torch

    found = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(index)
            found.append(Cuda(about.name, (about.major, about.minor), about.total_memory))
    return Machine(tuple(found), torch.backends.mps.is_available())


def choose_place(machine: Machine, *, device: str = "auto", dtype: str = "auto") -> Place:
    """Return where to draw: what was asked for, else the best device with the numbers that suit it.

    Raises:
        SettingsError: the device is not there; `param` is "options.device".
    """
    name, why = _device(machine, device)
    if dtype in ("float32", "float16", "bfloat16"):
        return Place(name, dtype, (why, f"{dtype} is what the options say"))  # type: ignore[arg-type]
    numbers, because = _dtype(machine, name)
    return Place(name, numbers, (why, f"{numbers}: {because}"))


def free_memory(device: str) -> int:
    """Return the bytes that are free on a device; the processor's are those of the whole machine."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return int(psutil.virtual_memory().available)


def _device(machine: Machine, wanted: str) -> tuple[str, str]:
    """Return the device's name, and why it."""
    if wanted == "auto":
        if machine.cuda:
            return "cuda:0", f"{_said(machine, 0)}: the first graphics card there is"
        if machine.has_mps:
            return "mps", "mps: Apple's graphics processor"
        return "cpu", "cpu: torch finds no graphics card"
    if wanted.startswith("cuda"):
        index = int(wanted.partition(":")[2] or 0)
        if index >= len(machine.cuda):
            found = f"{len(machine.cuda)} graphics cards" if machine.cuda else "no graphics card"
            raise _not_there(wanted, f"torch finds {found}")
        return f"cuda:{index}", f"{_said(machine, index)} is what the options say"
    if wanted == "mps" and not machine.has_mps:
        raise _not_there(wanted, "torch finds no graphics processor of Apple's")
    return wanted, f"{wanted} is what the options say"


def _dtype(machine: Machine, device: str) -> tuple[DType, str]:
    """Return the numbers that suit a device, and why."""
    if device == "cpu":
        return "float32", "every processor is quick with it"
    if device == "mps":
        return "bfloat16", "half the memory of float32, and nothing overflows"
    if machine.cuda[int(device.partition(":")[2])].capability >= BFLOAT16_SINCE:
        return "bfloat16", "half the memory of float32, and the card computes in it"
    return "float16", "half the memory of float32; the card is too old for bfloat16"


def _said(machine: Machine, index: int) -> str:
    card = machine.cuda[index]
    return f"cuda:{index} ({card.name}, {card.memory / GIGABYTE:.0f} GB)"


def _not_there(wanted: str, found: str) -> SettingsError:
    return SettingsError(
        f"options.device {wanted!r} is not there: {found}; use auto, or another device",
        param="options.device",
    )
