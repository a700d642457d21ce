"""The RNN decoder: training and search see the same probabilities."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from espnet.nets.pytorch_backend.nets_utils import decoder_labels
from espnet.nets.pytorch_backend.rnn.attentions import ATTENTIONS
from espnet.nets.pytorch_backend.rnn.attentions.base import AttentionSizes
from espnet.nets.pytorch_backend.rnn.cells import CELLS, CellState
from espnet.nets.pytorch_backend.rnn.decoders import Decoder

ODIM, PROJS, UNITS = 7, 5, 4
SIZES = AttentionSizes(PROJS, UNITS, 6, heads=2, window=3, channels=3, half_width=2)
HLENS = torch.tensor([6, 4])


def build(atype: str = "location", dtype: str = "lstm", **options: object) -> Decoder:
    torch.manual_seed(0)
    attention = ATTENTIONS[atype](SIZES)
    decoder = Decoder(ODIM, PROJS, dtype, 2, UNITS, attention, **options)
    return decoder.double().eval()


def frames() -> Tensor:
    draw = torch.Generator().manual_seed(1)
    hs = torch.randn(2, 6, PROJS, dtype=torch.double, generator=draw)
    hs[1, 4:] = 0.0
    return hs


def teacher_forced(decoder: Decoder, ys: Tensor) -> Tensor:
    """Log-probabilities (B, U, V) of labels (B, L)."""
    ys_in, _ = decoder_labels(ys, ODIM - 1)
    return F.log_softmax(decoder(frames()[: len(ys)], HLENS[: len(ys)], ys_in)[0], -1)


@pytest.mark.parametrize("context_residual", [False, True])
@pytest.mark.parametrize("dtype", CELLS)
@pytest.mark.parametrize("atype", ATTENTIONS)
@torch.no_grad()
def test_search_steps_equal_teacher_forcing(
    atype: str, dtype: str, context_residual: bool
) -> None:
    decoder = build(atype, dtype, context_residual=context_residual)
    beam = 3
    prefixes = torch.randint(1, ODIM - 1, (2 * beam, 3))
    state = decoder.start(frames(), HLENS, beam)
    tokens = torch.full((2 * beam,), ODIM - 1)
    for step in range(3):
        scores, state = decoder.score(tokens, state)
        for b in range(2):
            mine = slice(b * beam, (b + 1) * beam)
            for k in range(beam):
                expected = decoder_log_probs(decoder, b, prefixes[mine][k, :step])
                torch.testing.assert_close(scores[mine][k], expected)
        # each hypothesis goes on from another one of its utterance
        rows = torch.tensor([2, 0, 0, 5, 5, 3])
        prefixes = prefixes[rows]
        prefixes[:, step] = tokens = torch.randint(1, ODIM - 1, (2 * beam,))
        state = decoder.select(state, rows, tokens)
    rows = torch.tensor([4, 3, 4])  # the first utterance has ended
    state = decoder.select(state, rows, tokens[rows])
    scores, _ = decoder.score(tokens[rows], state)
    for k, prefix in enumerate(prefixes[rows]):
        expected = decoder_log_probs(decoder, 1, prefix[:3])
        torch.testing.assert_close(scores[k], expected)


def decoder_log_probs(decoder: Decoder, b: int, prefix: Tensor) -> Tensor:
    """Log-probabilities (V,) behind a prefix, of utterance b alone."""
    hs, length = frames()[b : b + 1, : HLENS[b]], HLENS[b : b + 1]
    ys_in, _ = decoder_labels(prefix[None], ODIM - 1)
    return F.log_softmax(decoder(hs, length, ys_in)[0], -1)[0, -1]


@pytest.mark.parametrize("dtype", CELLS)
def test_the_first_cell_is_torchs_over_embedding_and_context(dtype: str) -> None:
    kind = CELLS[dtype]
    cell = kind.module(UNITS + PROJS, UNITS).double()
    embedding, context, z, c = (
        torch.randn(3, size, dtype=torch.double)
        for size in (UNITS, PROJS, UNITS, UNITS)
    )
    found = kind.first(
        kind.project(cell, embedding),
        context,
        CellState(z, c),
        kind.prepare(cell, UNITS),
    )
    inputs = torch.cat([embedding, context], 1)
    if dtype == "lstm":
        torch.testing.assert_close(tuple(found), cell(inputs, (z, c)))
    else:
        torch.testing.assert_close(found.z, cell(inputs, z))


def test_scheduled_sampling_reads_what_the_decoder_said() -> None:
    decoder = build(sampling_probability=1.0)
    ys = torch.tensor([[1, 2, 3], [4, 5, 1]])
    ys_in, _ = decoder_labels(ys, ODIM - 1)
    plain, _ = decoder(frames(), HLENS, ys_in)  # not while it is evaluated
    decoder.train()
    sampled, _ = decoder(frames(), HLENS, ys_in)
    torch.testing.assert_close(sampled[:, 0], plain[:, 0])
    said = sampled.argmax(-1)[:, :-1]
    decoder.eval()
    ys_in, _ = decoder_labels(said, ODIM - 1)
    torch.testing.assert_close(sampled, decoder(frames(), HLENS, ys_in)[0])


def test_scheduled_sampling_follows_torchs_seed() -> None:
    decoder = build(sampling_probability=0.5).train()
    ys_in = torch.randint(1, ODIM - 1, (2, 12))
    torch.manual_seed(3)
    first = [decoder(frames(), HLENS, ys_in)[0] for _ in range(2)]
    torch.manual_seed(3)
    second = [decoder(frames(), HLENS, ys_in)[0] for _ in range(2)]
    torch.testing.assert_close(first, second)
    assert not torch.equal(*first)


def test_dropout_acts_in_training_only() -> None:
    decoder = build(dropout_rate=0.5)
    ys = torch.tensor([[1, 2, 3], [4, 5, 1]])
    torch.testing.assert_close(teacher_forced(decoder, ys), teacher_forced(decoder, ys))
    decoder.train()
    assert not torch.equal(teacher_forced(decoder, ys), teacher_forced(decoder, ys))
