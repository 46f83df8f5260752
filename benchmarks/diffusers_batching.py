"""Images a second of `diffusers_local` with batching, against plain diffusers: --help

Both draw the same pictures with the same random weights in the same run, in turn: plain diffusers one
after the other, the engine as many callers at once as a batch holds. Weights do not change the speed;
the models have the size of SD-Turbo and of FLUX.2-klein-4B, or are the tiny ones of the tests.
"""

import argparse
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

STEPS = {"sd-turbo": 1, "flux2-klein": 4, "tiny-sd": 2, "tiny-flux2": 2}
GUIDANCE = {"sd-turbo": 0.0, "flux2-klein": 1.0, "tiny-sd": 0.0, "tiny-flux2": 1.0}


def sd_turbo(folder):
    """Return a pipeline of SD-Turbo's size: 866 million parameters in the U-net."""
    from diffusers import (
        AutoencoderKL,
        EulerDiscreteScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel

    from tests.tiny_pipelines import clip_tokenizer

    text = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=23,
        num_attention_heads=16,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=1,
    )
    return StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
        ),
        text_encoder=CLIPTextModel(text),
        tokenizer=clip_tokenizer(folder),
        unet=UNet2DConditionModel(
            sample_size=64,
            cross_attention_dim=1024,
            attention_head_dim=(5, 10, 20, 20),
            use_linear_projection=True,
        ),
        scheduler=EulerDiscreteScheduler(steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def flux2_klein(folder):
    """Return a pipeline of FLUX.2-klein-4B's size: 4 billion parameters, and 4 in its text encoder."""
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2KleinPipeline,
        Flux2Transformer2DModel,
    )
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from tests.tiny_pipelines import qwen_tokenizer

    text = Qwen3Config(
        vocab_size=151936,
        hidden_size=2560,
        intermediate_size=9728,
        num_hidden_layers=36,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
        tie_word_embeddings=True,
    )
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKLFlux2(),
        text_encoder=Qwen3ForCausalLM(text),
        tokenizer=qwen_tokenizer(folder),
        transformer=Flux2Transformer2DModel(
            in_channels=128,
            num_layers=5,
            num_single_layers=20,
            attention_head_dim=128,
            num_attention_heads=24,
            joint_attention_dim=3 * 2560,
            guidance_embeds=False,
        ),
        is_distilled=True,
    )


def save(name, folder):
    """Save a model with random weights; return its folder."""
    import torch

    from tests.tiny_pipelines import save_tiny

    torch.manual_seed(0)
    if name.startswith("tiny-"):
        return save_tiny(name.removeprefix("tiny-"), folder)
    torch.set_default_dtype(torch.bfloat16)
    pipe = {"sd-turbo": sd_turbo, "flux2-klein": flux2_klein}[name](folder / "tokenizer")
    torch.set_default_dtype(torch.float32)
    pipe.save_pretrained(folder / name)
    return folder / name


def plain(name, folder, place, count):
    """Return images a second of plain diffusers, one picture after the other."""
    import torch
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained(folder, dtype=getattr(torch, place.dtype))
    pipe.to(place.device)
    pipe.set_progress_bar_config(disable=True)
    side = 512 if "sd" in name else 1024

    def draw(seed):
        pipe(
            prompt=f"picture {seed}",
            width=side,
            height=side,
            num_inference_steps=STEPS[name],
            guidance_scale=GUIDANCE[name],
            generator=torch.Generator("cpu").manual_seed(seed),
        )

    draw(0)  # what the first call compiles and allocates is not counted
    begun = time.perf_counter()
    for seed in range(count):
        draw(seed)
    return count / (time.perf_counter() - begun)


def batched(name, folder, count, batch):
    """Return images a second of the engine, with as many callers as a batch holds twice."""
    from gouache.contract import read_request
    from gouache.engines.diffusers_local import DiffusersLocal
    from gouache.settings import Settings

    told = {"standard": STEPS[name]}, {"standard": GUIDANCE[name]}
    options = {
        "model": str(folder),
        "steps": told[0],
        "guidance": told[1],
        "max_batch": batch,
        "batch_wait_ms": 50,
    }
    engine = DiffusersLocal(Settings(), options)

    def draw(seed):
        engine.generate(read_request({"prompt": f"picture {seed}", "seed": seed}))

    try:
        with ThreadPoolExecutor(2 * batch) as callers:
            list(callers.map(draw, range(batch)))
            begun = time.perf_counter()
            list(callers.map(draw, range(count)))
            return count / (time.perf_counter() - begun)
    finally:
        engine.close()


def main():
    """Measure each model, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["sd-turbo", "flux2-klein"], metavar="MODEL")
    parser.add_argument("--count", type=int, default=32, help="pictures of each run")
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 4, 8])
    parser.add_argument("--runs", type=int, default=3, help="runs, plain and batched in turn")
    given = parser.parse_args()
    if unknown := set(given.models) - set(STEPS):
        parser.error(f"{', '.join(unknown)}: a model is one of {', '.join(STEPS)}")

    from gouache.engines.devices import choose_place, this_machine

    place = choose_place(this_machine())
    print(f"{place.why[0]}; {place.dtype}; {given.count} pictures, median of {given.runs}\n")
    print("| model | batch | plain, images/s | engine, images/s | ratio (least to most) |")
    print("|---|---|---|---|---|")
    for name in given.models:
        with tempfile.TemporaryDirectory() as kept:
            folder = save(name, Path(kept))
            for batch in given.batch:
                pairs = [
                    (
                        plain(name, folder, place, given.count),
                        batched(name, folder, given.count, batch),
                    )
                    for _ in range(given.runs)
                ]
                ones, manies = zip(*pairs, strict=True)
                ratios = sorted(many / one for one, many in pairs)
                print(
                    f"| {name} | {batch} | {statistics.median(ones):.3g} | "
                    f"{statistics.median(manies):.3g} | {statistics.median(ratios):.2f} "
                    f"({ratios[0]:.2f} to {ratios[-1]:.2f}) |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
