"""An engine that costs next to nothing: each picture is the same 64 x 64 pixels, whatever is asked.

With it the service is what takes the time. `overhead.py` puts it among the installed engines by a
folder of package metadata on the path, as a plug-in of somebody else would be.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from gouache.contract import GenerateImage
from gouache.engines import Capabilities, Drawing, OnStep, choose_seed
from gouache.settings import Settings

PIXELS = np.zeros((64, 64, 3), np.uint8)


class StillEngine:
    """Hands back the same picture at once."""

    def __init__(
        self, settings: Settings, options: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """Need nothing from the settings and the options."""
        self.capabilities = Capabilities(models={"dall-e-3": "still-1"})

    def generate(self, request: GenerateImage, on_step: OnStep | None = None) -> Drawing:
        """Return the picture."""
        return Drawing(PIXELS, "still-1", choose_seed(request), request.prompt)

    def close(self) -> None:
        """Hold nothing."""
