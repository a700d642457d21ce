"""Offers a Transducer model to searches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from espnet.nets.pytorch_backend.transducer.joint import JointNetwork
from espnet.nets.pytorch_backend.transducer.prediction import PredictionNetwork, Prefix
from espnet.nets.scorer_interface import TransducerScorer


class ModelScorer(TransducerScorer):
    """Prediction and joint network.

    Args:
        prediction: reads labels.
        joint: scores frames with what was read.
    """

    def __init__(self, prediction: PredictionNetwork, joint: JointNetwork) -> None:
        self.prediction = prediction
        self.joint = joint
        self.vocabulary = joint.lin_out.out_features
        self.sees_batch = prediction.sees_batch

    def frames(self, memory: Tensor) -> Tensor:
        """See :class:`TransducerScorer`."""
        return self.joint.lin_enc(memory)

    def initial(self) -> Any:
        """See :class:`TransducerScorer`."""
        return self.prediction.initial()

    def read(
        self,
        prefixes: Sequence[Prefix],
        states: Sequence[Any],
        widths: Sequence[int] | None = None,
    ) -> tuple[Tensor, list[Any]]:
        """See :class:`TransducerScorer`."""
        vectors, states = self.prediction.step(prefixes, states, widths)
        return self.joint.lin_dec(vectors), states

    def logits(self, frames: Tensor, prefixes: Tensor) -> Tensor:
        """See :class:`TransducerScorer`."""
        return self.joint(frames, prefixes)
