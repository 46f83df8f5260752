"""Haystack's image generator, in a pipeline."""

import base64
import os
import sys
from pathlib import Path

from haystack import Pipeline
from haystack.components.generators import OpenAIImageGenerator

pipeline = Pipeline()
url = os.environ["OPENAI_BASE_URL"]
pipeline.add_component("draw", OpenAIImageGenerator(api_base_url=url, size="1536x1024"))
images = pipeline.run({"draw": {"prompt": "A white cat"}})["draw"]["images"]
Path(sys.argv[1]).write_bytes(base64.b64decode(images[0]))
