"""The largest minibatches first, so that too large ones are known at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from espnet.train.checkpoint import random_state, set_random_state
from espnet.train.passes import BatchLike

KEPT = 2  # tensors that Adam and Adadelta keep of each parameter


def rehearse(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[BatchLike],
    backward: Callable[[BatchLike], object],
) -> None:
    """Compute the gradients of some minibatches, and leave no trace.

    Gradients are dropped; random numbers and buffers, such as the statistics of batch
    norms, are put back, so that training goes as it would have gone. What the optimizer
    will need from its first update on is taken from memory meanwhile.

    Args:
        model: in training mode.
        optimizer: of its parameters.
        batches: the largest ones.
        backward: adds the gradient of a minibatch.

    Raises:
        UserError: one does not fit into memory; from ``backward``.
    """
    state = random_state()
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    reserved: list[torch.Tensor] = []
    if not optimizer.state:
        for parameter in model.parameters():
            if parameter.requires_grad:
                reserved += [torch.empty_like(parameter) for _ in range(KEPT)]
    for batch in batches:
        backward(batch)
        optimizer.zero_grad(set_to_none=True)
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
    set_random_state(state)
