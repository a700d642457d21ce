"""The Transducer loss of logits that are already there.

Training uses :mod:`espnet.nets.pytorch_backend.transducer.joint_loss` instead, which
never holds the logits of a whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet.nets.pytorch_backend.transducer.lattice import Lattice, sum_over_paths

# that are worked on at once: no more than keeps the caches useful, and enough to keep a
# processor busy
BLOCK_BYTES = {"cpu": 1 << 23, "cuda": 1 << 28}
VAGUE = 1e-30  # a probability that has lost digits, or may have
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
        frame_label_bytes: what one node needs.
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
        symbols = next_symbols(targets, blank).to(logits.device)
        ctx.cut = list(
            blocks(
                logit_lengths,
                target_lengths,
                logits.shape[-1] * precise.itemsize,
                logits.device.type,
            )
        )
        ctx.kept = None  # probabilities, until their place is taken by the gradient
        if ctx.needs_input_grad[0] and logits.dtype == precise:
            ctx.kept = _for_gradient(logits, ctx.cut)
        scores = logits.new_zeros(*logits.shape[:3], 2, dtype=precise)
        buffer = logits.new_empty(0, dtype=precise)
        for row, begin, end, width in ctx.cut:
            block = logits[row, begin:end, :width]
            if ctx.kept is None:
                buffer = _room(buffer, block)
                place = buffer[: block.numel()].view_as(block)
            else:
                place = ctx.kept[row, begin:end, :width]
            torch.softmax(block.to(precise), -1, out=place)
            found = node_scores(block, place, symbols[row, :width])
            scores[row, begin:end, :width] = found
        needed = ctx.needs_input_grad[0]
        blanks, labels = scores.unbind(-1)
        lattice = sum_over_paths(blanks, labels, logit_lengths, target_lengths, needed)
        if needed:
            paths = path_weights(lattice, fastemit_lambda).to(precise)
            ctx.save_for_backward(logits, symbols, paths)
        return -lattice.log_likelihood.to(precise)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        logits, symbols, paths = ctx.saved_tensors
        kept, ctx.kept = ctx.kept, None
        result = _for_gradient(logits, ctx.cut) if kept is None else kept
        paths = paths * grad[:, None, None, None]
        for row, begin, end, width in ctx.cut:
            place = result[row, begin:end, :width]
            probabilities = place
            if kept is None:
                part = logits[row, begin:end, :width]
                probabilities = torch.softmax(part, -1, dtype=paths.dtype)
            gradients = node_gradients(
                probabilities, paths[row, begin:end, :width], symbols[row, :width]
            )
            if kept is None:
                place.copy_(gradients)
        return result, None, None, None, None, None


def _for_gradient(logits: Tensor, cut: Sequence[Block]) -> Tensor:
    """Where the gradient of logits (B, T, U, V) will be: 0 outside the blocks."""
    result = torch.empty_like(logits, memory_format=torch.contiguous_format)
    inside = sum((block.end - block.begin) * block.width for block in cut)
    return result if inside == logits[..., 0].numel() else result.zero_()


def _room(buffer: Tensor, like: Tensor) -> Tensor:
    """A buffer (N,) that has at least the size of ``like``."""
    return buffer if len(buffer) >= like.numel() else buffer.new_empty(like.numel())


def next_symbols(targets: Tensor, blank: int) -> Tensor:
    """The two symbols that a path can take at each node: blank and the next label.

    Args:
        targets: labels (B, L), padded with blank.
        blank: its id.

    Returns:
        (B, L + 1, 2), behind the last label blank twice.
    """
    labels = F.pad(targets, (0, 1), value=blank)
    return torch.stack([torch.full_like(labels, blank), labels], -1)


def symbol_scores(logits: Tensor, symbols: Tensor) -> Tensor:
    """Log-probabilities of two symbols at each of some nodes (..., 2), with gradients.

    Args:
        logits: (..., V).
        symbols: (..., 2).
    """
    return _SymbolScores.apply(logits, symbols)


class _SymbolScores(torch.autograd.Function):
    """As ``log_softmax`` and ``gather``, with half of the memory in less time."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, symbols: Tensor) -> Tensor:
        precise = torch.promote_types(logits.dtype, torch.float32)
        probabilities = torch.softmax(logits, -1, dtype=precise)
        ctx.save_for_backward(probabilities, symbols)
        ctx.dtype = logits.dtype
        return node_scores(logits, probabilities, symbols)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        probabilities, symbols = ctx.saved_tensors
        gradients = probabilities * -grad.sum(-1, keepdim=True)
        return gradients.scatter_add_(-1, symbols, grad).to(ctx.dtype), None


def node_scores(logits: Tensor, probabilities: Tensor, symbols: Tensor) -> Tensor:
    """Log-probabilities of the two symbols at each node (..., 2).

    The logarithm of the sum of exponentials takes no more of these: it is a symbol's
    logit less the logarithm of its probability.

    Args:
        logits: of some nodes (..., V).
        probabilities: the softmax of the logits, in the precision of the result.
        symbols: broadcast to (..., 2).
    """
    exact = probabilities.dtype
    index = symbols.expand(*logits.shape[:-1], 2)
    taken = logits.gather(-1, index).to(exact)
    if logits.is_cuda:  # where looking for the likeliest symbol costs next to nothing
        most = probabilities.amax(-1, keepdim=True)
        return taken - (logits.amax(-1, keepdim=True).to(exact) - most.log())
    shares, likelier = probabilities.gather(-1, index).max(-1, keepdim=True)
    sums = taken.gather(-1, likelier) - shares.log()
    vague = ~(shares > VAGUE)[..., 0]
    if bool(vague.any()):
        sums[vague] = logits[vague].to(exact).logsumexp(-1, keepdim=True)
    return taken - sums


def path_weights(lattice: Lattice, fastemit_lambda: float) -> Tensor:
    """What the gradient of each node's two symbols is multiplied by (B, T, U, 2)."""
    by_label = lattice.labels * (1.0 + fastemit_lambda)
    return torch.stack([lattice.blanks, by_label], -1)


def node_gradients(probabilities: Tensor, paths: Tensor, symbols: Tensor) -> Tensor:
    """Gradients of the logits of some nodes (..., V), written over ``probabilities``.

    Args:
        probabilities: of all symbols (..., V).
        paths: weight of those that take each of the two symbols (..., 2).
        symbols: broadcast to (..., 2).
    """
    gradients = probabilities.mul_(paths.sum(-1, keepdim=True))
    return gradients.scatter_add_(-1, symbols.expand(paths.shape), -paths)
