"""Attention and CTC plots of a few validation utterances after each epoch."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet.asr.checks import Corpus
from espnet.data.collate import Batch, collate
from espnet.data.dataset import UtteranceReader
from espnet.nets.asr_interface import ASRInterface
from espnet.train.health import describe_attention, diagonality
from espnet.train.plot import Picture, Studio
from espnet.train.settings import Precision


class EpochPlots:
    """Orders the pictures of an epoch.

    Args:
        model: the recogniser.
        corpus: its data; the first utterances for validation are drawn.
        reader: reads their features.
        studio: draws.
        outdir: gets ``att_ws`` and ``ctc_prob``.
        precision: of the model.
        attention: number of utterances whose attention is drawn.
        ctc: the same for CTC posteriors.
    """

    def __init__(
        self,
        model: ASRInterface,
        corpus: Corpus,
        reader: UtteranceReader,
        studio: Studio,
        outdir: Path,
        precision: Precision,
        attention: int = 3,
        ctc: int = 3,
    ) -> None:
        self.model = model
        self.corpus = corpus
        self.reader = reader
        self.studio = studio
        self.outdir = outdir
        self.precision = precision
        self.attention = attention
        self.ctc = ctc
        self._has_failed = False
        self._diagonality: list[float] = []

    @cached_property
    def _batches(self) -> list[Batch]:
        """One utterance each: alone, nothing is padded."""
        chosen = list(self.corpus.valid.items())[: max(self.attention, self.ctc)]
        return [
            collate(
                [uttid],
                *([x] for x in self.reader.inputs(uttid, entry)),
                labels=[self.reader.labels(entry)],
                subsample=self.model.subsample_input,
            )
            for uttid, entry in chosen
        ]

    @torch.no_grad()
    def draw(self, epoch: int, iteration: int) -> None:
        """Order the pictures; a model that cannot give them is only told of."""
        self.model.eval()
        self._diagonality = []
        try:
            for number, batch in enumerate(self._batches):
                moved = batch.to(self.precision.device, self.precision.dtype)
                if number < self.attention:
                    self._draw_attention(moved, epoch, iteration)
                if number < self.ctc:
                    self._draw_posteriors(moved, epoch, iteration)
        except Exception as error:  # a picture must never end a training
            if not self._has_failed:
                logging.warning("no plots of attention or CTC: %r", error)
            self._has_failed = True
        finally:
            self.model.train()

    def notes(self) -> list[str]:
        """What the pictures of the last epoch show, in words."""
        return [describe_attention(self._diagonality)] if self._diagonality else []

    def _draw_attention(self, batch: Batch, epoch: int, iteration: int) -> None:
        weights = self.model.calculate_all_attentions(*batch.inputs)
        uttid = batch.uttids[0]
        tokens = [self.corpus.char_list[int(i)] for i in batch.ys[0]]
        scores = [
            score
            for name, array in weights.items()
            if "self_attn" not in name
            for head in np.atleast_3d(np.asarray(array[0]).T).T
            if (score := diagonality(head)) is not None
        ]
        self._diagonality += [max(scores)] if scores else []
        for name, array in weights.items():
            middle = f".{name}" if len(weights) > 1 else ""
            self._order(
                f"att_ws/{_file_name(uttid)}{middle}.ep.{epoch}.png",
                kind="attention",
                array=np.asarray(array[0]),
                tokens=[*tokens, "<eos>"],
                tag=f"{uttid}{middle}",
                step=iteration,
                keep_array=len(weights) == 1,
            )

    def _draw_posteriors(self, batch: Batch, epoch: int, iteration: int) -> None:
        posteriors = self.model.calculate_all_ctc_probs(*batch.inputs)
        if posteriors is None:
            return
        uttid = batch.uttids[0]
        self._order(
            f"ctc_prob/{_file_name(uttid)}.ep.{epoch}.png",
            kind="ctc",
            array=np.asarray(posteriors[0]),
            tokens=self.corpus.char_list,
            tag=f"{uttid}_ctc",
            step=iteration,
            keep_array=True,
        )

    def _order(self, name: str, **picture: Any) -> None:
        path = self.outdir / name
        self.studio.post(str(path), Picture(path=path, **picture))


def _file_name(uttid: str) -> str:
    return uttid.replace("/", "_")
