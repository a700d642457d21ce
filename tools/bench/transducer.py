"""The Transducer loss beside what it has to be compared with, forward and backward."""

from __future__ import annotations

from tools.bench.timing import Work

JOINT = 320
SMALL = (4, 200, 40, 500)
LARGE = (8, 400, 80, 1000)


def loss_alone(
    batch: int, frames: int, labels: int, vocabulary: int
) -> dict[str, Work]:
    """The loss of given logits, beside a log-softmax of the same.

    Args:
        batch, frames, labels, vocabulary: B, T, L and V.
    """
    import torch

    from espnet.nets.pytorch_backend.transducer.loss import transducer_loss

    torch.manual_seed(0)
    targets = torch.randint(1, vocabulary, (batch, labels))
    lengths = (torch.full((batch,), frames), torch.full((batch,), labels))
    logits = torch.randn(batch, frames, labels + 1, vocabulary, requires_grad=True)
    ones = torch.ones_like(logits)
    return {
        "log_softmax": lambda: torch.autograd.grad(
            logits.log_softmax(-1), logits, ones
        ),
        "loss": lambda: torch.autograd.grad(
            transducer_loss(logits, targets, *lengths), logits
        ),
    }


def with_joint(
    batch: int, frames: int, labels: int, vocabulary: int
) -> dict[str, Work]:
    """Joint network and loss: with all logits at once, tiled over time, and pruned.

    Args:
        batch, frames, labels, vocabulary: B, T, L and V.
    """
    import torch

    from espnet.nets.pytorch_backend.transducer.joint import JointNetwork
    from espnet.nets.pytorch_backend.transducer.joint_loss import joint_transducer_loss
    from espnet.nets.pytorch_backend.transducer.loss import transducer_loss
    from espnet.nets.pytorch_backend.transducer.pruned_loss import (
        pruned_transducer_loss,
    )

    torch.manual_seed(0)
    targets = torch.randint(1, vocabulary, (batch, labels))
    lengths = (torch.full((batch,), frames), torch.full((batch,), labels))
    joint = JointNetwork(vocabulary, JOINT, JOINT, JOINT, "tanh")
    weight, bias = joint.lin_out.weight, joint.lin_out.bias
    enc = torch.randn(batch, frames, JOINT, requires_grad=True)
    dec = torch.randn(batch, labels + 1, JOINT, requires_grad=True)
    simple = [torch.nn.Linear(JOINT, vocabulary) for _ in range(2)]
    leaves = [enc, dec, weight, bias]

    def at_once() -> object:
        logits = joint(enc[:, :, None], dec[:, None])
        loss = transducer_loss(logits, targets, *lengths)
        return torch.autograd.grad(loss, leaves)

    def tiled() -> object:
        loss = joint_transducer_loss(enc, dec, weight, bias, targets, *lengths)
        return torch.autograd.grad(loss, leaves)

    def pruned() -> object:
        scores = (simple[0](enc), simple[1](dec))
        losses = pruned_transducer_loss(*scores, joint, enc, dec, targets, *lengths)
        weights = [p for part in simple for p in part.parameters()]
        return torch.autograd.grad(losses.simple + losses.pruned, [*leaves, *weights])

    return {"at_once": at_once, "tiled": tiled, "pruned": pruned}
