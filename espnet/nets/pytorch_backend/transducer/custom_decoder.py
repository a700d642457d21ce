"""Prediction networks made of blocks that a user lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet.nets.pytorch_backend.transducer.blocks import input_size, output_size
from espnet.nets.pytorch_backend.transducer.convolution_blocks import (
    CausalConv1dBlock,
    causal_conv1d,
)
from espnet.nets.pytorch_backend.transducer.options import TransducerOptions
from espnet.nets.pytorch_backend.transducer.prediction import PredictionNetwork, Prefix
from espnet.nets.pytorch_backend.transformer.attention import MultiHeadedAttention
from espnet.nets.pytorch_backend.transformer.feed_forward import (
    ACTIVATIONS,
    FeedForward,
)
from espnet.nets.pytorch_backend.transformer.frames import Frames
from espnet.nets.pytorch_backend.transformer.layers import layer_norm
from espnet.nets.pytorch_backend.transformer.positions import Positions

State = tuple[Tensor, ...]  # output (L, D) of each Transformer block


class LabelBlock(nn.Module):
    """Self-attention over labels, and a feed-forward layer.

    Args:
        size: D.
        self_attention: causal.
        feed_forward: the other part.
        dropout_rate: of each part's output.
    """

    def __init__(
        self,
        size: int,
        self_attention: MultiHeadedAttention,
        feed_forward: FeedForward,
        dropout_rate: float,
    ) -> None:
        super().__init__()
        self.self_attention = self_attention
        self.feed_forward = feed_forward
        self.norm1 = layer_norm(size)
        self.norm2 = layer_norm(size)
        self.dropout = nn.Dropout(dropout_rate)

    def forward(self, xs: Tensor, labels: Frames) -> Tensor:
        """(B, U, D) -> (B, U, D).

        In training ESPnet1 masks blank, so that the first position is never looked at,
        and itself sees nothing.
        """
        attention = self.self_attention
        first = attention.linear_out.bias.expand(len(xs), 1, -1)
        if xs.shape[1] > 1:
            seen = self.norm1(xs[:, 1:])
            everything = Frames(labels.lengths)  # causal: no label sees the padding
            rest = attention(seen, everything)
            first = torch.cat([first.to(rest), rest], 1)
        xs = xs + self.dropout(first)
        return xs + self.dropout(self.feed_forward(self.norm2(xs)))

    def last(self, xs: Tensor, visible: Tensor) -> Tensor:
        """The newest of labels xs (N, W, D) -> (N, D).

        Args:
            xs: labels that end in the last column.
            visible: (N, W) with True = seen; the first position is, while decoding.
        """
        attention = self.self_attention
        normed = self.norm1(xs)
        keys, values = attention.keys_values(normed)
        query = attention.split(attention.linear_q(normed[:, -1:]))
        mixed = F.scaled_dot_product_attention(
            *(query, keys, values), attn_mask=visible[:, None, None]
        )
        x = xs[:, -1] + attention.linear_out(mixed.transpose(1, 2).flatten(1))
        return x + self.feed_forward(self.norm2(x))


class CustomDecoder(nn.Module, PredictionNetwork):
    """Label histories to vectors.

    Args:
        odim: symbols V.
        size: of embeddings.
        blocks: :class:`LabelBlock` and :class:`CausalConv1dBlock`.
        output_size: D.
        dropout_rate: of embeddings without positions.
        blank: id of blank, which begins and pads label sequences.
    """

    sees_batch = True

    def __init__(
        self,
        odim: int,
        size: int,
        blocks: Iterable[nn.Module],
        output_size: int,
        dropout_rate: float = 0.0,
        blank: int = 0,
    ) -> None:
        super().__init__()
        self.blank = blank
        self.decoders = nn.ModuleList(blocks)
        convolving = isinstance(self.decoders[0], CausalConv1dBlock)
        self.embed = nn.Sequential(
            nn.Embedding(odim, size, padding_idx=blank),
            nn.Dropout(dropout_rate) if convolving else Positions(size),
        )
        self.after_norm = layer_norm(output_size)

    def forward(self, ys_in: Tensor, ylens: Tensor) -> Tensor:
        """Labels behind a blank to vectors.

        Args:
            ys_in: (B, U), padded with blank.
            ylens: labels with their blank (B,), on the CPU where that is possible.

        Returns:
            (B, U, D).
        """
        embedding, rest = self.embed
        xs = embedding(ys_in)
        xs = rest(xs)[0] if isinstance(rest, Positions) else rest(xs)
        labels = Frames.of(xs, ylens)
        for block in self.decoders:
            xs = block(xs, labels)
        return self.after_norm(xs)

    def initial(self) -> State:
        """See :class:`PredictionNetwork`."""
        weight = self.after_norm.weight
        return tuple(
            weight.new_empty(0, len(block.norm1.weight))
            for block in self.decoders
            if isinstance(block, LabelBlock)
        )

    def step(
        self,
        prefixes: Sequence[Prefix],
        states: Sequence[State],
        widths: Sequence[int] | None = None,
    ) -> tuple[Tensor, list[State]]:
        """See :class:`PredictionNetwork`.

        In its beam searches ESPnet1 puts prefixes of different lengths into one batch
        with blanks before the shorter ones, which are then attended to, and move the
        positions. So the vector of a prefix depends on what came along with it. Its
        hypotheses and scores come of that, so it is done here as well: ``widths`` says
        how long each prefix would have become. What a block then sees of the blanks are
        embeddings, or zeros where it follows on a Transformer block.
        """
        lengths = [len(prefix) for prefix in prefixes]
        widths = lengths if widths is None else widths
        columns = max(widths)
        device = self.after_norm.weight.device
        rows = [
            [self.blank] * (columns - len(prefix)) + list(prefix) for prefix in prefixes
        ]
        starts = columns - torch.tensor(widths, device=device)[:, None]
        places = torch.arange(columns, device=device) - starts  # (N, W)
        visible = places >= 0
        xs = self._read(torch.tensor(rows, device=device), places.clamp(min=0))
        labels = Frames(torch.tensor([columns] * len(rows)))
        kept: list[list[Tensor]] = [[] for _ in rows]
        number = 0
        for block in self.decoders:
            if isinstance(block, CausalConv1dBlock):
                xs = block(xs.masked_fill(~visible[:, :, None], 0.0), labels)
                continue
            newest = cast(LabelBlock, block).last(xs, visible)
            xs = newest.new_zeros(len(rows), columns, newest.shape[-1])
            for row, (state, vector) in enumerate(zip(states, newest, strict=True)):
                outputs = torch.cat([state[number], vector[None]])
                xs[row, columns - len(outputs) :] = outputs
                kept[row].append(outputs)
            number += 1
        return self.after_norm(xs[:, -1]), [tuple(outputs) for outputs in kept]

    def _read(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Embedded labels (N, W, D) at given positions (N, W)."""
        embedding, rest = self.embed
        xs = embedding(tokens)
        if not isinstance(rest, Positions):
            return xs
        return xs * rest.scale + rest.table(tokens.shape[1], xs)[places]


def custom_decoder(options: TransducerOptions, odim: int) -> CustomDecoder:
    """The prediction network that options describe."""
    blocks = options.decoder_blocks()
    activation = ACTIVATIONS[options.custom_dec_pw_activation_type]
    layers: list[nn.Module] = []
    for block in blocks:
        if block["type"] == "causal-conv1d":
            layers.append(causal_conv1d(block))
            continue
        size = block["d_hidden"]
        rate = block["att-dropout-rate"]
        attention = MultiHeadedAttention(block["heads"], size, rate, causal=True)
        feed_forward = FeedForward(
            size, block["d_ff"], block["pos-dropout-rate"], activation
        )
        layers.append(LabelBlock(size, attention, feed_forward, block["dropout-rate"]))
    return CustomDecoder(
        *(odim, input_size(blocks[0]), layers, output_size(blocks[-1])),
        options.dropout_rate_embed_decoder,
    )
