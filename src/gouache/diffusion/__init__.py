"""Our own text-to-image model, from a scene to pixels: numpy and OpenVINO, no torch.

Pictures are (B, 3, H, W) float32, in [-1, 1] when clean; time t runs from 0 (pure noise) to 1
(clean). `pipeline.Pipeline` is the way in; `engines/embedded.py` is the only one who takes it.
"""

import sys

# OpenVINO's companion would put a client id into the home folder and report each import over the
# network; where it cannot be imported, OpenVINO uses a silent stub of its own.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
