"""The RNN recogniser: encoder, CTC and attention decoder (Watanabe et al., 2017)."""

from __future__ import annotations

import logging
import math
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.asr_interface import ASRInterface
from espnet.nets.ctc_prefix_score import CTCPrefixScorer
from espnet.nets.pytorch_backend.ctc import CTC
from espnet.nets.pytorch_backend.hybrid import (
    ErrorRates,
    accuracy,
    combine,
    unigram_shares,
    validation_search,
)
from espnet.nets.pytorch_backend.initialization import lecun_normal, open_forget_gates
from espnet.nets.pytorch_backend.nets_utils import (
    IGNORE,
    check_features,
    decoder_labels,
    evaluating,
    label_lengths,
)
from espnet.nets.pytorch_backend.rnn.attentions import ATTENTIONS
from espnet.nets.pytorch_backend.rnn.attentions.base import AttentionSizes
from espnet.nets.pytorch_backend.rnn.decoders import Decoder
from espnet.nets.pytorch_backend.rnn.encoders import Encoder
from espnet.nets.pytorch_backend.rnn.options import (
    ENCODERS,
    RNNOptions,
    check_subsample_length,
    subsampling,
)
from espnet.nets.pytorch_backend.rnn.streaming import RNNStream
from espnet.nets.pytorch_backend.sharing import shared_count
from espnet.nets.scorer_interface import BatchScorer, PartialScorer
from espnet.utils.options import read_config


class E2E(ASRInterface):
    """The RNN recogniser; names and shapes of its parameters are those of ESPnet1.

    Args:
        idim: dimension D of the features.
        odim: symbols V, blank first, start and end symbol last.
        args: values of :class:`RNNOptions`; what is missing takes its default.
    """

    Config = RNNOptions

    def __init__(self, idim: int, odim: int, args: Namespace) -> None:
        super().__init__()
        options = read_config(RNNOptions, args)
        self.options = options
        self.idim = idim
        self.eos = odim - 1
        steps = subsampling(options.subsample, options.etype, options.elayers)
        self.subsample_input = steps[0]
        self.total_subsampling = 4 if ENCODERS[options.etype].vgg else math.prod(steps)
        self.enc = Encoder(
            options.etype,
            *(idim, options.elayers, options.eunits, options.eprojs),
            *(steps[1:], options.dropout_rate),
        )
        self.ctc = CTC(odim, options.eprojs, options.dropout_rate)
        attention = ATTENTIONS[options.atype](
            AttentionSizes(
                *(options.eprojs, options.dunits, options.adim),
                *(options.aheads, options.awin),
                *(options.aconv_chans, options.aconv_filts),
            )
        )
        self.att = nn.ModuleList([attention])  # again as dec.att, as in ESPnet1's files
        self.dec = Decoder(
            *(odim, options.eprojs, options.dtype, options.dlayers, options.dunits),
            attention,
            context_residual=options.context_residual,
            dropout_rate=options.dropout_rate_decoder,
            sampling_probability=options.sampling_probability,
        )
        lecun_normal(self)
        nn.init.normal_(self.dec.embed.weight)
        open_forget_gates(self.dec.decoder)
        # what no loss reaches must not wait for gradients (DistributedDataParallel)
        self.ctc.requires_grad_(options.mtlalpha > 0.0)
        self.dec.requires_grad_(options.mtlalpha < 1.0)
        self.error_rates = None
        if options.char_list:  # else there is no text to compare
            self.error_rates = ErrorRates(
                options.char_list, options.sym_space, options.sym_blank
            )
        self.symbol_shares: Tensor | None = None
        self.warned = False

    @classmethod
    def check_new(cls, args: Namespace) -> None:
        """See :meth:`ASRInterface.check_new`."""
        options = read_config(cls.Config, args)
        check_subsample_length(options.subsample, options.etype, options.elayers)

    def forward(self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor) -> Tensor:
        """See :meth:`ASRInterface.forward`.

        Lengths and labels are best left on the CPU, where they are looked at first. CTC
        comes last, for its loss and its best path wait for the GPU.
        """
        ys_pad = ys_pad.cpu()
        hs, hlens = self._encode(xs_pad, ilens)
        loss_ctc = loss_att = path = None
        self.reported = {}
        if self.options.mtlalpha < 1.0:
            loss_att, self.reported["acc"] = self._attention_loss(hs, hlens, ys_pad)
        if self.options.mtlalpha > 0.0:
            loss_ctc, path = self.ctc(hs, hlens, ys_pad)
        loss = combine(self.options.mtlalpha, loss_ctc, loss_att)
        for name, value in (
            ("loss", loss),
            ("loss_ctc", loss_ctc),
            ("loss_att", loss_att),
        ):
            if value is not None:
                self.reported[name] = value.detach()
        self._report_error_rates(path, hs, hlens, ys_pad)
        return loss

    def _encode(self, xs_pad: Tensor, ilens: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder output (B, T', E), and its lengths (B,) on the CPU."""
        ilens = ilens.cpu()
        check_features(xs_pad, ilens, self.idim)
        return self.enc(xs_pad[:, : int(ilens.max())], ilens)

    def _attention_loss(
        self, hs: Tensor, hlens: Tensor, ys_pad: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Loss and accuracy of the decoder; hlens and ys_pad on the CPU."""
        ys_in, ys_out = decoder_labels(ys_pad, self.eos)
        ys_in, ys_out = (ys.to(hs.device, non_blocking=True) for ys in (ys_in, ys_out))
        logits, _ = self.dec(hs, hlens, ys_in)
        loss = F.cross_entropy(
            *(logits.flatten(0, 1), ys_out.flatten()),
            ignore_index=IGNORE,
            reduction="sum",
        )
        # the mean over labels and end symbols, times the mean number of labels
        labels = int(label_lengths(ys_pad).sum())
        utterances = shared_count(len(logits))
        labels_each = shared_count(labels) / utterances
        loss = loss * labels_each / shared_count(labels + len(logits))
        unigram = self._unigram(logits)
        if unigram is not None:
            # ESPnet1 also summed over the padding of the shorter label sequences
            rows = (F.log_softmax(logits, -1) @ unigram)[ys_out != IGNORE]
            weight = self.options.lsm_weight
            loss = (1.0 - weight) * loss - weight * rows.sum() / utterances
        return loss, accuracy(logits.detach(), ys_out)

    def _unigram(self, like: Tensor) -> Tensor | None:
        """The symbols' shares (V,) to smooth with, counted at the first use."""
        if self.options.lsm_type != "unigram" or self.options.lsm_weight == 0.0:
            return None
        if self.symbol_shares is None:
            path = self.options.train_json
            if not (path and Path(path).is_file()):
                if not self.warned:
                    logging.warning(
                        "lsm-type unigram: labels are not smoothed, for there is no"
                        " file '%s' (train-json)",
                        path,
                    )
                self.warned = True
                return None
            self.symbol_shares = unigram_shares(path, self.eos + 1)
        self.symbol_shares = self.symbol_shares.to(like)
        return self.symbol_shares

    def _report_error_rates(
        self,
        path: Tensor | None,
        hs: Tensor,
        hlens: Tensor,
        ys_pad: Tensor,
    ) -> None:
        """Report cer_ctc of the best CTC path, and in validation cer and wer."""
        rates = self.error_rates
        if rates is None:
            return
        found: dict[str, float | None] = {}
        if path is not None:
            found["cer_ctc"] = rates.ctc(path.cpu(), hlens, ys_pad)
        if not self.training and (self.options.report_cer or self.options.report_wer):
            scorers = {**self.scorers(), **self.beside}
            search = validation_search(scorers, self.eos + 1, self.options)
            outcomes = search(hs.detach(), hlens.to(hs.device))
            heard = [
                [i for i in outcome.nbest[0].yseq if i != self.eos]
                for outcome in outcomes
            ]
            said = [row[row != IGNORE].tolist() for row in ys_pad]
            if self.options.report_cer:
                found["cer"] = rates.characters(heard, said)
            if self.options.report_wer:
                found["wer"] = rates.words(heard, said)
        self.reported.update((k, v) for k, v in found.items() if v is not None)

    def encode_batch(self, xs_pad: Tensor, ilens: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`ASRInterface.encode_batch`."""
        hs, hlens = self._encode(xs_pad, ilens)
        return hs, hlens.to(hs.device)

    def encoder_stream(self) -> RNNStream:
        """See :meth:`ASRInterface.encoder_stream`."""
        return RNNStream(self.enc, self.subsample_input, self.total_subsampling)

    def scorers(self) -> dict[str, BatchScorer | PartialScorer]:
        """``decoder`` and ``ctc``, but not what ``mtlalpha`` leaves untrained."""
        scorers: dict[str, BatchScorer | PartialScorer] = {}
        if self.options.mtlalpha < 1.0:
            scorers["decoder"] = self.dec
        if self.options.mtlalpha > 0.0:
            scorers["ctc"] = CTCPrefixScorer(self.ctc, self.eos)
        return scorers

    def calculate_all_attentions(
        self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor
    ) -> dict[str, np.ndarray]:
        """Weights ``att`` (B, U, T') or (B, H, U, T'); U = L + 1, end symbol last."""
        if self.options.mtlalpha == 1.0:
            return {}
        with evaluating(self):
            hs, hlens = self._encode(xs_pad, ilens)
            ys_in, _ = decoder_labels(ys_pad.to(hs.device), self.eos)
            _, weights = self.dec(hs, hlens, ys_in)
        if weights.dim() == 4:
            weights = weights.transpose(1, 2)
        return {"att": weights.cpu().numpy()}

    def calculate_all_ctc_probs(
        self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor
    ) -> np.ndarray | None:
        """See :meth:`ASRInterface.calculate_all_ctc_probs`."""
        if self.options.mtlalpha == 0.0:
            return None
        with evaluating(self):
            return self.ctc.softmax(self._encode(xs_pad, ilens)[0]).cpu().numpy()

    def get_total_subsampling_factor(self) -> int:
        """See :meth:`ASRInterface.get_total_subsampling_factor`."""
        return self.total_subsampling
