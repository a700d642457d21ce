"""The joint network of the Transducer (Graves et al., 2013)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.transducer.joint_loss import JOINT_ACTIVATIONS


class JointNetwork(nn.Module):
    """W_out activation(W_enc h(t) + b_enc + W_dec g(u)) + b_out.

    Args:
        odim: symbols V.
        encoder_size: of h.
        decoder_size: of g.
        joint_dim: size J of the joint space.
        activation: a key of ``JOINT_ACTIVATIONS``.
    """

    def __init__(
        self,
        odim: int,
        encoder_size: int,
        decoder_size: int,
        joint_dim: int,
        activation: str,
    ) -> None:
        super().__init__()
        self.lin_enc = Linear(encoder_size, joint_dim)
        self.lin_dec = Linear(decoder_size, joint_dim, bias=False)
        self.lin_out = Linear(joint_dim, odim)
        self.activation = activation

    def forward(self, enc: Tensor, dec: Tensor, constant: bool = False) -> Tensor:
        """Logits (..., V) of frames and label histories in the joint space (..., J).

        Args:
            enc, dec: as ``lin_enc`` and ``lin_dec`` give them; they are broadcast.
            constant: the last layer does not learn from this.
        """
        hidden = JOINT_ACTIVATIONS[self.activation].apply(enc + dec)
        last = self.lin_out
        if constant:
            return F.linear(hidden, last.weight.detach(), last.bias.detach())
        return last(hidden)
