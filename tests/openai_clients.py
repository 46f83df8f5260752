"""The official client, pointed at a server of the tests; and what tests of it look at."""

import base64
import io
from contextlib import contextmanager

import httpx2
import openai
from PIL import Image

KEY = "a-key-of-more-than-16-letters"
PROMPT = "A white cat sitting on a red sports car."


@contextmanager
def official(url, **options):
    """Yield the official client; by default it repeats nothing."""
    given = {"api_key": KEY, "max_retries": 0, "timeout": 30} | options
    with openai.OpenAI(base_url=f"{url}/v1", **given) as client:
        yield client


def picture(image):
    """Return the picture of an answer, read to its end, from its bytes or by its link."""
    return opened(base64.b64decode(image.b64_json) if image.b64_json else fetched(image.url))


def fetched(url):
    answer = httpx2.get(url, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.content


def opened(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
    return image


def count(server):
    """Return how many tasks there are."""
    return sum(server.service.task_counts().values())
