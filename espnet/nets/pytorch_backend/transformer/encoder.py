"""The stack of blocks that Transformer and Conformer encoders are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from torch import Tensor, nn

from espnet.nets.pytorch_backend.linear import Linear
from espnet.nets.pytorch_backend.transformer.feed_forward import (
    ACTIVATIONS,
    FeedForward,
)
from espnet.nets.pytorch_backend.transformer.frames import Frames
from espnet.nets.pytorch_backend.transformer.input_layers import (
    INPUT_LAYERS,
    InputLayer,
    InputSizes,
)
from espnet.nets.pytorch_backend.transformer.layers import EncoderLayer, layer_norm
from espnet.nets.pytorch_backend.transformer.mixers import MIXERS, MixerSizes
from espnet.nets.pytorch_backend.transformer.options import TransformerOptions
from espnet.nets.pytorch_backend.transformer.positions import POSITIONS
from espnet.utils.errors import UserError

OLD_NAMES = (("input_layer.", "embed."), ("norm.", "after_norm."))


class Encoder(nn.Module):
    """Features to encoder frames.

    Args:
        embed: the first layer.
        layers: the blocks.
        size: D of the frames.
        intermediate: the blocks, counted from 1, whose output is given too.
        posteriors: normalised output of a block -> posteriors (B, T, V); they are fed
            back after the intermediate blocks (Nozaki and Komatsu, 2021).
        odim: V, needed with ``posteriors``.
    """

    def __init__(
        self,
        embed: InputLayer,
        layers: Iterable[nn.Module],
        size: int,
        intermediate: Collection[int] = (),
        posteriors: Callable[[Tensor], Tensor] | None = None,
        odim: int = 0,
    ) -> None:
        super().__init__()
        self.embed = embed
        self.encoders = nn.ModuleList(layers)
        self.after_norm = layer_norm(size)
        self.intermediate = frozenset(intermediate)
        self.posteriors = posteriors
        self.conditioning_layer = None if posteriors is None else Linear(odim, size)
        self.register_load_state_dict_pre_hook(rename_old(OLD_NAMES))

    def forward(self, xs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """xs (B, T, idim), lengths (B,) on the CPU -> (B, T', D), (B,); zeros behind
        each. What an utterance is padded with, and how far, does not change its output.
        """
        *_, hs = self.outputs(xs, lengths)
        return hs, self.embed.output_lengths(lengths)

    def outputs(self, xs: Tensor, lengths: Tensor) -> Iterator[Tensor]:
        """The normalised output (B, T', D) of each intermediate block and of the last.

        Raises:
            UserError: an utterance is too short for the first layer.
        """
        outlens = self.embed.output_lengths(lengths)
        if int(outlens.min()) < 1:
            shortest = int(lengths.argmin())
            raise UserError(
                f"utterance {shortest + 1} of {len(lengths)} in the batch has"
                f" {int(lengths[shortest])} frames, too few for the input layer of the"
                " encoder, which reduces the frame rate; leave it out"
            )
        xs, positions, outlens = self.embed(xs, lengths)
        frames = Frames.of(xs, outlens, positions)
        for number, layer in enumerate(self.encoders, 1):
            xs = layer(xs, frames)
            if number not in self.intermediate:
                continue
            between = self.after_norm(xs)
            yield between
            if self.posteriors is not None and self.conditioning_layer is not None:
                xs = xs + self.conditioning_layer(self.posteriors(between))
        yield frames.zero(self.after_norm(xs))


def rename_old(names: Collection[tuple[str, str]]) -> Callable[..., None]:
    """A hook that gives parameters of old models of ESPnet1 today's names."""

    def rename(
        module: nn.Module, state: dict[str, Any], prefix: str, *rest: Any
    ) -> None:
        for old, new in names:
            for key in [k for k in state if k.startswith(prefix + old)]:
                state[prefix + new + key[len(prefix + old) :]] = state.pop(key)

    return rename


def transformer_encoder(
    options: TransformerOptions,
    idim: int,
    odim: int,
    posteriors: Callable[[Tensor], Tensor] | None,
) -> Encoder:
    """The Transformer encoder that options describe; see :class:`Encoder`."""
    size, dropout_rate = options.adim, options.dropout_rate
    positions = POSITIONS[options.transformer_encoder_pos_enc_layer_type]
    embed = INPUT_LAYERS[options.transformer_input_layer](
        InputSizes(idim, size, positions(size, dropout_rate), dropout_rate)
    )
    mixer = MIXERS[options.transformer_encoder_selfattn_layer_type]
    layers = []
    for i, kernel in enumerate(options.kernels("encoder")):
        sizes = MixerSizes(
            *(size, options.aheads, options.wshare, kernel, options.ldconv_usebias),
            dropout_rate=options.attention_dropout(),
        )
        layers.append(
            EncoderLayer(
                size,
                mixer(sizes),
                FeedForward(size, options.eunits, dropout_rate, ACTIVATIONS["relu"]),
                dropout_rate,
                skip_rate=options.stochastic_depth_rate * (i + 1) / options.elayers,
            )
        )
    intermediate = options.intermediate_layers()
    return Encoder(embed, layers, size, intermediate, posteriors, odim)
