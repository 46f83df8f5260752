"""The official client for Azure."""

import sys
import urllib.request
from pathlib import Path

import openai

client = openai.AzureOpenAI(api_version="2026-01-01")
answer = client.images.generate(model="dall-e-3", prompt="A white cat", size="1792x1024")
with urllib.request.urlopen(answer.data[0].url) as file:
    Path(sys.argv[1]).write_bytes(file.read())
