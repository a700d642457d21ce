"""The Transducer recogniser (Graves, 2012; Boyer et al., 2021)."""

from __future__ import annotations

import logging
import math
from argparse import Namespace
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from espnet.nets.asr_interface import ASRInterface
from espnet.nets.beam_search import Scorer
from espnet.nets.decode import make_search
from espnet.nets.pytorch_backend.hybrid import ErrorRates
from espnet.nets.pytorch_backend.initialization import lecun_normal
from espnet.nets.pytorch_backend.nets_utils import IGNORE, check_features, evaluating
from espnet.nets.pytorch_backend.rnn.options import (
    ENCODERS,
    check_subsample_length,
    subsampling,
)
from espnet.nets.pytorch_backend.transducer.blocks import windows
from espnet.nets.pytorch_backend.transducer.custom_decoder import custom_decoder
from espnet.nets.pytorch_backend.transducer.custom_encoder import custom_encoder
from espnet.nets.pytorch_backend.transducer.options import (
    INPUT_LAYERS,
    TransducerOptions,
)
from espnet.nets.pytorch_backend.transducer.prediction import PredictionNetwork
from espnet.nets.pytorch_backend.transducer.rnn_decoder import RNNDecoder
from espnet.nets.pytorch_backend.transducer.rnn_encoder import Outputs, RNNEncoder
from espnet.nets.pytorch_backend.transducer.scorer import ModelScorer
from espnet.nets.pytorch_backend.transducer.tasks import Labels, TransducerTasks
from espnet.nets.pytorch_backend.transformer.recording import recording
from espnet.nets.search_options import SearchOptions
from espnet.utils.options import read_config

VALIDATION_BEAM = 2


class E2E(ASRInterface):
    """The Transducer; names and shapes of its parameters are those of ESPnet1.

    Args:
        idim: dimension D of the features; with the input layer ``embed``, of tokens.
        odim: symbols V, blank first.
        args: values of :class:`TransducerOptions`; what is missing takes its default.
    """

    Config: ClassVar[type[TransducerOptions]] = TransducerOptions

    def __init__(self, idim: int, odim: int, args: Namespace) -> None:
        super().__init__()
        options = read_config(self.Config, args)
        self.options = options
        self.idim = idim
        self.eos = odim - 1
        if options.custom_encoder:
            self.encoder = custom_encoder(options, idim)
        else:
            steps = subsampling(options.subsample, options.etype, options.elayers)
            self.subsample_input = steps[0]
            self.enc = RNNEncoder(
                options.etype,
                *(idim, options.elayers, options.eunits, options.eprojs),
                *(steps[1:], options.dropout_rate, options.auxiliary_layers()),
            )
            lecun_normal(self.enc)
        if options.custom_decoder:
            self.decoder = custom_decoder(options, odim)
        else:
            self.dec = RNNDecoder(
                *(odim, options.dec_embed_dim, options.dtype),
                *(options.dlayers, options.dunits),
                options.dropout_rate_decoder,
                options.dropout_rate_embed_decoder,
            )
            lecun_normal(self.dec)
            self.dec.initialise()
        self.transducer_tasks = TransducerTasks(options, odim)
        self.error_rates = None
        if options.char_list and (options.report_cer or options.report_wer):
            self.error_rates = ErrorRates(
                options.char_list, options.sym_space, options.sym_blank
            )

    @property
    def prediction(self) -> PredictionNetwork:
        """The part that reads labels."""
        return self.decoder if self.options.custom_decoder else self.dec

    @classmethod
    def check_new(cls, args: Namespace) -> None:
        """See :meth:`ASRInterface.check_new`."""
        options = read_config(cls.Config, args)
        for name, blocks, used, switch in (
            ("enc", options.enc_block_arch, options.custom_encoder, "etype"),
            ("dec", options.dec_block_arch, options.custom_decoder, "dtype"),
        ):
            if blocks and not used:
                logging.warning(
                    "%s-block-arch has no effect on %s '%s'; blocks are for '%s:"
                    " custom'",
                    *(name, switch, getattr(options, switch), switch),
                )
        if not options.custom_encoder:
            check_subsample_length(options.subsample, options.etype, options.elayers)

    def forward(self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor) -> Tensor:
        """See :meth:`ASRInterface.forward`.

        Lengths and labels are best left on the CPU, where they are looked at first.
        """
        outputs = self._outputs(xs_pad, ilens)
        labels = Labels.of(ys_pad)
        hs, hlens = outputs[-1]
        dec = self._read(labels, hs)
        losses = self.transducer_tasks(outputs, dec, labels)
        loss = sum(losses.values(), start=hs.new_zeros(()))
        self.reported = {"loss": loss.detach()}
        self.reported.update((name, value.detach()) for name, value in losses.items())
        if not self.training:
            self._report_error_rates(hs, hlens, labels)
        return loss

    def _outputs(self, xs_pad: Tensor, ilens: Tensor) -> Outputs:
        """Output (B, T', E) of intermediate layers and the encoder; lengths, CPU."""
        ilens = ilens.cpu()
        options = self.options
        embedded = options.custom_encoder and options.custom_enc_input_layer == "embed"
        check_features(
            xs_pad if xs_pad.dim() == 3 else xs_pad[:, :, None],
            ilens,
            1 if embedded else self.idim,
        )
        encoder = self.encoder if options.custom_encoder else self.enc
        return encoder(xs_pad[:, : int(ilens.max())], ilens)

    def _read(self, labels: Labels, like: Tensor) -> Tensor:
        """Output of the prediction network (B, U, D)."""
        decoder = self.decoder if self.options.custom_decoder else self.dec
        inputs = labels.inputs.to(like.device, non_blocking=True)
        return decoder(inputs, labels.lengths + 1)

    def _report_error_rates(self, hs: Tensor, hlens: Tensor, labels: Labels) -> None:
        """Report cer and wer of a search with a small beam."""
        rates, options = self.error_rates, self.options
        if rates is None:
            return
        chosen = SearchOptions(beam_size=VALIDATION_BEAM, score_norm=options.score_norm)
        search = make_search(self.scorers(), self.eos + 1, chosen)
        outcomes = search(hs.detach(), hlens.to(hs.device))
        heard = [outcome.nbest[0].yseq[1:] for outcome in outcomes]
        said = [row[row != IGNORE].tolist() for row in labels.ys_pad]
        found: dict[str, float | None] = {}
        if options.report_cer:
            found["cer"] = rates.characters(heard, said)
        if options.report_wer:
            found["wer"] = rates.words(heard, said)
        self.reported.update((k, v) for k, v in found.items() if v is not None)

    def encode_batch(self, xs_pad: Tensor, ilens: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`ASRInterface.encode_batch`."""
        hs, hlens = self._outputs(xs_pad, ilens)[-1]
        return hs, hlens.to(hs.device)

    def scorers(self) -> Mapping[str, Scorer]:
        """``transducer``: prediction and joint network."""
        joint = self.transducer_tasks.joint_network
        return {"transducer": ModelScorer(self.prediction, joint)}

    def ctc_log_probs(self, memory: Tensor) -> Tensor | None:
        """See :meth:`ASRInterface.ctc_log_probs`."""
        if not self.options.use_ctc_loss:
            return None
        return F.log_softmax(self.transducer_tasks.ctc_lin(memory), -1)

    def calculate_all_attentions(
        self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor
    ) -> dict[str, np.ndarray]:
        """Weights (B, H, L, T) of every attention, by the names of modules; those of
        labels have U = L + 1 rows, blank first, which sees nothing."""
        with evaluating(self), recording(self) as weights:
            hs, _ = self._outputs(xs_pad, ilens)[-1]
            self._read(Labels.of(ys_pad), hs)
        found = {}
        for name, values in weights.items():
            if name.startswith("decoder."):
                values = F.pad(values, (1, 0, 1, 0))
            found[name] = values.cpu().numpy()
        return found

    def calculate_all_ctc_probs(
        self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor
    ) -> np.ndarray | None:
        """See :meth:`ASRInterface.calculate_all_ctc_probs`."""
        if not self.options.use_ctc_loss:
            return None
        with evaluating(self):
            hs, _ = self._outputs(xs_pad, ilens)[-1]
            return F.softmax(self.transducer_tasks.ctc_lin(hs), -1).cpu().numpy()

    def get_total_subsampling_factor(self) -> int:
        """See :meth:`ASRInterface.get_total_subsampling_factor`."""
        options = self.options
        if not options.custom_encoder:
            steps = subsampling(options.subsample, options.etype, options.elayers)
            return 4 if ENCODERS[options.etype].vgg else math.prod(steps)
        factor = INPUT_LAYERS[options.custom_enc_input_layer]
        for block in options.encoder_blocks():
            if block["type"] == "conv1d":
                factor *= math.prod(stride for _, stride, _ in windows(block))
        return factor
