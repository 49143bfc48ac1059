"""The folder of a text-to-image pipeline and a text come in; a picture as a PNG file goes out.

It runs in a worker. Weights are read from safetensors alone, and no code of the folder is run:
`generated.check_pipeline` refuses the folders that would need either.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging

from lagotto.core.types import JsonObject


@lru_cache(maxsize=1)
def _pipeline(folder: str, threads: int) -> Any:
    torch.set_num_threads(threads)
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    pipeline = DiffusionPipeline.from_pretrained(
        folder,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        low_cpu_mem_usage=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw_text(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """Draws `text` with `seed` by the pipeline in `folder`, into the file `out`.

    The worker keeps the pipeline for the next text.
    """
    pipeline = _pipeline(str(payload["folder"]), int(str(payload["threads"])))
    generator = torch.Generator("cpu").manual_seed(int(str(payload["seed"])))
    drawn = pipeline(prompt=str(payload["text"]), generator=generator, output_type="pil")
    drawn.images[0].convert("RGB").save(Path(str(payload["out"])), "PNG")
    flagged = getattr(drawn, "nsfw_content_detected", None) or [False]
    progress(1)
    return {"unsafe": bool(flagged[0])}
