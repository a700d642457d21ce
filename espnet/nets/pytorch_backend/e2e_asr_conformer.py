"""The Conformer recogniser with CTC (Gulati et al., 2020; Guo et al., 2021)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from espnet.nets.pytorch_backend.conformer.encoder import conformer_encoder
from espnet.nets.pytorch_backend.conformer.options import ConformerOptions
from espnet.nets.pytorch_backend.e2e_asr_transformer import E2E as Recogniser
from espnet.nets.pytorch_backend.transformer.encoder import Encoder
from espnet.nets.pytorch_backend.transformer.options import TransformerOptions


class E2E(Recogniser):
    """As the Transformer recogniser, with a Conformer encoder.

    Args:
        idim: dimension D of the features.
        odim: symbols V, blank first, start and end symbol last.
        args: values of :class:`ConformerOptions`; what is missing takes its default.
    """

    Config = ConformerOptions

    @staticmethod
    def build_encoder(
        options: TransformerOptions,
        idim: int,
        odim: int,
        posteriors: Callable[[Tensor], Tensor] | None,
    ) -> Encoder:
        """The encoder that options describe; see :class:`Encoder`."""
        assert isinstance(options, ConformerOptions)
        return conformer_encoder(options, idim, odim, posteriors)
