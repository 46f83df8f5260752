"""A pipeline of diffusers in memory: found on this machine or fetched, loaded, and set up as told.

Nothing but weights is read of a model: no code that comes with it is run, and no pickled file is opened
unless the options allow it.
"""

import gc
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from gouache.engines.devices import Place
from gouache.errors import EngineError, EngineUnavailable, GouacheError
from gouache.given import Given, shortened
from gouache.settings import key_in

EXTRA = "pip install 'gouache[diffusers]'"
LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "psutil")


class Lora(Given, extra="forbid"):
    """Weights that change a model a little."""

    path: str = Field(min_length=1, description="A repository, a folder, or a .safetensors file.")
    weight: float = Field(1.0, ge=-10, le=10, description="How strongly it changes the model.")
    name: str | None = Field(
        None, min_length=1, description="The file in it, where it has several."
    )


class Source(Given, extra="forbid"):
    """The options on which weights are loaded, and how."""

    model: str = Field(min_length=1, description="A repository of the hub, or a folder.")
    revision: str | None = Field(None, min_length=1, description="A branch, tag or commit of it.")
    variant: str | None = Field(None, min_length=1, description="A variant of its files: fp16.")
    loras: tuple[Lora, ...] = Field((), max_length=20, description="Weights that change the model.")
    compile: bool = Field(False, description="Whether torch compiles it: slow first, then quick.")
    offload: Literal["none", "model", "sequential"] = Field(
        "none", description="What waits in the memory of the processor: nothing, parts, or layers."
    )
    quantisation: Literal["none", "8bit", "4bit"] = Field(
        "none", description="Whether weights are kept in fewer bits."
    )
    local_files_only: bool = Field(False, description="Whether nothing is ever fetched.")
    safetensors_only: bool = Field(
        True, description="Whether files that could run code when they are read are refused."
    )
    key_env: str = Field(
        "HF_TOKEN",
        pattern="^([A-Za-z_][A-Za-z0-9_]*)?$",
        description="The variable that holds the hub's token, for models that want one.",
    )

    @property
    def is_folder(self) -> bool:
        """Whether the model is a folder of this machine."""
        return Path(self.model).expanduser().is_dir()

    @property
    def shown(self) -> str:
        """The model's name as results show it: of a folder, its last part."""
        return Path(self.model).expanduser().resolve().name if self.is_folder else self.model

    @property
    def token(self) -> str | Literal[False]:
        """The hub's token; False keeps the library from looking for one of its own."""
        return key_in(self.key_env) or False


def check_installed() -> None:
    """Find out before anything is loaded whether the libraries are there.

    Raises:
        EngineError: one is not; the message says how to install it.
    """
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise EngineError(f"diffusers_local needs {', '.join(missing)}: {EXTRA}")


def find_folder(source: Source) -> Path:
    """Return the folder of the model's files: on this machine, else fetched into the hub's cache.

    Raises:
        EngineError: there is no such model, it is closed to us, or its files are not what we read.
        EngineUnavailable: it is not on this machine, and the hub cannot be reached.
    """
    _be_quiet()
    if source.is_folder:
        return Path(source.model).expanduser()
    from diffusers import DiffusionPipeline

    def files(local_files_only: bool) -> Path:
        return Path(
            DiffusionPipeline.download(
                source.model,
                revision=source.revision,
                variant=source.variant,
                use_safetensors=source.safetensors_only or None,
                token=source.token,
                local_files_only=local_files_only,
                trust_remote_code=False,
            )
        )

    try:
        return files(local_files_only=True)
    except (
        Exception
    ) as error:  # whatever is wrong with the files here, the hub may have better ones
        if source.local_files_only:
            raise _failed(source, error) from error
    try:
        return files(local_files_only=False)
    except Exception as error:
        raise _failed(source, error) from error


def open_pipeline(source: Source, place: Place, folder: Path) -> Any:
    """Return the pipeline of a folder on its device, with all that the options ask for.

    Raises:
        EngineError: it cannot be loaded, or cannot do what an option asks for.
        EngineUnavailable: there is not enough memory.
    """
    _be_quiet()
    if source.offload != "none" and place.kind != "cuda":
        raise EngineError(
            f"options.offload {source.offload!r} needs a graphics card; the device is {place.device}"
        )
    try:
        pipe = _loaded(source, place, folder)
        _apply_loras(pipe, source)
        _settle(pipe, source, place)
        if source.compile:
            _compile(pipe)
    except GouacheError:
        raise
    except Exception as error:
        raise _failed(source, error) from error
    return pipe


def weight_bytes(folder: Path) -> int:
    """Return how large a model's files of weights are together."""
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on whatever device."""
    import torch

    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)
    )


def let_go(device: str) -> None:
    """Give memory back that nothing uses any more."""
    import torch

    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()


def _loaded(source: Source, place: Place, folder: Path) -> Any:
    """Return the pipeline, in the memory of the processor."""
    import torch
    from diffusers import AutoPipelineForText2Image, DiffusionPipeline

    how = {
        "dtype": getattr(torch, place.dtype),
        "variant": source.variant,
        "use_safetensors": source.safetensors_only or None,
        "local_files_only": True,
        "trust_remote_code": False,
    }
    if source.quantisation != "none":
        how["quantization_config"] = _quantisation(source.quantisation, place)
    named = DiffusionPipeline.load_config(folder)["_class_name"]
    if not isinstance(named, str):
        raise EngineError(f"{source.shown} brings code of its own, which is never run")
    try:
        return AutoPipelineForText2Image.from_pretrained(folder, **how)
    except ValueError as error:
        if "AutoPipeline can't find a pipeline" not in str(error):
            raise
        return DiffusionPipeline.from_pretrained(folder, **how)


def _quantisation(bits: str, place: Place) -> Any:
    """Return what makes diffusers keep the large parts in fewer bits."""
    import torch

    if find_spec("bitsandbytes") is None:
        raise EngineError(
            f"options.quantisation {bits!r} needs bitsandbytes: pip install bitsandbytes"
        )
    from diffusers import PipelineQuantizationConfig

    how: dict[str, Any] = {"load_in_8bit": True}
    if bits == "4bit":
        how = {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_compute_dtype": getattr(torch, place.dtype),
        }
    return PipelineQuantizationConfig(
        quant_backend=f"bitsandbytes_{bits}",
        quant_kwargs=how,
        components_to_quantize=["transformer", "unet", "text_encoder", "text_encoder_2"],
    )


def _apply_loras(pipe: Any, source: Source) -> None:
    if not source.loras:
        return
    if find_spec("peft") is None:
        raise EngineError(f"options.loras needs peft: {EXTRA}")
    if not hasattr(pipe, "load_lora_weights"):
        raise EngineError(f"options.loras: {type(pipe).__name__} takes none")
    names = [f"lora_{index}" for index in range(len(source.loras))]
    for name, lora in zip(names, source.loras, strict=True):
        try:
            _add_lora(pipe, source, lora, name)
        except Exception as error:
            where = f"options.loras: {lora.path} cannot be loaded"
            raise EngineError(f"{where}: {_first_line(error)}") from error
    pipe.set_adapters(names, [lora.weight for lora in source.loras])


def _add_lora(pipe: Any, source: Source, lora: Lora, name: str) -> None:
    path, file = Path(lora.path).expanduser(), lora.name
    if path.is_file():
        path, file = path.parent, path.name
    pipe.load_lora_weights(
        str(path) if path.is_dir() else lora.path,
        weight_name=file,
        adapter_name=name,
        token=source.token,
        local_files_only=path.is_dir() or source.local_files_only,
        use_safetensors=True,
    )


def _settle(pipe: Any, source: Source, place: Place) -> None:
    """Bring the pipeline to its device, and make it frugal and silent."""
    if source.offload == "model":
        pipe.enable_model_cpu_offload(device=place.device)
    elif source.offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=place.device)
    else:
        pipe.to(place.device)
    if hasattr(getattr(pipe, "vae", None), "enable_slicing"):
        pipe.vae.enable_slicing()  # a batch is decoded picture by picture
    pipe.set_progress_bar_config(disable=True)


def _compile(pipe: Any) -> None:
    """Let torch compile what runs in each step; its repeated blocks once, where they are known."""
    denoiser = getattr(pipe, "transformer", None) or pipe.unet
    if getattr(denoiser, "_repeated_blocks", None):
        denoiser.compile_repeated_blocks()
    else:
        denoiser.compile()


def _be_quiet() -> None:
    """Keep the libraries from printing bars, and prompts that were too long."""
    import diffusers
    import huggingface_hub
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    huggingface_hub.utils.disable_progress_bars()


def _failed(source: Source, error: BaseException) -> GouacheError:
    """Return our error for what went wrong while a model was fetched or loaded."""
    if is_out_of_memory(error):
        return EngineUnavailable(
            f"there is not enough memory for {source.shown}: set offload or quantisation, or another "
            "device"
        )
    for cause in _causes(error):
        known = _known(source, cause)
        if known:
            return known
    return EngineError(f"{source.shown} cannot be loaded: {_first_line(error)}")


def _known(source: Source, error: BaseException) -> GouacheError | None:
    """Return our error for one of the hub's, if it is one."""
    import httpx2
    from huggingface_hub import errors as hub

    model, token = source.model, source.key_env or "a variable that key_env names"
    match error:
        case hub.GatedRepoError():
            return EngineError(
                f"{model} is gated: accept its terms on its page, and put your token into {token}"
            )
        case hub.RevisionNotFoundError():
            return EngineError(f"{model} has no revision {source.revision!r}; see options.revision")
        case hub.RepositoryNotFoundError() | hub.HFValidationError():
            return EngineError(
                f"there is no model {model}: options.model must be a folder or a repository; for one "
                f"that is private put your token into {token}"
            )
        case hub.LocalEntryNotFoundError() if source.local_files_only:
            return EngineError(
                f"{model} is not on this machine, and options.local_files_only is true; fetch it "
                f"first: hf download {model}"
            )
        case hub.RemoteEntryNotFoundError():
            return EngineError(f"{model} is no pipeline of diffusers: it has no model_index.json")
        case hub.HfHubHTTPError() as refused if refused.response.status_code in (401, 403):
            return EngineError(f"the hub refuses {model}; is the token in {token} right?")
        case hub.HfHubHTTPError() | hub.OfflineModeIsEnabled() | httpx2.TransportError():
            return EngineUnavailable(
                f"{model} is not on this machine, and the hub cannot be reached"
            )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and what it came from."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {shortened(lines[0])}" if lines else type(error).__name__
