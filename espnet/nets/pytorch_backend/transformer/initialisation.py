"""How the weights of Transformers start."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

INITIALISATIONS: dict[str, Callable[[Tensor], object] | None] = {
    "pytorch": None,  # as the modules made them
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "kaiming_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "kaiming_normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
}


@torch.no_grad()
def initialise(module: nn.Module, name: str) -> None:
    """Start weights as ``name`` says, and biases with 0; norms and embeddings as usual.

    ESPnet1 set the weights of batch norms and of the norm in linear input layers to 0,
    which with the ReLU behind it never became anything else.
    """
    scheme = INITIALISATIONS[name]
    if scheme is None:
        return
    for parameter in module.parameters():
        if parameter.dim() > 1:
            scheme(parameter)
        elif parameter.dim() == 1:
            parameter.zero_()
    for part in module.modules():
        if isinstance(part, (nn.Embedding, nn.LayerNorm, nn.BatchNorm1d)):
            part.reset_parameters()
