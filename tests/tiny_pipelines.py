"""Whole pipelines of diffusers in miniature: their real classes, random weights, a few MB each."""

import json

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
)

WIDTH = 32
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def clip_tokenizer(folder):
    """A tokenizer of single characters, with the length of the real one."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77
    )


def qwen_tokenizer(folder):
    """A tokenizer of single characters that knows how to chat."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [*sorted(ByteLevel.alphabet()), "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = Qwen2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.chat_template = CHAT
    return tokenizer


def clip(kind=CLIPTextModel):
    return kind(
        CLIPTextConfig(
            vocab_size=600,
            hidden_size=WIDTH,
            intermediate_size=37,
            num_attention_heads=4,
            num_hidden_layers=3,
            projection_dim=WIDTH,
            bos_token_id=512,
            eos_token_id=513,
            pad_token_id=1,
        )
    )


def qwen(kind, layers=2):
    return kind(
        Qwen3Config(
            vocab_size=300,
            hidden_size=WIDTH,
            intermediate_size=32,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=1024,
        )
    )


def vae(kind=AutoencoderKL, latent_channels=4, **more):
    """A decoder of the real scale, eight, and of few channels."""
    return kind(
        block_out_channels=(4, 4, 4, 4),
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=2,
        latent_channels=latent_channels,
        mid_block_add_attention=False,
        **more,
    )


def unet(sample_size, **more):
    return UNet2DConditionModel(
        block_out_channels=(4, 8, 8),
        layers_per_block=1,
        sample_size=sample_size,
        in_channels=4,
        out_channels=4,
        norm_num_groups=2,
        attention_head_dim=8,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        **more,
    )


def sd(folder):
    """Of the family of Stable Diffusion: 512 pixels, a U-net, CLIP."""
    return StableDiffusionPipeline(
        vae=vae(),
        text_encoder=clip(),
        tokenizer=clip_tokenizer(folder),
        unet=unet(64, cross_attention_dim=WIDTH),
        scheduler=EulerDiscreteScheduler(steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl(folder):
    """Of the family of SDXL: 1024 pixels, two text encoders."""
    return StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=clip(),
        text_encoder_2=clip(CLIPTextModelWithProjection),
        tokenizer=clip_tokenizer(folder / "1"),
        tokenizer_2=clip_tokenizer(folder / "2"),
        unet=unet(
            128,
            cross_attention_dim=2 * WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=WIDTH + 6 * 8,
            use_linear_projection=True,
        ),
        scheduler=EulerDiscreteScheduler(steps_offset=1),
        add_watermarker=False,
    )


def z_image(folder):
    """A flow-matching transformer of a single stream."""
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(
            latent_channels=16,
            scaling_factor=0.3611,
            shift_factor=0.1159,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        text_encoder=qwen(Qwen3Model),
        tokenizer=qwen_tokenizer(folder),
        transformer=ZImageTransformer2DModel(
            all_patch_size=(2,),
            all_f_patch_size=(1,),
            in_channels=16,
            dim=32,
            n_layers=1,
            n_refiner_layers=1,
            n_heads=1,
            n_kv_heads=1,
            cap_feat_dim=WIDTH,
            axes_dims=[8, 8, 16],
            axes_lens=[1024, 128, 128],
        ),
    )


def flux2(folder):
    """A flow-matching transformer of two streams, whose latents are packed."""
    pipe = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(AutoencoderKLFlux2, latent_channels=8, sample_size=128),
        text_encoder=qwen(Qwen3ForCausalLM, layers=28),
        tokenizer=qwen_tokenizer(folder),
        transformer=Flux2Transformer2DModel(
            patch_size=1,
            in_channels=32,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=3 * WIDTH,
            timestep_guidance_channels=8,
            axes_dims_rope=(4, 4, 4, 4),
        ),
        is_distilled=True,
    )
    pipe.transformer.context_embedder.weight.data *= 30
    for weight in pipe.transformer.parameters():
        if weight.ndim == 2:
            weight.data *= 3  # so that a prompt is seen in the picture
    return pipe


FAMILIES = {"sd": sd, "sdxl": sdxl, "z-image": z_image, "flux2": flux2}


def save_tiny(family, folder):
    """Save the pipeline of a family into a folder; the same weights each time."""
    torch.manual_seed(0)
    pipe = FAMILIES[family](folder / "tokenizers")
    pipe.save_pretrained(folder / family, safe_serialization=True)
    return folder / family


def save_flagging(folder):
    """Save a pipeline with a safety checker that flags every picture."""
    torch.manual_seed(0)
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 16,
        "projection_dim": 16,
    }
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=16))
    checker.concept_embeds_weights.data.fill_(-2)  # less than any cosine
    small = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    parts = sd(folder / "tokenizers").components
    whole = StableDiffusionPipeline(
        **parts | {"safety_checker": checker, "feature_extractor": small}
    )
    whole.save_pretrained(folder / "flagging")
    return folder / "flagging"


def save_lora(folder):
    """Save a LoRA for the U-net of the SD pipeline."""
    unet = sd(folder / "tokenizers").unet
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    for name, layer in unet.named_modules():
        if name.endswith(("to_q", "to_v")):
            rows, columns = layer.weight.shape
            for part, shape in (("lora_A", (2, columns)), ("lora_B", (rows, 2))):
                tensors[f"unet.{name}.{part}.weight"] = torch.randn(shape, generator=generator)
    path = folder / "style.safetensors"
    save_file(tensors, path)
    return path
