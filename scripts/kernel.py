"""Install the course's kernel into the environment that runs this, and the list of fonts that all labs share."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "labs"))

import hermetic
from ipykernel.kernelspec import install

if __name__ == "__main__":
    kernel = Path(install(kernel_name="python3", prefix=sys.prefix))
    (kernel / "kernel.json").write_text(json.dumps(hermetic.specification(), indent=1), encoding="utf-8")
    hermetic.IPYTHON.mkdir(exist_ok=True)
    hermetic.FONTS.mkdir(exist_ok=True)
    os.environ["MPLCONFIGDIR"] = str(hermetic.FONTS)
    import matplotlib.font_manager  # noqa: F401  (builds its list now, not in the first lab)
