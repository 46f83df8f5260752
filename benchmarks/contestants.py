"""What draws pictures for `embedded.py`: our engine, and what one would take instead of it.

The others have the size of SD-Turbo and random weights, which do not change the speed; they draw
512 x 512 in one step without guidance, in single precision where they have the choice.
"""

import os

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
        model_path=str(models / "sd-turbo"),
        wtype=name.rpartition(" ")[2],
        n_threads=os.cpu_count(),
        vae_decode_only=True,
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
    """Save a pipeline of SD-Turbo's size with random weights, and its networks as OpenVINO has them."""
    from diffusers_batching import save

    if not (models / "sd-turbo" / "model_index.json").exists():
        save("sd-turbo", models)
    if not (models / "openvino" / "decoder.bin").exists():
        convert(models)


def convert(models):
    """Store the text encoder, the U-net and the decoder with their sizes fixed, weights in fp16."""
    import openvino as ov
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    class Plain(torch.nn.Module):
        """A network with one output, whatever it calls its outputs."""

        def __init__(self, network, call):
            super().__init__()
            self.network, self.call = network, call

        def forward(self, *given):
            return self.call(self.network, *given)[0]

    states = torch.zeros(1, 77, 1024)
    latents = torch.zeros(1, 4, 64, 64)
    parts = {
        "text": (
            CLIPTextModel,
            "text_encoder",
            lambda n, i: n(i, return_dict=False),
            [torch.zeros(1, 77, dtype=torch.int64)],
        ),
        "unet": (
            UNet2DConditionModel,
            "unet",
            lambda n, x, t, s: n(x, t, s, return_dict=False),
            [latents, torch.ones(1, dtype=torch.int64), states],
        ),
        "decoder": (AutoencoderKL, "vae", lambda n, z: n.decode(z, return_dict=False), [latents]),
    }
    for name, (kind, folder, call, example) in parts.items():
        network = kind.from_pretrained(models / "sd-turbo", subfolder=folder).float().eval()
        sizes = [list(given.shape) for given in example]
        with torch.no_grad():
            graph = ov.convert_model(
                Plain(network, call), example_input=tuple(example), input=sizes
            )
        ov.save_model(graph, models / "openvino" / f"{name}.xml", compress_to_fp16=True)
