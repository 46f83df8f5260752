"""The official client: a picture, a stream, the models, an error."""

import base64
import sys
from pathlib import Path

import openai

client = openai.OpenAI()
assert "fake-1" in [model.id for model in client.models.list()]
answer = client.images.generate(model="gpt-image-1", prompt="A white cat", n=2)
assert len(answer.data) == 2
try:
    client.images.generate(prompt="A white cat", size="1x1")
except openai.BadRequestError as error:
    assert error.param == "size"
else:
    raise AssertionError("a bad size was not refused")
stream = {"stream": True, "partial_images": 1}
asked = {"model": "fake-slow", "prompt": "A white cat"}
try:
    events = list(client.images.generate(**asked, **stream))
except TypeError:  # a client of before there were streams of pictures
    events = []
assert [event.type for event in events] in (
    [],
    ["image_generation.partial_image", "image_generation.completed"],
)
Path(sys.argv[1]).write_bytes(base64.b64decode(answer.data[0].b64_json))
