"""Lengths, masks and labels of padded batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from espnet.utils.errors import UserError

IGNORE = -1  # the label that pads label sequences


def make_pad_mask(lengths: Tensor, size: int | None = None) -> Tensor:
    """(B, T) with True = padding; T is ``size``, or the largest of ``lengths`` (B,)."""
    if size is None:
        size = int(lengths.max())
    return torch.arange(size, device=lengths.device) >= lengths[:, None]


def label_lengths(ys_pad: Tensor) -> Tensor:
    """Number of labels (B,) of each row of (B, L), padded with -1."""
    return (ys_pad != IGNORE).sum(1)


def decoder_labels(ys_pad: Tensor, eos: int) -> tuple[Tensor, Tensor]:
    """What a decoder reads and what it shall say, for labels (B, L) padded with -1.

    Returns:
        The labels behind the start symbol, padded with ``eos``, and the labels before
        the end symbol, padded with -1; both (B, U), U = L + 1. Start and end symbol are
        the same, ``eos``.
    """
    lengths = label_lengths(ys_pad)
    border = ys_pad.new_full((len(ys_pad), 1), eos)
    ys_in = torch.cat([border, ys_pad.masked_fill(ys_pad == IGNORE, eos)], 1)
    ys_out = torch.cat([ys_pad, torch.full_like(border, IGNORE)], 1)
    return ys_in, ys_out.scatter(1, lengths[:, None], border)


def check_features(xs_pad: Tensor, ilens: Tensor, idim: int) -> None:
    """Refuse a batch (B, T, D) that is not of the model's feature dimension.

    Raises:
        UserError: D differs from ``idim``, or an utterance has no frames.
    """
    if xs_pad.shape[-1] != idim:
        raise UserError(
            f"the features have {xs_pad.shape[-1]} dimensions, the model was built for"
            f" {idim}; make them with the same feature options as for its training"
        )
    if int(ilens.min()) < 1:
        raise UserError(
            f"utterance {int(ilens.argmin()) + 1} of {len(ilens)} in the batch has no"
            " frames"
        )


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Without gradients and dropout; the module's mode is as before afterwards."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(training)
