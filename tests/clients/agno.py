"""Agno's image tool."""

import sys
import urllib.request
from pathlib import Path

from agno.tools.dalle import DalleTools

result = DalleTools(size="1024x1792", quality="hd", style="vivid").create_image("A white cat")
with urllib.request.urlopen(result.images[0].url) as file:
    Path(sys.argv[1]).write_bytes(file.read())
