"""Semantic Kernel's service that draws from text."""

import asyncio
import base64
import sys
import urllib.request
from pathlib import Path

from semantic_kernel.connectors.ai.open_ai import OpenAITextToImage


async def draw():
    service = OpenAITextToImage(ai_model_id="dall-e-3")
    return await service.generate_image("A white cat", 1024, 1024)


picture = asyncio.run(draw())
if picture.startswith("http"):
    with urllib.request.urlopen(picture) as file:
        data = file.read()
else:
    data = base64.b64decode(picture)
Path(sys.argv[1]).write_bytes(data)
