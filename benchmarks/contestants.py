"""What draws pictures for `embedded.py`: our engine, and what one would take instead of it.

The others have the size of SD-Turbo and random weights, which do not change the speed; they draw
512 x 512 in one step without guidance, in single precision where they have the choice.
"""

import os

THREADS = int(os.environ.get("GOUACHE_THREADS") or os.cpu_count())
"""What everyone may draw with; ours reads the variable itself."""

OURS = {
    "gouache, standard": ("standard", "1024x1024"),
    "gouache, standard, tall": ("standard", "1024x1792"),
    "gouache, standard, wide": ("standard", "1792x1024"),
    "gouache, hd": ("hd", "1024x1024"),
}
"""Quality and size of each of our ways to draw."""

SIGMA = 14.6146
"""The noise that a picture of Stable Diffusion starts from."""


def ours(name, models):
    """Return what draws a picture with our engine, from nothing but the package."""
    from gouache.contract import read_request
    from gouache.engines.embedded import EmbeddedEngine
    from gouache.settings import Settings

    quality, size = OURS[name]
    engine = EmbeddedEngine(Settings())

    def draw(prompt, seed):
        wanted = {"prompt": prompt, "quality": quality, "size": size, "seed": seed}
        return engine.generate(read_request(wanted)).pixels

    return draw


def diffusers(name, models):
    """Return what draws a picture with plain diffusers."""
    import torch
    from diffusers import DiffusionPipeline

    torch.set_num_threads(THREADS)
    pipe = DiffusionPipeline.from_pretrained(models / "sd-turbo", dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)

    def draw(prompt, seed):
        generator = torch.Generator().manual_seed(seed)
        given = {"num_inference_steps": 1, "guidance_scale": 0.0, "generator": generator}
        return pipe(prompt, height=512, width=512, output_type="np", **given).images[0]

    return draw


def in_openvino(name, models):
    """Return what draws a picture with the same networks as OpenVINO runs them."""
    import numpy as np
    import openvino as ov

    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    hints["INFERENCE_NUM_THREADS"] = THREADS
    core = ov.Core()
    text, unet, decoder = (
        core.compile_model(models / "openvino" / f"{part}.xml", "CPU", hints)
        for part in ("text", "unet", "decoder")
    )

    def draw(prompt, seed):
        ids = np.full((1, 77), 49407, np.int64)  # as many word pieces as any prompt is filled up to
        ids[0, : len(prompt)] = [ord(letter) for letter in prompt[:77]]
        states = text(ids)[0]
        x = SIGMA * np.random.default_rng(seed).standard_normal((1, 4, 64, 64), np.float32)
        noise = unet([x / np.sqrt(SIGMA**2 + 1), np.array([999], np.int64), states])[0]
        return decoder((x - SIGMA * noise) / 0.18215)[0]

    return draw


def in_cpp(name, models):
    """Return what draws a picture with stable-diffusion.cpp, whose weights are of a shorter type."""
    from stable_diffusion_cpp import StableDiffusion

    model = StableDiffusion(
        model_path=str(models / "cpp"),
        wtype=name.rpartition(" ")[2],
        n_threads=THREADS,
        vae_decode_only=True,
        prediction="eps",  # it would try out which one random weights are for
        diffusion_flash_attn=True,
        verbose=False,
    )

    def draw(prompt, seed):
        given = {"cfg_scale": 1.0, "sample_method": "euler", "sample_steps": 1, "seed": seed}
        return model.generate_image(prompt, width=512, height=512, **given)[0]

    return draw


OPENED_BY = {
    **dict.fromkeys(OURS, ours),
    "diffusers, fp32": diffusers,
    "OpenVINO, fp32": in_openvino,
    "stable-diffusion.cpp, f16": in_cpp,
    "stable-diffusion.cpp, q8_0": in_cpp,
}


def make_models(models):
    """Save a pipeline of SD-Turbo's size with random weights, as each of the others reads it."""
    from diffusers_batching import save

    if not (models / "sd-turbo" / "model_index.json").exists():
        save("sd-turbo", models)
    if not (models / "cpp").exists():
        arrange_for_cpp(models / "sd-turbo", models / "cpp")
    for name in PARTS:
        if not (models / "openvino" / f"{name}.bin").exists():
            convert(name, models)


def arrange_for_cpp(saved, folder):
    """Lay out a saved pipeline with the names that weights of a text encoder had until recently."""
    from safetensors.torch import load_file, save_file

    text = "text_encoder/model.safetensors"
    for part in ("unet", "vae", "text_encoder"):
        (folder / part).mkdir(parents=True)
    for name in ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model"):
        (folder / f"{name}.safetensors").symlink_to((saved / f"{name}.safetensors").resolve())
    tensors = load_file(saved / text)
    save_file({f"text_model.{name}": value for name, value in tensors.items()}, folder / text)


PARTS = {
    "text": ("text_encoder", [(1, 77)], [(1, 77)]),
    "unet": ("unet", [(1, 4, 16, 16), (1,), (1, 77, 1024)], [(1, 4, 64, 64), (1,), (1, 77, 1024)]),
    "decoder": ("vae", [(1, 4, 16, 16)], [(1, 4, 64, 64)]),
}
"""Networks of a pipeline: where each is, sizes of its inputs to trace it with and to run it with."""


def convert(name, models):
    """Store a network as OpenVINO has it, sizes fixed, weights in fp16."""
    import openvino as ov
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    class Plain(torch.nn.Module):
        """A network with one output, whatever it calls its outputs."""

        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, *given):
            call = self.network.decode if name == "decoder" else self.network
            return call(*given, return_dict=False)[0]

    kind = {"text": CLIPTextModel, "unet": UNet2DConditionModel, "decoder": AutoencoderKL}[name]
    folder, traced, sizes = PARTS[name]
    network = kind.from_pretrained(models / "sd-turbo", subfolder=folder).float().eval()
    whole = {1: torch.int64, 2: torch.int64}  # times and word pieces
    example = tuple(torch.ones(size, dtype=whole.get(len(size))) for size in traced)
    with torch.no_grad():
        graph = ov.convert_model(Plain(network), example_input=example, input=sizes)
    ov.save_model(graph, models / "openvino" / f"{name}.xml", compress_to_fp16=True)
