"""LangChain's image tool, as an agent is given it."""

import sys
import urllib.request
from pathlib import Path

from langchain_community.tools.openai_dalle_image_generation import OpenAIDALLEImageGenerationTool
from langchain_community.utilities.dalle_image_generator import DallEAPIWrapper

tool = OpenAIDALLEImageGenerationTool(api_wrapper=DallEAPIWrapper(size="512x512"))
with urllib.request.urlopen(tool.run("A white cat")) as file:
    Path(sys.argv[1]).write_bytes(file.read())
