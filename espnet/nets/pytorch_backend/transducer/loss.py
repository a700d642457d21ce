"""The Transducer loss of logits that are already there.

Training uses :mod:`espnet.nets.pytorch_backend.transducer.joint_loss` instead, which
never holds the logits of a whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from espnet.nets.pytorch_backend.transducer.lattice import sum_over_paths

# bytes of logits that are worked on at once: no more than keeps the caches useful, and
# enough to keep a processor busy
BLOCK_BYTES = {"cpu": 1 << 22, "cuda": 1 << 27}
REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda losses: losses,
    "sum": torch.sum,
    "mean": torch.mean,
}


class Block(NamedTuple):
    """Some frames of one utterance, with all of its labels: nothing of the padding.

    Attributes:
        row: the utterance.
        begin, end: its frames.
        width: U = L + 1 of the utterance.
    """

    row: int
    begin: int
    end: int
    width: int


def blocks(
    logit_lengths: Tensor, target_lengths: Tensor, frame_label_bytes: int, device: str
) -> Iterator[Block]:
    """Cut a batch into blocks of about ``BLOCK_BYTES``.

    Args:
        logit_lengths: frames (B,), on the CPU.
        target_lengths: labels (B,), on the CPU.
        frame_label_bytes: size of the logits (V,) of one node.
        device: type of the device.
    """
    size = BLOCK_BYTES.get(device, BLOCK_BYTES["cuda"])
    pairs = zip(logit_lengths.tolist(), target_lengths.tolist(), strict=True)
    for row, (frames, labels) in enumerate(pairs):
        step = max(1, size // ((labels + 1) * frame_label_bytes))
        for begin in range(0, frames, step):
            yield Block(row, begin, min(begin + step, frames), labels + 1)


def transducer_loss(
    logits: Tensor,
    targets: Tensor,
    logit_lengths: Tensor,
    target_lengths: Tensor,
    blank: int = 0,
    fastemit_lambda: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of labels (Graves, 2012).

    Args:
        logits: (B, T, U, V) before the softmax, U = L + 1; what lies behind an
            utterance's lengths is never read, and its gradient is 0.
        targets: labels (B, L); what pads them does not matter.
        logit_lengths: frames of each utterance (B,), 1 or more.
        target_lengths: labels of each utterance (B,).
        blank: id of blank.
        fastemit_lambda: the gradient of a label's log-probability is multiplied by
            1 + this at each node; the loss itself is that of 0 (Yu et al., "FastEmit",
            2021).
        reduction: ``mean`` over utterances, ``sum``, or ``none`` for (B,).

    Raises:
        ValueError: shapes, lengths or labels do not fit together.
    """
    targets, logit_lengths, target_lengths = checked(
        logits.shape, targets, logit_lengths, target_lengths, blank
    )
    losses = _Loss.apply(
        *(logits, targets, logit_lengths, target_lengths, blank, fastemit_lambda)
    )
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction: '{reduction}' is none of {', '.join(REDUCTIONS)}")
    return REDUCTIONS[reduction](losses)


def checked(
    shape: tuple[int, ...],
    targets: Tensor,
    logit_lengths: Tensor,
    target_lengths: Tensor,
    blank: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Labels and lengths as int64 on the CPU; labels behind the lengths are ``blank``.

    Args:
        shape: of the logits (B, T, U, V).
        targets, logit_lengths, target_lengths, blank: see :func:`transducer_loss`.

    Raises:
        ValueError: they do not fit together.
    """
    batch, frames, width, vocabulary = shape
    if not 0 <= blank < vocabulary:
        raise ValueError(f"blank: {blank} must lie in [0, {vocabulary})")
    targets, logit_lengths, target_lengths = (
        x.detach().cpu().long() for x in (targets, logit_lengths, target_lengths)
    )
    if targets.shape != (batch, width - 1):
        raise ValueError(
            f"targets have shape {list(targets.shape)}, logits {list(shape)} need"
            f" {[batch, width - 1]}"
        )
    for name, lengths, least, most in (
        ("logit_lengths", logit_lengths, 1, frames),
        ("target_lengths", target_lengths, 0, width - 1),
    ):
        if lengths.shape != (batch,):
            raise ValueError(f"{name} have shape {list(lengths.shape)}, not [{batch}]")
        if batch and not least <= int(lengths.min()) <= int(lengths.max()) <= most:
            raise ValueError(
                f"{name}: {lengths.tolist()} must lie in [{least}, {most}]"
            )
    padding = torch.arange(width - 1) >= target_lengths[:, None]
    targets = targets.masked_fill(padding, blank)
    wrong = ~padding & ((targets < 0) | (targets >= vocabulary) | (targets == blank))
    if wrong.any():
        raise ValueError(
            f"targets: {targets[wrong].tolist()[:5]} are no labels; they must lie in"
            f" [0, {vocabulary}) and differ from blank {blank}"
        )
    return targets, logit_lengths, target_lengths


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        targets: Tensor,
        logit_lengths: Tensor,
        target_lengths: Tensor,
        blank: int,
        fastemit_lambda: float,
    ) -> Tensor:
        precise = torch.promote_types(logits.dtype, torch.float32)
        targets = targets.to(logits.device)
        ctx.cut = list(
            blocks(
                logit_lengths,
                target_lengths,
                logits.shape[-1] * precise.itemsize,
                logits.device.type,
            )
        )
        shape = logits.shape[:3]
        blanks, labels = logits.new_zeros(2, *shape, dtype=precise).unbind(0)
        buffer = logits.new_empty(0, dtype=precise)
        for row, begin, end, width in ctx.cut:
            block = logits[row, begin:end, :width].to(precise)
            buffer = _room(buffer, block)
            scores = buffer[: block.numel()].view_as(block)
            torch.log_softmax(block, -1, out=scores)
            blanks[row, begin:end, :width] = scores[..., blank]
            labels[row, begin:end, : width - 1] = next_labels(scores, targets[row])
        lattice = sum_over_paths(
            blanks, labels, logit_lengths, target_lengths, ctx.needs_input_grad[0]
        )
        if ctx.needs_input_grad[0]:
            by_label = lattice.labels * (1.0 + fastemit_lambda)
            ctx.save_for_backward(
                logits, targets, lattice.blanks.to(precise), by_label.to(precise)
            )
            ctx.blank = blank
        return -lattice.log_likelihood.to(precise)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        logits, targets, by_blank, by_label = ctx.saved_tensors
        result = torch.empty_like(logits)
        if sum((b.end - b.begin) * b.width for b in ctx.cut) < by_blank.numel():
            result.zero_()
        paths = torch.stack([by_blank, by_label, by_blank + by_label])
        paths *= grad[:, None, None]
        for row, begin, end, width in ctx.cut:
            part = logits[row, begin:end, :width].to(by_blank.dtype)
            place = result[row, begin:end, :width]
            direct = place.is_contiguous() and place.dtype == part.dtype
            gradients = node_gradients(
                torch.softmax(part, -1, out=place if direct else None),
                paths[:, row, begin:end, :width],
                targets[row],
                ctx.blank,
            )
            if not direct:
                place.copy_(gradients)
        return result, None, None, None, None, None


def _room(buffer: Tensor, like: Tensor) -> Tensor:
    """A buffer (N,) that has at least the size of ``like``."""
    return buffer if len(buffer) >= like.numel() else like.new_empty(like.numel())


def next_labels(scores: Tensor, targets: Tensor) -> Tensor:
    """What scores (T, U, V) give to the next of the labels (L,) -> (T, U - 1)."""
    count = scores.shape[1] - 1
    index = targets[:count, None].expand(len(scores), -1, 1)
    return scores[:, :count].gather(2, index)[..., 0]


def node_gradients(
    probabilities: Tensor,
    paths: Tensor,
    targets: Tensor,
    blank: int,
) -> Tensor:
    """Gradients of the logits of some nodes (T, U, V), written over ``probabilities``.

    Args:
        probabilities: of the symbols (T, U, V).
        paths: weight of those that take the blank, the next label, and either, at each
            node (3, T, U).
        targets: labels (L,), L >= U - 1.
        blank: id of blank.
    """
    by_blank, by_label, by_either = paths
    gradients = probabilities.mul_(by_either[..., None])
    gradients[..., blank] -= by_blank
    count = gradients.shape[1] - 1
    index = targets[:count, None].expand(len(gradients), -1, 1)
    gradients[:, :count].scatter_add_(2, index, -by_label[:, :count, None])
    return gradients
