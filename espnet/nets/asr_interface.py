"""What training, search and reports ask of a recogniser."""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from espnet.nets.beam_search import Scorer
from espnet.nets.ctc_prefix_score import CTCPrefixScorer
from espnet.nets.decode import make_search
from espnet.nets.encoder_stream import EncoderStream
from espnet.nets.pytorch_backend.packing import ready
from espnet.nets.search_options import SearchOptions
from espnet.nets.search_rules import RULES, SearchRules
from espnet.utils.options import add_options, read_config

ENCODER_NAMES = ("enc", "encoder")  # of encoders in models


class ASRInterface(torch.nn.Module, ABC):
    """A recogniser ``E2E(idim, odim, args)``.

    Ids: 0 is blank, ``odim - 1`` is both start and end symbol, -1 pads labels.

    Attributes:
        Config: the frozen dataclass of the model's options.
        reported: the values of the last ``forward`` for the log (``loss``,
            ``loss_ctc``, ``loss_att``, ``acc``, ``cer_ctc``, ``cer``, ``wer``); one
            that is not defined for the model is absent. Tensors in it are detached.
        eos: id of the start and end symbol.
        subsample_input: only every such frame of the input is used; the collator drops
            the others when it builds a batch.
        beside: scorers of other models, by name, for the search in validation.
        v1_rules: names in ``RULES`` of what ``--api v1`` stands for: when utterances
            are decoded one at a time, and in batches.
    """

    Config: ClassVar[type]
    reported: dict[str, float | Tensor]
    beside: Mapping[str, Scorer]
    eos: int
    subsample_input: int = 1
    v1_rules: ClassVar[tuple[str, str]] = ("v1", "v1 batch")

    def __init__(self) -> None:
        super().__init__()
        self.reported = {}
        self.beside = {}

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
        """Add the model's own options to a parser."""
        add_options(parser, cls.Config, f"options of {cls.__module__}")
        return parser

    @classmethod
    def build(cls, idim: int, odim: int, **options: Any) -> ASRInterface:
        """The model with default options but for those given."""
        return cls(idim, odim, Namespace(**options))  # type: ignore[call-arg]

    @classmethod
    def check_new(cls, args: Namespace) -> None:
        """Refuse options that stored models may have, but no new one should.

        Raises:
            UserError: there are such.
        """

    def prepared(self) -> ASRInterface:
        """A twin for decoding, that shares the parameters but has a packed encoder.

        It keeps the encoder's weights of now; scorers have :meth:`prepared` methods of
        their own, which searches call.
        """
        twin = copy(self)
        twin._modules = {
            name: part if part is None or name not in ENCODER_NAMES else ready(part)
            for name, part in self._modules.items()
        }
        return twin

    @abstractmethod
    def forward(self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor) -> Tensor:
        """The training loss of a batch, a scalar; fills ``reported``.

        Args:
            xs_pad: features (B, T, D), zeros behind each length.
            ilens: valid frames (B,); best on the CPU, wherever the features are.
            ys_pad: labels (B, L), padded with -1; likewise.
        """

    @abstractmethod
    def encode_batch(self, xs_pad: Tensor, ilens: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder output (B, T', E) and its lengths (B,)."""

    @torch.no_grad()
    def encode(self, x: Tensor | np.ndarray) -> Tensor:
        """Encoder output (T', E) of one utterance's features (T, D)."""
        return self.encode_list([x])[0][0]

    def encoder_stream(self) -> EncoderStream | None:
        """The encoder for one utterance that comes piece by piece, with state carried.

        None for encoders that can read whole utterances only.
        """
        return None

    @abstractmethod
    def scorers(self) -> Mapping[str, Scorer]:
        """The parts that a search weighs: ``decoder`` and ``ctc``, where they exist, or
        ``transducer``."""

    def ctc_log_probs(self, memory: Tensor) -> Tensor | None:
        """CTC log-posteriors (B, T', V) of encoder output; None without CTC."""
        ctc = self.scorers().get("ctc")
        if not isinstance(ctc, CTCPrefixScorer):
            return None
        return ctc.ctc.log_softmax(memory)

    def recognize(
        self,
        x: Tensor | np.ndarray,
        recog_args: Namespace | SearchOptions,
        char_list: Sequence[str] | None = None,
        rnnlm: Scorer | None = None,
    ) -> list[dict[str, Any]]:
        """The n-best outputs of one utterance; see :meth:`recognize_batch`."""
        return self._recognize([x], recog_args, rnnlm, batched=False)[0]

    def recognize_batch(
        self,
        xs: Sequence[Tensor | np.ndarray],
        recog_args: Namespace | SearchOptions,
        char_list: Sequence[str] | None = None,
        rnnlm: Scorer | None = None,
    ) -> list[list[dict[str, Any]]]:
        """Search with the model's own scorers, as ESPnet1's models offer it.

        With ``--api v1`` the rules are those of batches, see :attr:`v1_rules`.

        Args:
            xs: features (T, D) of each utterance.
            recog_args: values of :class:`SearchOptions`.
            char_list: the tokens by id, if they are at hand; the search needs ids only.
            rnnlm: a scorer of weight ``lm_weight``.

        Returns:
            For each utterance, best first: ``{"yseq": [sos, ..., eos], "score": x}``.
        """
        return self._recognize(xs, recog_args, rnnlm, batched=True)

    def search_rules(self, api: str, batched: bool) -> SearchRules:
        """The rules of a search of this model."""
        return RULES[self.v1_rules[batched] if api == "v1" else api]

    @torch.no_grad()
    def _recognize(
        self,
        xs: Sequence[Tensor | np.ndarray],
        recog_args: Namespace | SearchOptions,
        rnnlm: Scorer | None,
        batched: bool,
    ) -> list[list[dict[str, Any]]]:
        scorers: dict[str, Scorer] = {**self.scorers()}
        if rnnlm is not None:
            scorers["lm"] = rnnlm
        options = read_config(SearchOptions, recog_args)
        rules = self.search_rules(options.api, batched)
        search = make_search(scorers, self.eos + 1, options, rules)
        outcomes = search(*self.encode_list(xs))
        return [[hyp.asdict() for hyp in outcome.nbest] for outcome in outcomes]

    @torch.no_grad()
    def encode_list(self, xs: Sequence[Tensor | np.ndarray]) -> tuple[Tensor, Tensor]:
        """Encoder output (B, T', E) and lengths (B,) of a list of features (T, D)."""
        reference = next(self.parameters())
        used = [torch.as_tensor(x).to(reference)[:: self.subsample_input] for x in xs]
        ilens = torch.tensor([len(x) for x in used])
        order = ilens.argsort(descending=True, stable=True)  # as batches in training
        xs_pad = pad_sequence([used[i] for i in order.tolist()], batch_first=True)
        hs, hlens = self.encode_batch(xs_pad, ilens[order])
        back = order.argsort()
        return hs[back.to(hs.device)], hlens[back.to(hlens.device)]

    def calculate_all_attentions(
        self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor
    ) -> dict[str, np.ndarray]:
        """Attention weights by name, each (B, L, T') or (B, H, L, T'); {} if none."""
        return {}

    def calculate_all_ctc_probs(
        self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor
    ) -> np.ndarray | None:
        """CTC posteriors (B, T', V), or None for a model without CTC."""
        return None

    def get_total_subsampling_factor(self) -> int:
        """Input frames per encoder frame."""
        return self.subsample_input
