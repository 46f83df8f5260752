"""LlamaIndex's image tool, which keeps the pictures in a folder."""

import sys
from pathlib import Path

from llama_index.tools.openai.image_generation.base import OpenAIImageGenerationToolSpec

tool = OpenAIImageGenerationToolSpec(cache_dir="pictures").to_tool_list()[0]
(file,) = tool(text="A white cat", quality="hd", download=True).raw_output
Path(file).rename(sys.argv[1])
