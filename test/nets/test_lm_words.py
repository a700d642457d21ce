"""Word language models over characters, against sums over all words."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from espnet.nets.pytorch_backend.lm.default import DefaultRNNLM
from espnet.nets.scorers.lm import LMScorer
from espnet.nets.scorers.word_lm import LookAheadWordLM, MultiLevelLM, WordScorer
from espnet.nets.scorers.word_tree import OUTSIDE, ROOT, WordTree
from espnet.utils.errors import UserError

CHARS = ["<blank>", "<unk>", "<space>", "a", "b", "c", "<eos>"]
SPACE, A, B, C, EOS = 2, 3, 4, 5, 6
# in the order of text2vocabulary.py; "ab'" and "abd" cannot be spelled
LISTED = ("a", "ab", "ab'", "abc", "abd", "ca", "cb")
WORDS = {w: i for i, w in enumerate(["<blank>", "<unk>", *LISTED, "<eos>"])}
SPELLED = [w for w in LISTED if set(w) <= set("abc")]
LOWEST = math.log(1e-10)


def word_model(words: dict[str, int] = WORDS) -> DefaultRNNLM:
    torch.manual_seed(5)
    model = DefaultRNNLM(len(words), Namespace(unit=5, dropout_rate=0.0))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model.eval()


def char_model() -> DefaultRNNLM:
    torch.manual_seed(6)
    model = DefaultRNNLM(len(CHARS), Namespace(unit=4, dropout_rate=0.0))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model.eval()


def next_log_probs(model: DefaultRNNLM, tokens: Sequence[int], eos: int) -> Tensor:
    """Of all that follows ``tokens``, read from the beginning."""
    x = torch.tensor([[eos, *tokens]])
    with torch.no_grad():
        return model.predictor(x)[0, -1].log_softmax(-1)


def split(history: Sequence[int]) -> tuple[list[int], str]:
    """The words of a history of characters, and the letters behind its last space."""
    *words, letters = "".join(CHARS[i] for i in history).split("<space>")
    return [WORDS[w if w in SPELLED else "<unk>"] for w in words], letters


def look_ahead(history: Sequence[int]) -> list[float]:
    """The scores by their definition."""
    words, letters = split(history)
    probs = next_log_probs(word_model(), words, WORDS["<eos>"]).double().exp()

    def begin(start: str) -> float:
        """Words that begin so, and as in ESPnet1 those listed between them."""
        places = [LISTED.index(w) for w in SPELLED if w.startswith(start)]
        between = LISTED[places[0] : places[-1] + 1]
        return sum(float(probs[WORDS[w]]) for w in between)

    def spelled(start: str) -> bool:
        return any(w.startswith(start) for w in SPELLED)

    if letters and not spelled(letters):
        return [0.0] * len(CHARS)
    mass = begin(letters) if letters else 1.0
    unknown = float(probs[WORDS["<unk>"]]) * 1e-4
    scores = []
    for token, char in enumerate(CHARS):
        if token in (SPACE, EOS):
            p = unknown if letters else 1e-10
            if letters in SPELLED:
                p = float(probs[WORDS[letters]]) / mass
        elif spelled(letters + char):
            p = begin(letters + char) / mass
        else:
            p = unknown
        scores.append(math.log(max(p, 1e-10)))
    return scores


def multi_level(history: Sequence[int]) -> list[float]:
    """The scores by their definition."""
    words, letters = split(history)
    known = next_log_probs(word_model(), words, WORDS["<eos>"])
    begin = len(history) - len(letters)
    inside = sum(
        0.8 * float(next_log_probs(char_model(), history[:i], EOS)[history[i]])
        for i in range(begin, len(history))
    )
    scores = (0.8 * next_log_probs(char_model(), history, EOS)).tolist()
    border = -1e10
    if letters in SPELLED:
        border = float(known[WORDS[letters]]) - inside
    elif letters:
        border = float(known[WORDS["<unk>"]])
    scores[SPACE] = scores[EOS] = border
    return scores


def scorer(kind: str) -> WordScorer:
    words = word_model().predictor
    if kind == "look-ahead":
        return LookAheadWordLM(words, WORDS, CHARS)
    return MultiLevelLM(words, WORDS, CHARS, subwords=LMScorer(char_model().predictor))


REFERENCE = {"look-ahead": look_ahead, "multi-level": multi_level}
KINDS = pytest.mark.parametrize("kind", REFERENCE)


@KINDS
def test_scores_by_definition(kind: str) -> None:
    """Hypotheses that branch, end words at unequal times, leave the word list."""
    tested = scorer(kind)
    state = tested.start(torch.zeros(2, 1, 0), torch.ones(2), 4)
    histories: list[list[int]] = [[]] * 8
    draw = torch.Generator().manual_seed(1)
    weights = torch.tensor([0.02, 0.02, 0.5, 0.6, 0.5, 0.3, 0.0])
    for step in range(12):
        newest = torch.tensor([h[-1] if h else EOS for h in histories])
        scores, state = tested.score(newest, state)
        expected = torch.tensor([REFERENCE[kind](h) for h in histories])
        torch.testing.assert_close(scores.float(), expected, rtol=1e-4, atol=1e-4)
        finals = tested.final_score(state, torch.arange(len(histories)))
        for history, final in zip(histories, finals.tolist(), strict=True):
            words, _ = split([*history, SPACE])
            end = next_log_probs(word_model(), words, WORDS["<eos>"])[WORDS["<eos>"]]
            assert final == pytest.approx(float(end), rel=1e-4)
        rows = torch.randint(len(histories), (len(histories),), generator=draw)
        if step == 5:
            rows = rows[:4]
        tokens = weights.expand(len(rows), -1).multinomial(1, generator=draw)[:, 0]
        histories = [
            [*histories[r], t]
            for r, t in zip(rows.tolist(), tokens.tolist(), strict=True)
        ]
        state = tested.select(state, rows, tokens)


@KINDS
def test_letters_of_a_word_sum_to_the_word(kind: str) -> None:
    """log p(a) + log p(b | a) + log p(space | ab) is the word model's log p(ab)."""
    tested = scorer(kind)
    known = next_log_probs(word_model(), [], WORDS["<eos>"])
    for word in SPELLED:
        state = tested.start(torch.zeros(1, 1, 0), torch.ones(1), 1)
        total, newest = 0.0, EOS
        for token in [*(CHARS.index(c) for c in word), SPACE]:
            scores, state = tested.score(torch.tensor([newest]), state)
            total += float(scores[0, token])
            state = tested.select(state, torch.tensor([0]), torch.tensor([token]))
            newest = token
        assert total == pytest.approx(float(known[WORDS[word]]), rel=1e-4)


def test_words_that_are_not_sorted() -> None:
    """A list in another order gives the same, where ESPnet1 needs it sorted."""
    shuffled = ("cb", "abd", "a", "ca", "ab'", "abc", "ab")
    words = {w: i for i, w in enumerate(["<blank>", "<unk>", *shuffled, "<eos>"])}
    order = torch.tensor([WORDS[w] for w in words])
    model = word_model()
    for weights in (model.predictor.embed, model.predictor.lo):
        weights.weight.data = weights.weight[order]
    model.predictor.lo.bias.data = model.predictor.lo.bias[order]
    found = []
    for tested in (
        LookAheadWordLM(model.predictor, words, CHARS),
        LookAheadWordLM(word_model().predictor, WORDS, CHARS),
    ):
        state = tested.start(torch.zeros(1, 1, 0), torch.ones(1), 1)
        for token in (EOS, A, B):
            scores, state = tested.score(torch.tensor([token]), state)
        found.append(scores)
    torch.testing.assert_close(*found)


def test_tree() -> None:
    tokens = {c: i for i, c in enumerate(CHARS)}
    tree = WordTree(WORDS, tokens, {"<blank>", "<unk>", "<eos>"})
    root, outside = torch.tensor([ROOT]), torch.tensor([OUTSIDE])
    a = tree.step(root, torch.tensor([A]))
    assert int(tree.sorted_ids[tree.word[a]]) == WORDS["a"]
    assert (int(tree.low[a]), int(tree.high[a])) == (0, 4)  # from a to abc
    assert tree.step(a, torch.tensor([C])) == OUTSIDE
    assert tree.step(outside, torch.tensor([A])) == OUTSIDE
    rows, letters, _ = tree.children(torch.tensor([ROOT, int(a)]))
    assert list(zip(rows.tolist(), letters.tolist(), strict=True)) == [
        *[(0, A), (0, C)],
        (1, B),
    ]
    empty = WordTree({"<unk>": 1}, tokens, {"<unk>"})
    assert empty.step(root, torch.tensor([A])) == OUTSIDE


@pytest.mark.parametrize(
    ("chars", "words", "message"),
    [
        (["<blank>", "a", "<eos>"], WORDS, "needs a recogniser of characters.*--rnnlm"),
        (CHARS, {"<eos>": 0, "a": 1}, "its dictionary lacks '<unk>'"),
        (CHARS, {"<unk>": 0, "a": 1}, "its dictionary lacks '<eos>'"),
    ],
)
def test_what_cannot_be(chars: list[str], words: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        LookAheadWordLM(word_model().predictor, words, chars)
