"""The Transducer loss beside what it has to be compared with, forward and backward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tools.bench.timing import Speech, Work

CONFIGS = Path(__file__).parents[2] / "egs/digits/asr1/conf/tuning/transducer"
UTTERANCES, LEAST, MOST = 64, 100, 500  # and their frames
TOGETHER = 16
DIMS, SYMBOLS = 83, 11
SPOKEN = 0.1  # of the encoder's frames, begin a label
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

    from espnet.nets.pytorch_backend.linear import Linear
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
    simple = [Linear(JOINT, vocabulary) for _ in range(2)]
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


def greedy(name: str) -> dict[str, Work]:
    """Greedy decoding of 64 utterances of 1 to 5 s: one by one, and 16 together.

    Args:
        name: of a config of ``egs/digits``; the weights are random, but blank is as
            likely as it is in speech.
    """
    import torch

    from espnet.asr.train_options import parse_train_options
    from espnet.nets.decode import make_search
    from espnet.nets.pytorch_backend.e2e_asr_transducer import E2E
    from espnet.nets.search_options import SearchOptions

    torch.manual_seed(0)
    argv = ["--config", str(CONFIGS / f"{name}.yaml"), "--outdir", "-", "--dict", "-"]
    args = parse_train_options(argv)
    args.char_list = [str(i) for i in range(SYMBOLS)]
    model = E2E(DIMS, SYMBOLS, args).eval()
    lengths = torch.randint(LEAST, MOST, (UTTERANCES,)).sort(descending=True)[0]
    utterances = [torch.randn(length, DIMS) for length in lengths.tolist()]
    scorer: Any = model.scorers()["transducer"]
    with torch.no_grad():
        start, _ = scorer.read([(0,)], [scorer.initial()])
        logits = scorer.logits(scorer.frames(model.encode(utterances[0])), start)
        lead = logits[:, 1:].amax(1) - logits[:, 0]
        scorer.joint.lin_out.bias[0] += lead.quantile(1.0 - SPOKEN)
    model = model.prepared()
    search = make_search(model.scorers(), SYMBOLS, SearchOptions(search_type="greedy"))

    def decode(count: int) -> Work:
        def work() -> None:
            for begin in range(0, UTTERANCES, count):
                search(*model.encode_list(utterances[begin : begin + count]))

        return Speech(work, float(lengths.sum()) * 0.01)

    return {"one_by_one": decode(1), "sixteen_together": decode(TOGETHER)}
