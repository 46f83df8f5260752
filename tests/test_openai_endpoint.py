"""`/v1/images/generations` as the official client meets it: parameters, pictures and links."""

import asyncio

import httpx2
import openai
import pytest

from gouache.contract import ImageResponse, read
from gouache.usage import Usage
from gouache.web.openai_images import Made, usage_of
from gouache.web.openai_requests import ImagesRequest
from tests.openai_clients import KEY, PROMPT, count, fetched, official, picture
from tests.served import served

OTHER = "1f0ca0d8-2c5b-4dfd-a5c5-2b8a1a1f8a0e"
GATEWAYS = {"shop": {"taskapigatewayuuid": OTHER, "engine": "fake", "models": {"best": "fake-1"}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("openai"), api_key=KEY, gateways=GATEWAYS) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with official(server.url) as client:
        yield client


def test_a_picture_is_drawn_and_fetched_by_its_link(client):
    answer = client.images.generate(prompt=PROMPT)
    (image,) = answer.data
    assert image.b64_json is None
    assert image.revised_prompt == PROMPT
    drawn = picture(image)
    assert (drawn.format, drawn.size) == ("PNG", (1024, 1024))
    assert (answer.size, answer.quality, answer.output_format) == ("1024x1024", "medium", "png")
    assert (answer.background, answer.model) == ("opaque", "fake-1")


def test_the_call_is_a_task_like_any_other(client, server):
    answer = client.images.generate(prompt=PROMPT, extra_body={"seed": 7, "filename": "cat.png"})
    task = server.service.task(answer.data[0].taskuuid)
    assert task.state == "succeeded"
    assert task.params["filename"] == "cat.png"
    assert task.payload.image.model_dump() == answer.data[0].image
    assert task.payload.image.originalname == "cat.png"
    assert answer.data[0].seed == task.payload.response.seed == 7


def test_the_request_id_leads_to_the_task(client):
    answer = client.images.with_raw_response.generate(prompt=PROMPT, n=2)
    assert answer.headers["x-request-id"] == f"req_{answer.parse().data[0].taskuuid}"


def test_usage_is_what_the_provider_tells_or_what_we_count():
    told = ImageResponse.model_construct(usage=Usage(input_tokens=9, cost_usd="0.02"))
    untold = ImageResponse.model_construct(usage=None)

    def usage(*responses):
        made = [Made(None, None, response, "", None, "opaque", ()) for response in responses]
        return usage_of(read(ImagesRequest, {"prompt": "A white cat"}), made)

    assert usage(told).model_dump() == {
        "input_tokens": 9,
        "output_tokens": 1024,
        "total_tokens": 1033,
        "input_tokens_details": {"text_tokens": 9, "image_tokens": 0},
        "cost_usd": "0.02",
    }
    assert usage(told, told).cost_usd == "0.04"
    assert usage(told, untold).input_tokens == 9 + 3
    assert usage(told, untold).cost_usd is None


def test_n_pictures_are_n_tasks_and_all_different(client, server):
    before = count(server)
    answer = client.images.generate(prompt=PROMPT, n=3, response_format="b64_json")
    assert count(server) == before + 3
    assert len({image.b64_json for image in answer.data}) == 3
    assert all(image.url is None for image in answer.data)
    assert [picture(image).size for image in answer.data] == [(1024, 1024)] * 3


def test_each_of_n_pictures_has_the_next_seed(client):
    last = 2**32 - 1
    answer = client.images.generate(prompt=PROMPT, n=2, extra_body={"seed": last})
    assert [image.seed for image in answer.data] == [last, 0]
    one = client.images.generate(prompt=PROMPT, extra_body={"seed_from": "ada"})
    two = client.images.generate(prompt=PROMPT, n=2, extra_body={"seed_from": "ada"})
    assert two.data[0].seed == one.data[0].seed
    assert two.data[1].seed == one.data[0].seed + 1


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        ("auto", "1024x1024"),
        ("1024x1024", "1024x1024"),
        ("1024x1792", "1024x1792"),
        ("1792x1024", "1792x1024"),
        ("256x256", "1024x1024"),
        ("512x512", "1024x1024"),
        ("1536x1024", "1792x1024"),
        ("1024x1536", "1024x1792"),
    ],
)
def test_every_size_is_exactly_as_asked_for(client, server, size, drawn):
    answer = client.images.generate(prompt=PROMPT, size=size)
    assert answer.size == ("1024x1024" if size == "auto" else size)
    width, height = picture(answer.data[0]).size
    assert f"{width}x{height}" == answer.size
    assert server.service.task(answer.data[0].taskuuid).params["size"] == drawn


@pytest.mark.parametrize("in_base64", [True, False])
@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_every_format_is_what_is_delivered(client, output_format, in_base64):
    how = "b64_json" if in_base64 else "url"
    answer = client.images.generate(
        prompt=PROMPT, output_format=output_format, response_format=how, size="512x512"
    )
    image = picture(answer.data[0])
    assert (image.format, image.size) == (output_format.upper(), (512, 512))
    assert answer.output_format == output_format
    if not in_base64:
        kind = httpx2.head(answer.data[0].url, trust_env=False).headers["content-type"]
        assert kind == f"image/{output_format}"


def test_output_compression_is_the_quality_of_the_file(client):
    sizes = []
    for quality in (0, 20, 100):
        answer = client.images.generate(
            prompt=PROMPT,
            output_format="jpeg",
            output_compression=quality,
            extra_body={"seed": 1},
        )
        sizes.append(len(fetched(answer.data[0].url)))
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize(
    ("quality", "drawn", "shown"),
    [
        ("auto", "standard", "medium"),
        ("low", "standard", "medium"),
        ("medium", "standard", "medium"),
        ("standard", "standard", "medium"),
        ("hd", "hd", "high"),
        ("high", "hd", "high"),
        ("xhigh", "hd", "high"),
        ("max", "hd", "high"),
    ],
)
def test_old_and_new_names_of_qualities_are_taken(client, server, quality, drawn, shown):
    answer = client.images.generate(prompt=PROMPT, quality=quality)
    assert answer.quality == shown
    assert server.service.task(answer.data[0].taskuuid).params["quality"] == drawn


def test_styles_of_the_gateway_are_passed_on_and_those_of_openai_change_nothing(client, server):
    for style, expected in (("cartoon", "cartoon"), ("vivid", None), ("natural", None)):
        answer = client.images.generate(prompt=PROMPT, style=style)
        assert server.service.task(answer.data[0].taskuuid).params.get("style") == expected


def test_gpt_image_models_answer_in_base64_unless_asked_for_links(client):
    for name in ("gpt-image-1", "gpt-image-2.6-flare", "chatgpt-image-latest"):
        assert client.images.generate(prompt=PROMPT, model=name).data[0].b64_json
    answer = client.images.generate(prompt=PROMPT, model="gpt-image-2", response_format="url")
    assert answer.data[0].url
    assert client.images.generate(prompt=PROMPT, model="dall-e-2").data[0].url


def test_a_stand_in_is_announced(client):
    answer = client.images.generate(prompt=PROMPT, model="gpt-image-2")
    assert answer.model == "fake-1"
    assert answer.warnings[0] == (
        "gpt-image-2 is not a model of the gateway built-in; fake-1 drew instead"
    )
    assert "fake-1 drew instead" not in str(client.images.generate(prompt=PROMPT).warnings)


def test_models_of_other_gateways_have_its_name_before_theirs(client, server):
    for fields in (
        {"model": "shop/best"},
        {"model": "best", "extra_body": {"taskapigatewayuuid": OTHER}},
        {"model": "shop/best", "extra_body": {"taskapigatewayuuid": OTHER}},
        {"model": "shop/gpt-image-2"},
    ):
        answer = client.images.generate(prompt=PROMPT, **fields)
        assert server.service.task(answer.data[0].taskuuid).gateway == "shop"
        assert answer.model == "fake-1"


def test_models_are_listed_and_read_as_openai_does(client):
    listed = {model.id: model for model in client.models.list()}
    assert {"dall-e-3", "fake-1", "shop/fake-1", "shop/best"} <= listed.keys()
    assert listed["shop/best"].owned_by == "shop"
    assert listed["fake-1"].object == "model"
    for name in ("fake-1", "shop/best", "gpt-image-1.5"):
        assert client.models.retrieve(name).id == name
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("gpt-5")
    assert refused.value.code == "model_not_found"
    assert "shop/best" in refused.value.message


def test_every_model_listed_can_be_asked_for(client):
    rehearsals = ("failing", "refusing", "crashing", "flaky", "limited", "slow")
    for model in client.models.list():
        if not model.id.endswith(rehearsals):
            assert client.images.generate(prompt=PROMPT, model=model.id, size="256x256").data


def test_on_a_stub_all_pictures_come_with_one_stubpost(client, server):
    with server.client(headers={"Authorization": f"Bearer {KEY}"}) as ours:
        stubref = ours.post("/stubs", json={}).json()["stubref"]
        client.images.generate(prompt=PROMPT, n=2, extra_body={"stubref": stubref})
        posts = ours.get(f"/stubs/{stubref}").json()["stubposts"]
    assert list(posts[0]["tasks"]) == ["generate_image", "generate_image_2"]
    answers = [post for post in posts if "response_to" in post]
    assert len(answers) == 2
    body = {"stubref": stubref, "disable_model_response": True}
    client.images.generate(prompt=PROMPT, extra_body=body)
    assert len(server.service.stub(stubref).stubposts) == len(posts) + 1


def test_unknown_fields_are_tolerated_and_named(client):
    body = {"complexity": "high", "promt": "x", "user": None, "seed": None}
    answer = client.images.generate(prompt=PROMPT, extra_body=body)
    assert "'promt' is not a field of images/generations and was ignored; did you mean prompt?" in (
        answer.warnings
    )
    assert "'complexity' is not a field of images/generations and was ignored" in answer.warnings


def test_who_it_is_drawn_for_comes_back(client):
    assert client.images.generate(prompt=PROMPT, user="ada").safety_identifier == "ada"
    answer = client.images.generate(prompt=PROMPT, user="a", safety_identifier="b")
    assert answer.safety_identifier == "b"


def test_a_ground_that_cannot_go_stays_and_the_answer_says_so(client):
    answer = client.images.generate(
        prompt=PROMPT, background="transparent", output_format="webp", extra_body={"seed": 3}
    )
    assert answer.background == "opaque"
    assert any(said.startswith("the background is opaque: ") for said in answer.warnings)
    image = picture(answer.data[0])
    assert (image.format, image.mode) == ("WEBP", "RGB")


def test_usage_counts_words_and_squares(client):
    usage = client.images.generate(prompt="A cat, asleep.", n=2, size="1536x1024").usage
    assert usage.input_tokens == usage.input_tokens_details.text_tokens == 2 * 5
    assert usage.output_tokens == 2 * (1792 // 32) * (1024 // 32)
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


def test_the_asynchronous_client_draws_many_at_once(server):
    async def draw():
        given = {"base_url": f"{server.url}/v1", "api_key": KEY, "max_retries": 0}
        async with openai.AsyncOpenAI(**given) as client:
            calls = [client.images.generate(prompt=f"cat {i}", size="256x256") for i in range(8)]
            return await asyncio.gather(*calls)

    answers = asyncio.run(draw())
    assert [answer.data[0].revised_prompt for answer in answers] == [f"cat {i}" for i in range(8)]


def test_the_client_of_azure_finds_its_addresses(server):
    given = {"api_key": KEY, "api_version": "2026-01-01", "max_retries": 0}
    with openai.AzureOpenAI(azure_endpoint=server.url, **given) as client:
        answer = client.images.generate(model="shop/best", prompt=PROMPT)
        assert picture(answer.data[0]).size == (1024, 1024)
        assert server.service.task(answer.data[0].taskuuid).gateway == "shop"
        assert "fake-1" in [model.id for model in client.models.list()]
    with openai.OpenAI(base_url=f"{server.url}/openai/v1", api_key=KEY) as client:
        assert client.images.generate(prompt=PROMPT).data[0].url
        assert client.models.retrieve("fake-1").owned_by == "built-in"


def test_the_key_in_azures_header_opens_nothing_else(server):
    with server.client(headers={"api-key": KEY}) as client:
        assert client.get("/v1/models").status_code == 200
        assert client.get("/tasks").status_code == 401
