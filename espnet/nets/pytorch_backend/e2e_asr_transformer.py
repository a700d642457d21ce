"""The Transformer recogniser with CTC (Karita et al., 2019)."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import ClassVar

import numpy as np
from torch import Tensor

from espnet.nets.asr_interface import ASRInterface
from espnet.nets.ctc_prefix_score import CTCPrefixScorer
from espnet.nets.pytorch_backend.ctc import CTC, collapsed
from espnet.nets.pytorch_backend.hybrid import ErrorRates, accuracy, combine
from espnet.nets.pytorch_backend.nets_utils import (
    IGNORE,
    check_features,
    decoder_labels,
    evaluating,
    label_lengths,
)
from espnet.nets.pytorch_backend.sharing import shared_count
from espnet.nets.pytorch_backend.transformer.decoder import transformer_decoder
from espnet.nets.pytorch_backend.transformer.encoder import (
    Encoder,
    transformer_encoder,
)
from espnet.nets.pytorch_backend.transformer.initialisation import initialise
from espnet.nets.pytorch_backend.transformer.label_smoothing import (
    smoothed_divergence,
)
from espnet.nets.pytorch_backend.transformer.options import (
    INPUT_LAYERS,
    TransformerOptions,
)
from espnet.nets.pytorch_backend.transformer.recording import recording
from espnet.nets.scorer_interface import BatchScorer, PartialScorer
from espnet.utils.errors import UserError
from espnet.utils.options import read_config


class E2E(ASRInterface):
    """The Transformer recogniser; names and shapes of parameters are those of ESPnet1.

    Args:
        idim: dimension D of the features; with the input layer ``embed``, of tokens.
        odim: symbols V, blank first, start and end symbol last.
        args: values of :class:`TransformerOptions`; what is missing takes its default.
    """

    Config: ClassVar[type[TransformerOptions]] = TransformerOptions
    v1_rules: ClassVar[tuple[str, str]] = ("v1 transformer", "v1 transformer")

    def __init__(self, idim: int, odim: int, args: Namespace) -> None:
        super().__init__()
        options = read_config(self.Config, args)
        self.options = options
        self.idim = idim
        self.eos = odim - 1
        self.ctc = None
        if options.mtlalpha > 0.0:
            self.ctc = CTC(odim, options.adim, options.dropout_rate)
        posteriors = None
        if options.self_conditioning and self.ctc is not None:
            posteriors = self.ctc.softmax
        self.encoder = self.build_encoder(options, idim, odim, posteriors)
        self.decoder = None
        if options.mtlalpha < 1.0:
            self.decoder = transformer_decoder(options, odim)
        initialise(self, options.transformer_init)
        self.error_rates = None
        if options.char_list and (options.report_cer or options.report_wer):
            self.error_rates = ErrorRates(
                options.char_list, options.sym_space, options.sym_blank
            )

    @staticmethod
    def build_encoder(
        options: TransformerOptions,
        idim: int,
        odim: int,
        posteriors: Callable[[Tensor], Tensor] | None,
    ) -> Encoder:
        """The encoder that options describe; see :class:`Encoder`."""
        return transformer_encoder(options, idim, odim, posteriors)

    def forward(self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor) -> Tensor:
        """See :meth:`ASRInterface.forward`.

        Lengths and labels are best left on the CPU, where they are looked at first; a
        GPU is then not waited for before all work of the step is in its queue.
        """
        ys_pad = ys_pad.cpu()
        outputs, hlens = self._outputs(xs_pad, ilens)
        *between, hs = outputs
        loss_ctc = loss_att = loss_between = logits = None
        self.reported = {}
        if self.decoder is not None:
            ys_in, ys_out = decoder_labels(ys_pad, self.eos)
            logits = self.decoder(hs, hlens, ys_in.to(hs.device, non_blocking=True))
            ys_out = ys_out.to(hs.device, non_blocking=True)
            loss_att = self._attention_loss(logits, ys_out, ys_pad)
            self.reported["acc"] = accuracy(logits.detach(), ys_out)
        if self.ctc is not None:
            loss_ctc = self.ctc.loss(hs, hlens, ys_pad)
            self.ctc.count_impossible(hlens, ys_pad)
            if between and self.options.intermediate_ctc_weight > 0.0:
                losses = [self.ctc.loss(xs, hlens, ys_pad) for xs in between]
                loss_between = sum(losses[1:], losses[0]) / len(losses)
        loss = combine(
            self.options.mtlalpha,
            *(loss_ctc, loss_att, loss_between),
            intermediate_weight=self.options.intermediate_ctc_weight,
        )
        for name, value in (
            ("loss", loss),
            ("loss_ctc", loss_ctc),
            ("loss_att", loss_att),
        ):
            if value is not None:
                self.reported[name] = value.detach()
        if not self.training:
            self._report_error_rates(hs, logits, hlens, ys_pad)
        return loss

    def _outputs(self, xs_pad: Tensor, ilens: Tensor) -> tuple[list[Tensor], Tensor]:
        """Output (B, T', E) of intermediate blocks and the encoder; lengths, CPU."""
        ilens = ilens.cpu()
        width = self.idim
        if self.options.transformer_input_layer == "embed":
            width, xs_pad = 1, xs_pad if xs_pad.dim() == 3 else xs_pad[:, :, None]
            if xs_pad.shape[2] != 1:
                raise UserError(
                    "transformer-input-layer: embed reads the ids of tokens, and here"
                    f" are features of {xs_pad.shape[2]} dimensions; use conv2d or"
                    " linear"
                )
        check_features(xs_pad, ilens, width)
        xs = xs_pad[:, : int(ilens.max())]
        hlens = self.encoder.embed.output_lengths(ilens)
        return list(self.encoder.outputs(xs, ilens)), hlens

    def _attention_loss(self, logits: Tensor, ys_out: Tensor, ys_pad: Tensor) -> Tensor:
        """The decoder's loss, per label or per utterance; ys_pad (B, L) on the CPU."""
        loss = smoothed_divergence(logits, ys_out, self.options.lsm_weight)
        if self.options.transformer_length_normalized_loss:
            return loss / shared_count(int(label_lengths(ys_pad).sum()) + len(ys_pad))
        return loss / shared_count(len(ys_pad))

    def _report_error_rates(
        self,
        hs: Tensor,
        logits: Tensor | None,
        hlens: Tensor,
        ys_pad: Tensor,
    ) -> None:
        """Report cer_ctc of the best CTC path, and the cer and wer of the labels that
        the decoder finds likeliest after the right ones."""
        rates = self.error_rates
        if rates is None:
            return
        said = [row[row != IGNORE].tolist() for row in ys_pad]
        found: dict[str, float | None] = {}
        if self.ctc is not None:
            path = self.ctc.argmax(hs).cpu()
            found["cer_ctc"] = rates.characters(collapsed(path, hlens), said)
        if logits is not None:
            best = logits.argmax(-1).tolist()
            heard = [row[: len(ids)] for row, ids in zip(best, said, strict=True)]
            if self.options.report_cer:
                found["cer"] = rates.characters(heard, said)
            if self.options.report_wer:
                found["wer"] = rates.words(heard, said)
        self.reported.update((k, v) for k, v in found.items() if v is not None)

    def encode_batch(self, xs_pad: Tensor, ilens: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`ASRInterface.encode_batch`."""
        outputs, hlens = self._outputs(xs_pad, ilens)
        return outputs[-1], hlens.to(xs_pad.device)

    def scorers(self) -> dict[str, BatchScorer | PartialScorer]:
        """``decoder`` and ``ctc``, where ``mtlalpha`` has them."""
        scorers: dict[str, BatchScorer | PartialScorer] = {}
        if self.decoder is not None:
            scorers["decoder"] = self.decoder
        if self.ctc is not None:
            scorers["ctc"] = CTCPrefixScorer(self.ctc, self.eos)
        return scorers

    def calculate_all_attentions(
        self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor
    ) -> dict[str, np.ndarray]:
        """Weights (B, H, L, T) of every attention and dynamic convolution, by the names
        of modules; those of labels have U = L + 1 rows, end symbol last."""
        with evaluating(self), recording(self) as weights:
            outputs, hlens = self._outputs(xs_pad, ilens)
            if self.decoder is not None:
                ys_in, _ = decoder_labels(ys_pad.to(xs_pad.device), self.eos)
                self.decoder(outputs[-1], hlens, ys_in)
        return {name: values.cpu().numpy() for name, values in weights.items()}

    def calculate_all_ctc_probs(
        self, xs_pad: Tensor, ilens: Tensor, ys_pad: Tensor
    ) -> np.ndarray | None:
        """See :meth:`ASRInterface.calculate_all_ctc_probs`."""
        if self.ctc is None:
            return None
        with evaluating(self):
            outputs, _ = self._outputs(xs_pad, ilens)
            return self.ctc.softmax(outputs[-1]).cpu().numpy()

    def get_total_subsampling_factor(self) -> int:
        """See :meth:`ASRInterface.get_total_subsampling_factor`."""
        return INPUT_LAYERS[self.options.transformer_input_layer]
