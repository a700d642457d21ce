"""Language models: ESPnet1's numbers, and facts that hold for all of them."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from lm_models import MODELS, VOCABULARY, Golden, build
from torch import Tensor

from espnet.nets.lm_interface import LMInterface
from espnet.nets.pytorch_backend.lm.seq_rnn import SequentialRNNLM
from espnet.nets.scorer_interface import BatchScorer
from espnet.utils.errors import UserError

EOS = VOCABULARY - 1
GOLDEN = ("lm_default", "lm_seq_rnn", "lm_transformer")


def inputs(sentences: list[list[int]], eos: int = EOS) -> tuple[Tensor, Tensor]:
    """What ``forward`` reads and what it shall say, padded."""
    length = max(map(len, sentences)) + 1
    x = torch.zeros(len(sentences), length, dtype=torch.long)
    t = torch.full_like(x, -100)
    for row, tokens in enumerate(sentences):
        x[row, : len(tokens) + 1] = torch.tensor([eos, *tokens])
        t[row, : len(tokens) + 1] = torch.tensor([*tokens, eos])
    return x, t


def step_by_step(model: LMInterface, tokens: list[int], eos: int = EOS) -> Tensor:
    """Log-probabilities (L + 1, V) from ``score``."""
    y, state, rows = torch.tensor([eos]), None, []
    for token in [*tokens, eos]:
        scores, state = model.score(y, state, None)
        rows.append(scores)
        y = torch.cat([y, torch.tensor([token])])
    return torch.stack(rows).detach()


@pytest.mark.parametrize("name", GOLDEN)
def test_numbers_of_espnet1(golden: Path, name: str) -> None:
    reference = Golden(golden / "models" / name)
    assert set(reference.model.state_dict()) == reference.keys
    for i, tokens in enumerate(reference.sentences):
        rows = step_by_step(reference.model, tokens, reference.eos)
        np.testing.assert_allclose(rows, reference.arrays[f"logp{i}"], rtol=1e-4)
        total = rows.gather(1, torch.tensor([*tokens, reference.eos])[:, None]).sum()
        assert total.item() == pytest.approx(
            reference.numbers[f"total_logp{i}"], rel=1e-5
        )
    first = reference.sentences[0]
    losses = reference.model(*inputs([first, first[::-1]], reference.eos))
    expected = reference.numbers["batch_loss"]
    assert [v.item() for v in losses] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_forward_equals_step_by_step(name: str) -> None:
    """The sum over a batch of unequal lengths is that of the sentences alone."""
    model = build(name)
    sentences = [[3, 4, 5, 2, 3], [5, 5], [4]]
    _, total, count = model(*inputs(sentences))
    alone = []
    for tokens in sentences:
        rows = step_by_step(model, tokens)
        targets = torch.tensor([*tokens, EOS])[:, None]
        alone.append(-rows.gather(1, targets).sum().item())
        _, nll, one_count = model(*inputs([tokens]))
        assert nll.item() == pytest.approx(alone[-1], rel=1e-4)
        assert one_count == len(tokens) + 1
    assert count == sum(len(tokens) + 1 for tokens in sentences)
    assert total.item() == pytest.approx(sum(alone), rel=1e-4)


def test_old_default_weighs_steps_by_the_share_of_sentences() -> None:
    """Without ``step_weight`` in model.json."""
    model = build("default-lstm", step_weight=None)
    sentences = [[3, 4], [5]]
    rows = [step_by_step(model, tokens) for tokens in sentences]
    a = [-rows[0][i, token].item() for i, token in enumerate((3, 4, EOS))]
    b = [-rows[1][i, token].item() for i, token in enumerate((5, EOS))]
    expected = 2 * (a[0] + b[0]) / 2 + 2 * (a[1] + b[1]) / 2 + 1 * a[2] / 2
    loss, nll, count = model(*inputs(sentences))
    assert nll.item() == pytest.approx(expected, rel=1e-5)
    assert loss.item() == pytest.approx(expected / 2, rel=1e-5)
    assert count == 5


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("prepared", [False, True])
def test_hypotheses_together_equal_alone(name: str, prepared: bool) -> None:
    """Rows that are selected, doubled and dropped score as if read anew."""
    model = build(name)
    scorer = model.scorer()
    assert isinstance(scorer, BatchScorer)
    if prepared:
        scorer = scorer.prepared()
    state = scorer.start(torch.zeros(2, 1, 0), torch.ones(2), 3)
    histories = [[EOS]] * 6
    draw = torch.Generator().manual_seed(0)
    for _ in range(40):  # beyond the first size of the Transformer's caches
        tokens = torch.tensor([h[-1] for h in histories])
        scores, state = scorer.score(tokens, state)
        for row, history in zip(scores, histories, strict=True):
            expected = step_by_step(model, history[1:])[-1]
            torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-5)
        rows = torch.randint(3, (len(histories),), generator=draw)
        rows += 3 * (torch.arange(len(rows)) // 3)  # of the same utterance
        if len(histories) == 6 and len(histories[0]) == 4:
            rows = rows[3:]
        # 0 (blank) too, which the Transformer hides from later tokens
        tokens = torch.randint(VOCABULARY - 1, (len(rows),), generator=draw)
        histories = [
            [*histories[r], t]
            for r, t in zip(rows.tolist(), tokens.tolist(), strict=True)
        ]
        state = scorer.select(state, rows, tokens)


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_sum_to_one(name: str) -> None:
    rows = step_by_step(build(name), [3, 4, 5])
    torch.testing.assert_close(rows.exp().sum(1), torch.ones(4))


def test_batch_score_equals_score() -> None:
    model = build("transformer")
    ys = torch.tensor([[EOS, 3], [EOS, 4]])
    first, states = model.batch_score(ys[:, :1], [None, None], None)
    torch.testing.assert_close(first[0], first[1])
    second, _ = model.batch_score(ys, states, None)
    torch.testing.assert_close(second[1], step_by_step(model, [4])[1])


@pytest.mark.parametrize("name", MODELS)
def test_padding_changes_nothing(name: str) -> None:
    model = build(name)
    x, t = inputs([[3, 4, 5], [5, 4, 3]])
    longer = torch.cat([x, torch.zeros(2, 4, dtype=torch.long)], 1)
    targets = torch.cat([t, torch.full((2, 4), -100)], 1)
    for ours, theirs in zip(model(longer, targets), model(x, t), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", MODELS)
def test_trains(name: str) -> None:
    """The loss falls on one batch, with dropout, and every parameter takes part."""
    model = build(name, dropout_rate=0.1, emb_dropout_rate=0.1)
    assert isinstance(model, torch.nn.Module)
    model.train()
    batch = inputs([[3, 4, 5, 3], [5, 4]])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        loss, _, _ = model(*batch)
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    assert sum(losses[-10:]) / 10 < 0.7 * losses[0]  # dropout makes single ones jump
    assert all(p.grad is not None for p in model.parameters())


def test_tied_weights_are_one() -> None:
    model = build("default-gru-tied")
    state = model.state_dict()  # type: ignore[attr-defined]
    assert state["predictor.lo.weight"].equal(state["predictor.embed.weight"])
    predictor = model.predictor  # type: ignore[attr-defined]
    assert predictor.lo.weight is predictor.embed.weight


def test_old_seq_rnn_carries_states_along_the_batch() -> None:
    """Without ``recurrence`` in model.json; its single sentences have no history."""
    model = build("seq_rnn-lstm", recurrence=None)
    new = build("seq_rnn-lstm")
    batch = inputs([[3, 4], [5, 5]])
    assert not torch.isclose(model(*batch)[1], new(*batch)[1])
    turned = copy.deepcopy(batch)
    one = model(*(part[:, :1] for part in turned))
    expected = new(turned[0][:, :1].T, turned[1][:, :1].T)
    torch.testing.assert_close(one[1], expected[1])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("default-lstm", {"type": "rnn"}, "type: 'rnn' is none of lstm, gru"),
        ("seq_rnn-lstm", {"type": "blstm"}, r"'blstm' is none of .* mean 'lstm'\?"),
        ("seq_rnn-lstm", {"recurrence": "axis"}, "recurrence: 'axis' is none of"),
        ("transformer", {"pos_enc": "abs"}, "pos-enc: 'abs' is none of sinusoidal"),
        ("default-lstm", {"unit": 0}, "unit: 0 must be 1 or more"),
        ("default-lstm", {"dropout_rate": 1.0}, r"dropout-rate: 1.0 must lie in \[0"),
        ("default-lstm", {"tie_weights": True}, r"embed-unit \(4\) equal to unit \(6"),
        ("transformer", {"tie_weights": True}, r"att-unit \(6\) equal to embed-unit"),
        ("transformer", {"head": 4}, "head: 4 heads cannot share att-unit 6"),
        ("transformer", {"att_unit": 9, "head": 3}, "att-unit: 9 must be even"),
    ],
)
def test_sizes_that_do_not_fit(name: str, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(name, **options)


def test_a_plug_in_may_score_one_hypothesis_only() -> None:
    """As those of ESPnet1 do; one that has neither form says so."""

    class Plain(torch.nn.Module, LMInterface):
        def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return x, x, x

    model = Plain()
    assert model.scorer() is model
    with pytest.raises(UserError) as caught:
        model.score(torch.tensor([1]), None, None)
    message = str(caught.value)
    assert message.startswith(f"language model {__name__}:") and message.endswith(
        "Plain has no score(y, state, x): write it, or a scorer() that returns a "
        "BatchScorer"
    )
    assert issubclass(SequentialRNNLM, LMInterface)
