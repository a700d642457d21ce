"""The joint network of the Transducer, and the losses that it is trained with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from espnet.nets.pytorch_backend.ctc import ctc_loss
from espnet.nets.pytorch_backend.initialization import lecun_normal
from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.nets_utils import IGNORE, label_lengths
from espnet.nets.pytorch_backend.sharing import shared_count
from espnet.nets.pytorch_backend.transducer.joint import JointNetwork
from espnet.nets.pytorch_backend.transducer.joint_loss import joint_transducer_loss
from espnet.nets.pytorch_backend.transducer.loss import blocks
from espnet.nets.pytorch_backend.transducer.options import TransducerOptions
from espnet.nets.pytorch_backend.transducer.pruned_loss import pruned_transducer_loss
from espnet.nets.pytorch_backend.transformer.label_smoothing import (
    smoothed_divergence,
)

BLANK = 0
SIMPLE_WEIGHT = 0.5  # of the loss of the joiner that adds, as in the paper's recipes


@dataclass(frozen=True)
class Labels:
    """The labels of a batch, on the CPU.

    Attributes:
        ys_pad: (B, L), padded with -1.
        lengths: labels of each (B,).
    """

    ys_pad: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, ys_pad: Tensor) -> Labels:
        """Those of (B, L), padded with -1; columns of padding alone are dropped."""
        ys_pad = ys_pad.cpu()
        lengths = label_lengths(ys_pad)
        return cls(ys_pad[:, : int(lengths.max())], lengths)

    @property
    def targets(self) -> Tensor:
        """The labels (B, L), padded with blank."""
        return self.ys_pad.masked_fill(self.ys_pad == IGNORE, BLANK)

    @property
    def inputs(self) -> Tensor:
        """The labels behind a blank (B, U), padded with blank."""
        return F.pad(self.targets, (1, 0), value=BLANK)

    @property
    def next_inputs(self) -> Tensor:
        """What follows on each input (B, U): labels, then a blank, padded with -1."""
        border = torch.full((len(self.ys_pad), 1), BLANK)
        longer = F.pad(self.ys_pad, (0, 1), value=IGNORE)
        return longer.scatter(1, self.lengths[:, None], border)


class TransducerTasks(nn.Module):
    """The joint network and layers of auxiliary losses.

    Boyer et al., "A study of Transducer based end-to-end ASR with ESPnet", 2021; Liu et
    al., "Improving RNN Transducer based ASR with auxiliary tasks", 2021.

    Args:
        options: of the model.
        odim: symbols V.
    """

    def __init__(self, options: TransducerOptions, odim: int) -> None:
        super().__init__()
        self.options = options
        encoder_size, decoder_size = options.encoder_size(), options.decoder_size()
        self.joint_network = JointNetwork(
            *(odim, encoder_size, decoder_size, options.joint_dim),
            options.joint_activation_type,
        )
        if options.transducer_loss == "pruned":
            self.simple_enc = Linear(encoder_size, odim)
            self.simple_dec = Linear(decoder_size, odim)
        if options.use_ctc_loss:
            self.ctc_lin = Linear(encoder_size, odim)
            self.ctc_dropout = nn.Dropout(options.ctc_loss_dropout_rate)
        if options.use_aux_transducer_loss:
            size = options.aux_transducer_loss_mlp_dim
            norm = nn.LayerNorm(size)
            self.mlp = nn.Sequential(
                Linear(encoder_size, size),
                norm,
                nn.Dropout(options.aux_transducer_loss_mlp_dropout_rate),
                nn.ReLU(),
                Linear(size, options.joint_dim),
            )
        if options.use_lm_loss:
            self.lm_lin = Linear(decoder_size, odim)
        lecun_normal(self)
        if options.use_aux_transducer_loss:
            # ESPnet1 began with a gain of 0, behind which nothing ever learnt
            norm.reset_parameters()

    def forward(
        self,
        outputs: Sequence[tuple[Tensor, Tensor]],
        dec: Tensor,
        labels: Labels,
    ) -> dict[str, Tensor]:
        """Every loss with its weight.

        Args:
            outputs: of the encoder: intermediate ones, then the last: frames (B, T, E)
                and lengths (B,) on the CPU.
            dec: output of the prediction network (B, U, D).
            labels: what was said.

        Returns:
            Scalars ``loss_trans``, ``loss_ctc``, ``loss_aux_trans``,
            ``loss_symm_kl_div``, ``loss_lm``, as far as the options ask for them.
        """
        options, joint = self.options, self.joint_network
        *between, (hs, hlens) = outputs
        enc, ahead = joint.lin_enc(hs), joint.lin_dec(dec)
        last: tuple[Tensor, Tensor] = (joint.lin_out.weight, joint.lin_out.bias)
        # validation is with the full loss, which other runs can be compared by
        if options.transducer_loss == "pruned" and self.training:
            simple = (self.simple_enc(hs), self.simple_dec(dec))
            loss = self._pruned(simple, (enc, ahead), hlens, labels)
        else:
            loss = self._transducer(enc, ahead, last, hlens, labels)
        losses = {"loss_trans": options.transducer_weight * loss}
        if options.use_ctc_loss:
            logits = self.ctc_lin(self.ctc_dropout(hs))
            loss = ctc_loss(logits, hlens, labels.ys_pad)
            losses["loss_ctc"] = options.ctc_loss_weight * loss
        if between:
            # the joint network does not learn from these
            constant = F.linear(dec, joint.lin_dec.weight.detach())
            last = (last[0].detach(), last[1].detach())
            losses["loss_aux_trans"] = dec.new_zeros(())
            divergence = dec.new_zeros(())
            for frames, lengths in between:
                aux = self.mlp(frames)
                share = options.aux_transducer_loss_weight / len(between)
                loss = self._transducer(aux, constant, last, lengths, labels)
                losses["loss_aux_trans"] = losses["loss_aux_trans"] + share * loss
                if options.use_symm_kl_div_loss:
                    divergence = divergence + self._divergence(
                        (enc, ahead), (aux, constant), hlens, labels.lengths
                    ) / len(between)
            if options.use_symm_kl_div_loss:
                weighted = options.symm_kl_div_loss_weight * divergence
                losses["loss_symm_kl_div"] = weighted
        if options.use_lm_loss:
            ys = labels.next_inputs.to(dec.device)
            loss = smoothed_divergence(
                self.lm_lin(dec), ys, options.lm_loss_smoothing_rate
            )
            losses["loss_lm"] = options.lm_loss_weight * loss / shared_count(len(ys))
        return losses

    def _transducer(
        self,
        enc: Tensor,
        dec: Tensor,
        last: tuple[Tensor, Tensor],
        hlens: Tensor,
        labels: Labels,
    ) -> Tensor:
        """The loss of frames and label histories in the joint space."""
        total = joint_transducer_loss(
            *(enc, dec, *last, labels.targets, hlens, labels.lengths),
            activation=self.joint_network.activation,
            blank=BLANK,
            fastemit_lambda=self.options.fastemit_lambda,
            reduction="sum",
        )
        return total / shared_count(len(enc))

    def _pruned(
        self,
        simple: tuple[Tensor, Tensor],
        main: tuple[Tensor, Tensor],
        hlens: Tensor,
        labels: Labels,
    ) -> Tensor:
        """The pruned loss and a share of the simple one, which learns where to prune.

        Args:
            simple: scores of frames (B, T, V) and label histories (B, U, V).
            main: frames (B, T, J) and label histories (B, U, J).
            hlens: frames (B,), on the CPU.
            labels: what was said.
        """
        loss = pruned_transducer_loss(
            *(*simple, self.joint_network, *main),
            *(labels.targets, hlens, labels.lengths),
            prune_range=self.options.transducer_prune_range,
            blank=BLANK,
            fastemit_lambda=self.options.fastemit_lambda,
        )
        total = (loss.pruned + SIMPLE_WEIGHT * loss.simple) * len(hlens)
        return total / shared_count(len(hlens))

    def _divergence(
        self,
        main: tuple[Tensor, Tensor],
        other: tuple[Tensor, Tensor],
        hlens: Tensor,
        ylens: Tensor,
    ) -> Tensor:
        """Symmetric divergence of the symbols' distributions, the mean over nodes.

        ESPnet1 summed over padding too, and divided by the padded size. As in the main
        loss, only a tile of the logits exists at a time.

        Args:
            main, other: frames (B, T, J) and label histories (B, U, J).
            hlens, ylens: frames and labels (B,), on the CPU.
        """
        total = main[0].new_zeros(())
        bytes_of_node = 4 * 4 * self.joint_network.lin_out.out_features
        device = total.device.type
        for row, begin, end, width in blocks(hlens, ylens, bytes_of_node, device):
            parts = [
                part
                for enc, dec in (main, other)
                for part in (enc[row, begin:end, None], dec[row, :width])
            ]
            divergence = checkpoint(self._node_divergence, *parts, use_reentrant=False)
            total = total + divergence
        return total / shared_count(int((hlens * (ylens + 1)).sum()))

    def _node_divergence(
        self, enc: Tensor, dec: Tensor, other_enc: Tensor, other_dec: Tensor
    ) -> Tensor:
        log_p = F.log_softmax(self.joint_network(enc, dec), -1)
        logits = self.joint_network(other_enc, other_dec, constant=True)
        log_q = F.log_softmax(logits, -1)
        return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum()
