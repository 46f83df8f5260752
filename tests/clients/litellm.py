"""LiteLLM's image generation."""

import base64
import sys
from pathlib import Path

from litellm import image_generation

answer = image_generation(model="openai/gpt-image-1", prompt="A white cat", quality="high")
Path(sys.argv[1]).write_bytes(base64.b64decode(answer.data[0].b64_json))
