"""The training step of CTC/attention recognisers (Watanabe et al., 2017)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from espnet.nets.beam_search import Scorer
from espnet.nets.decode import Search, make_search
from espnet.nets.pytorch_backend.ctc import BLANK, collapsed
from espnet.nets.pytorch_backend.nets_utils import IGNORE
from espnet.nets.pytorch_backend.options import HybridOptions
from espnet.nets.pytorch_backend.sharing import shared_count
from espnet.nets.search_options import SearchOptions
from espnet.utils.options import read_config


def combine(
    mtlalpha: float,
    loss_ctc: Tensor | None,
    loss_att: Tensor | None,
    loss_intermediate: Tensor | None = None,
    intermediate_weight: float = 0.0,
) -> Tensor:
    """mtlalpha CTC + (1 - mtlalpha) attention; a loss of weight 0 may be missing.

    CTC of intermediate layers, where there is one, takes its weight from the attention
    loss, or from that of CTC if there is no attention (Lee and Watanabe, 2021).
    """
    if loss_ctc is None or mtlalpha == 0.0:
        assert loss_att is not None
        return loss_att
    if loss_intermediate is None:
        intermediate_weight = 0.0
    if loss_att is None or mtlalpha == 1.0:
        loss = (1.0 - intermediate_weight) * loss_ctc
    else:
        attention_weight = 1.0 - mtlalpha - intermediate_weight
        loss = mtlalpha * loss_ctc + attention_weight * loss_att
    if loss_intermediate is not None:
        loss = loss + intermediate_weight * loss_intermediate
    return loss


def accuracy(logits: Tensor, ys_out: Tensor) -> Tensor:
    """Share of labels (B, U), with end symbols, that logits (B, U, V) have right."""
    valid = ys_out != IGNORE
    right = (logits.argmax(-1) == ys_out) & valid
    return right.sum() / shared_count(valid.sum())


class ErrorRates:
    """Character and word error rates for training reports.

    Args:
        char_list: the symbols by id.
        space: the symbol that stands for a space.
        blank: the symbol that is left out.
    """

    def __init__(self, char_list: Sequence[str], space: str, blank: str) -> None:
        self.char_list = list(char_list)
        self.space = space
        self.blank = blank

    def text(self, ids: Iterable[int]) -> str:
        """The text that symbol ids stand for."""
        text = "".join(self.char_list[i] for i in ids)
        return text.replace(self.blank, "").replace(self.space, " ")

    def ctc(self, path: Tensor, hlens: Tensor, ys_pad: Tensor) -> float | None:
        """Character error rate of the best CTC path, the mean over utterances.

        Args:
            path: the most likely symbol of each frame (B, T), on the CPU.
            hlens: valid frames (B,).
            ys_pad: labels (B, L), padded with -1.

        Returns:
            None where all references are empty.
        """
        rates = []
        for ids, labels in zip(collapsed(path, hlens), ys_pad, strict=True):
            heard = self.text(ids).replace(" ", "")
            said = self.text(labels[labels != IGNORE].tolist()).replace(" ", "")
            if said:
                rates.append(Levenshtein.distance(heard, said) / len(said))
        count = shared_count(len(rates))
        return sum(rates) / count if count else None

    def characters(
        self, hypotheses: Iterable[Sequence[int]], references: Iterable[Sequence[int]]
    ) -> float | None:
        """Edits per reference character over all utterances; spaces do not count."""
        return self._rate(
            hypotheses, references, lambda text: list(text.replace(" ", ""))
        )

    def words(
        self, hypotheses: Iterable[Sequence[int]], references: Iterable[Sequence[int]]
    ) -> float | None:
        """Edits per reference word over all utterances."""
        return self._rate(hypotheses, references, str.split)

    def _rate(
        self,
        hypotheses: Iterable[Sequence[int]],
        references: Iterable[Sequence[int]],
        units: Callable[[str], list[str]],
    ) -> float | None:
        edits = total = 0
        for heard, said in zip(hypotheses, references, strict=True):
            reference = units(self.text(said))
            edits += Levenshtein.distance(units(self.text(heard)), reference)
            total += len(reference)
        count = shared_count(total)
        return edits / count if count else None


def validation_search(
    scorers: Mapping[str, Scorer], odim: int, options: HybridOptions
) -> Search:
    """The search that error rates in validation come from.

    A model without CTC or without attention decoder searches with what it has.
    """
    chosen = read_config(SearchOptions, asdict(options))
    if "ctc" not in scorers:
        chosen = replace(chosen, ctc_weight=0.0)
    return make_search(scorers, odim, chosen)


def unigram_shares(train_json: str | Path, odim: int) -> Tensor:
    """Share of each symbol (V,) in the training labels, to smooth labels with.

    An utterance counts each of its symbols once, and the end symbol once. Symbols never
    seen count as seen once; the blank has share 0.
    """
    with open(train_json, encoding="utf-8") as file:
        utterances = json.load(file)["utts"].values()
    counts = torch.zeros(odim)
    for utterance in utterances:
        ids = {int(i) for i in utterance["output"][0]["tokenid"].split()}
        counts[[*(ids - {odim - 1}), odim - 1]] += 1
    counts.clamp_(min=1)
    counts[BLANK] = 0
    return counts / counts.sum()
