"""Quantisation of models that are loaded for decoding."""

from __future__ import annotations

import logging

from torch import nn

from espnet.asr.recog_options import RecogOptions
from espnet.nets.pytorch_backend.quantization import quantize
from espnet.utils.errors import UserError


def quantize_loaded(model: nn.Module, options: RecogOptions, source: str) -> None:
    """Replace the layers that ``--quantize-config`` names by quantised ones.

    Args:
        model: on the CPU, in float32; is changed.
        options: say which layers, and what becomes of their weights.
        source: option and file of the model, for messages.

    Raises:
        UserError: the model has no such layer.
    """
    names = sorted(set(options.quantize_config)) or ["Linear"]
    count = quantize(model, names, options.quantize_dtype)
    if not count:
        raise UserError(
            f"--quantize-config: {', '.join(names)}: {source} has no such layers"
        )
    logging.info(
        "%s: %d layers (%s) quantised to %s",
        *(source, count, ", ".join(names), options.quantize_dtype),
    )
