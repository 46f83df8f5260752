import inspect

import pytest

from gouache.engines.families import FAMILIES, NO_PRESET, UNKNOWN, family_of, preset_of

auto_pipeline = pytest.importorskip("diffusers.pipelines.auto_pipeline")


def text_to_image_pipelines():
    return auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values()


@pytest.mark.parametrize(
    ("pipeline", "name"),
    [
        ("StableDiffusionPipeline", "SD"),
        ("StableDiffusionXLPipeline", "SDXL"),
        ("StableDiffusion3Pipeline", "SD3"),
        ("FluxPipeline", "FLUX.1"),
        ("Flux2KleinPipeline", "FLUX.2"),
        ("ZImagePipeline", "Z-Image"),
        ("QwenImagePipeline", "Qwen-Image"),
        ("KolorsPipeline", "other"),
    ],
)
def test_the_family_of_a_pipeline(pipeline, name):
    assert family_of(pipeline).name == name


def test_every_family_is_one_of_pipelines_that_there_are():
    found = {family_of(pipeline.__name__).name for pipeline in text_to_image_pipelines()}
    assert found == {family.name for family in FAMILIES.values()} | {UNKNOWN.name}


def test_the_guidance_of_each_family_is_called_as_its_pipelines_call_it():
    for pipeline in text_to_image_pipelines():
        family = family_of(pipeline.__name__)
        if family is not UNKNOWN:
            assert family.guidance in inspect.signature(pipeline.__call__).parameters, pipeline


@pytest.mark.parametrize(
    ("model", "standard", "guidance"),
    [
        ("stabilityai/sd-turbo", 2, 0.0),
        ("stabilityai/sdxl-turbo", 2, 0.0),
        ("stabilityai/stable-diffusion-xl-base-1.0", 30, 5.0),
        ("black-forest-labs/FLUX.2-klein-4B", 4, 1.0),
        ("black-forest-labs/FLUX.2-klein-base-4B", 28, 4.0),
        ("Tongyi-MAI/Z-Image-Turbo", 9, 0.0),
        ("Qwen/Qwen-Image", 30, 4.0),
    ],
)
def test_the_preset_of_a_model(model, standard, guidance):
    preset = preset_of(model)
    assert (preset.standard, preset.guidance) == (standard, guidance)
    assert preset.hd >= preset.standard


def test_a_model_of_another_name_has_no_preset():
    assert preset_of("somebody/something") is NO_PRESET
