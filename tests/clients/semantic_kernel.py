"""Semantic Kernel's service that draws from text."""

import asyncio
import sys
import urllib.request
from pathlib import Path

from semantic_kernel.connectors.ai.open_ai import OpenAITextToImage

service = OpenAITextToImage(ai_model_id="dall-e-3")
urls = asyncio.run(service.generate_images("A white cat"))
with urllib.request.urlopen(urls[0]) as file:
    Path(sys.argv[1]).write_bytes(file.read())
