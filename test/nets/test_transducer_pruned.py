"""The pruned Transducer loss against the full one."""

from __future__ import annotations

import pytest
import torch
from asr_models import batch, build
from torch import Tensor

from espnet.nets.pytorch_backend.transducer.loss import transducer_loss
from espnet.nets.pytorch_backend.transducer.pruned_loss import (
    pruned_transducer_loss,
    window_starts,
)

FRAMES, COUNTS = torch.tensor([9, 3, 5]), torch.tensor([6, 6, 0])


def parts() -> list[Tensor]:
    draw = torch.Generator().manual_seed(2)
    shapes = ((3, 9, 5), (3, 7, 5), (3, 9, 4), (3, 7, 4), (5, 4))
    return [
        torch.randn(shape, generator=draw, dtype=torch.double).requires_grad_()
        for shape in shapes
    ]


def labels() -> Tensor:
    draw = torch.Generator().manual_seed(4)
    return torch.randint(1, 5, (3, 6), generator=draw)


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_with_the_widest_window_it_is_the_full_loss(weight: float) -> None:
    simple_enc, simple_dec, enc, dec, last = leaves = parts()
    rest = (labels(), FRAMES, COUNTS)
    found = pruned_transducer_loss(
        *(simple_enc, simple_dec, lambda a, b: torch.tanh(a + b) @ last.T, enc, dec),
        *rest,
        prune_range=7,
        fastemit_lambda=weight,
    )
    sums = simple_enc[:, :, None] + simple_dec[:, None]
    full = torch.tanh(enc[:, :, None] + dec[:, None]) @ last.T
    expected = [transducer_loss(x, *rest, fastemit_lambda=weight) for x in (sums, full)]
    torch.testing.assert_close(torch.stack([*found]), torch.stack(expected))
    wanted = torch.autograd.grad(sum(expected), leaves)
    torch.testing.assert_close(torch.autograd.grad(sum(found), leaves), wanted)


def test_a_narrow_window_leaves_out_paths() -> None:
    simple_enc, simple_dec, enc, dec, last = parts()
    arguments = (simple_enc, simple_dec, lambda a, b: torch.tanh(a + b) @ last.T)
    losses = [
        pruned_transducer_loss(
            *(*arguments, enc, dec, labels(), FRAMES, COUNTS), prune_range=size
        ).pruned.item()
        for size in (2, 3, 5, 7)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] < 2 * losses[-1]  # it is not a path outside that is counted


@pytest.mark.parametrize("size", [2, 3, 4, 7])
def test_a_path_leads_through_the_windows(size: int) -> None:
    frames, counts = torch.tensor([9, 6, 5]), torch.tensor([6, 6, 0])
    for seed in range(20):
        visits = torch.rand(3, 9, 7, generator=torch.Generator().manual_seed(seed))
        starts = window_starts(visits, frames, counts, size)
        for row, length, count in zip(starts, frames, counts, strict=True):
            used = row[:length]
            assert used[0] == 0
            assert int(used[-1]) + size > count
            steps = used.diff()
            assert ((steps >= 0) & (steps < size)).all()
            assert int(used.max()) + size <= max(7, size)


@pytest.mark.parametrize(
    "name", ["transducer-blstmp-lstm", "transducer-tdnn-transformer-custom"]
)
def test_models_learn_with_it_and_validate_without(name: str) -> None:
    model = build(name, transducer_loss="pruned", transducer_prune_range=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = model(*batch())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert losses[-1] < 0.8 * losses[0]
    state = model.state_dict()
    full = build(name)
    full.load_state_dict({k: v for k, v in state.items() if "simple_" not in k})
    torch.testing.assert_close(model.eval()(*batch()), full.eval()(*batch()))
