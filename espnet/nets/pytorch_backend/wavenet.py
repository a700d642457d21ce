"""WaveNet as a vocoder: samples of speech, one after the other, given features.

van den Oord et al., "WaveNet: A Generative Model for Raw Audio", 2016; conditioned on
features as by Tamamori et al., "Speaker-dependent WaveNet vocoder", Interspeech 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CausalConv1d(nn.Module):
    """A convolution over time that sees no later samples."""

    def __init__(self, idim: int, odim: int, kernel_size: int, dilation: int = 1):
        super().__init__()
        self.padding = (kernel_size - 1) * dilation
        self.conv = nn.Conv1d(idim, odim, kernel_size, dilation=dilation)

    def forward(self, xs: Tensor) -> Tensor:
        """(B, D, T) -> (B, E, T)."""
        return self.conv(F.pad(xs, (self.padding, 0)))


class UpSampling(nn.Module):
    """Frames to samples: each frame times ``factor`` learnt weights."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(1, 1, (1, factor), (1, factor))

    def forward(self, hs: Tensor) -> Tensor:
        """(B, D, T) -> (B, D, factor * T)."""
        return self.conv(hs[:, None])[:, 0]


class WaveNet(nn.Module):
    """The network; its parameters have the names of PytorchWaveNetVocoder.

    Args:
        n_quantize: levels of a sample Q, on the mu-law scale.
        n_aux: dimension D of the features.
        n_resch, n_skipch: channels R of the layers and of their sum.
        dilation_depth: layers with dilations 1, 2, 4, ... in a stack.
        dilation_repeat: stacks.
        kernel_size: samples that a layer combines.
        upsampling_factor: samples for each frame; 0: features have the rate of samples.
    """

    def __init__(
        self,
        n_quantize: int = 256,
        n_aux: int = 28,
        n_resch: int = 512,
        n_skipch: int = 256,
        dilation_depth: int = 10,
        dilation_repeat: int = 3,
        kernel_size: int = 2,
        upsampling_factor: int = 0,
    ) -> None:
        super().__init__()
        self.n_quantize = n_quantize
        self.n_aux = n_aux
        self.upsampling_factor = upsampling_factor
        self.kernel_size = kernel_size
        self.dilations = [2**i for i in range(dilation_depth)] * dilation_repeat
        if upsampling_factor:
            self.upsampling = UpSampling(upsampling_factor)
        self.causal = CausalConv1d(n_quantize, n_resch, kernel_size)

        def dilated() -> nn.ModuleList:
            shape = (n_resch, n_resch, kernel_size)
            return nn.ModuleList(CausalConv1d(*shape, d) for d in self.dilations)

        def pointwise(idim: int, odim: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv1d(idim, odim, 1) for _ in self.dilations)

        self.dil_sigmoid, self.dil_tanh = dilated(), dilated()
        self.aux_1x1_sigmoid = pointwise(n_aux, n_resch)
        self.aux_1x1_tanh = pointwise(n_aux, n_resch)
        self.skip_1x1 = pointwise(n_resch, n_skipch)
        self.res_1x1 = pointwise(n_resch, n_resch)
        self.conv_post_1 = nn.Conv1d(n_skipch, n_skipch, 1)
        self.conv_post_2 = nn.Conv1d(n_skipch, n_quantize, 1)

    def forward(self, xs: Tensor, hs: Tensor) -> Tensor:
        """Scores of the samples that follow.

        Args:
            xs: samples as levels (B, T).
            hs: features of the samples that follow (B, D, T).

        Returns:
            (B, T, Q), before the softmax.
        """
        one_hot = F.one_hot(xs, self.n_quantize).to(hs.dtype).transpose(1, 2)
        output = self.causal(one_hot)
        skips = hs.new_zeros(())
        for i in range(len(self.dilations)):
            gate = self.dil_sigmoid[i](output) + self.aux_1x1_sigmoid[i](hs)
            value = self.dil_tanh[i](output) + self.aux_1x1_tanh[i](hs)
            passed = torch.sigmoid(gate) * torch.tanh(value)
            skips = skips + self.skip_1x1[i](passed)
            output = self.res_1x1[i](passed) + output
        output = self.conv_post_1(F.relu(skips))
        return self.conv_post_2(F.relu(output)).transpose(1, 2)

    @torch.no_grad()
    def generate(self, hs: Tensor, shift: int) -> Tensor:
        """Draw samples; silence went before.

        Each sample costs one step, since layers keep the inputs that they see again.

        Args:
            hs: features (B, D, T).
            shift: samples for each frame; the upsampling factor, if there is one.

        Returns:
            Levels (B, shift * T).
        """
        upsampling = getattr(self, "upsampling", None)
        hs = hs.repeat_interleave(shift, 2) if upsampling is None else upsampling(hs)
        frames = hs.permute(2, 0, 1)
        steps = Steps(self, frames[0])
        levels = torch.full((hs.shape[0],), self.n_quantize // 2, device=hs.device)
        drawn = []
        for h in frames:
            levels = steps(levels, h).softmax(-1).multinomial(1)[:, 0]
            drawn.append(levels)
        return torch.stack(drawn, 1)


class Layer(NamedTuple):
    """A layer's products, merged, and the inputs that it will see again.

    Attributes:
        combine, combine_bias: (kernel_size * R + D, 2 R), gate and value.
        split, split_bias: (R, R + S), to the next layer and to the sum.
        dilation: samples between those that are combined.
        past: its last inputs (kernel_size - 1) * dilation, B, R; a ring.
    """

    combine: Tensor
    combine_bias: Tensor
    split: Tensor
    split_bias: Tensor
    dilation: int
    past: Tensor


class Steps:
    """A WaveNet that reads a sample at a time, for B utterances.

    Before the first one it has heard silence, with the first frame's features, for as
    long as it can remember: so that every layer has had one constant input.

    Args:
        model: the network.
        first: features of the first frame (B, D).
    """

    def __init__(self, model: WaveNet, first: Tensor) -> None:
        self.model = model
        self.now = 0
        state = dict(model.named_parameters())
        self.tables = list(state["causal.conv.weight"].permute(2, 1, 0))  # each Q, R
        self.bias = state["causal.conv.bias"]
        self.post = [
            (state[f"{name}.bias"], state[f"{name}.weight"][:, :, 0].T)
            for name in ("conv_post_1", "conv_post_2")
        ]
        silence = torch.full_like(first[:, 0], model.n_quantize // 2).long()
        self.heard = [silence] * len(self.tables)
        x = self._embed()
        self.layers = []
        for number, dilation in enumerate(model.dilations):
            count = (model.kernel_size - 1) * dilation
            merged = _merged(state, number)
            layer = Layer(*merged, dilation, x.expand(count, *x.shape).clone())
            self.layers.append(layer)
            x, _ = self._through(layer, x, first)

    def __call__(self, levels: Tensor, h: Tensor) -> Tensor:
        """Scores (B, Q) after the samples ``levels`` (B,), with features h (B, D)."""
        self.heard = [*self.heard[1:], levels]
        x = self._embed()
        total = h.new_zeros(())
        for layer in self.layers:
            following, skip = self._through(layer, x, h)
            if len(layer.past):
                layer.past[self.now % len(layer.past)] = x
            x, total = following, total + skip
        self.now += 1
        for bias, weight in self.post:
            total = torch.addmm(bias, F.relu(total), weight)
        return total

    def _embed(self) -> Tensor:
        pairs = zip(self.tables, self.heard, strict=True)
        return sum((table[levels] for table, levels in pairs), start=self.bias)

    def _through(self, layer: Layer, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """The layer's output (B, R) and its part of the sum (B, S)."""
        back = range(self.model.kernel_size - 1, 0, -1)
        span = max(1, len(layer.past))
        earlier = [layer.past[(self.now - i * layer.dilation) % span] for i in back]
        inputs = torch.cat([*earlier, x, h], 1)
        gate, value = torch.addmm(layer.combine_bias, inputs, layer.combine).chunk(2, 1)
        passed = torch.sigmoid(gate) * torch.tanh(value)
        both = torch.addmm(layer.split_bias, passed, layer.split)
        return x + both[:, : x.shape[1]], both[:, x.shape[1] :]


def _merged(
    state: Mapping[str, Tensor], number: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The products of a layer, see :class:`Layer`."""

    def rows(name: str) -> Tensor:
        weight = state[f"{name}.weight"]  # (E, D, kernel_size)
        return weight.permute(2, 1, 0).flatten(0, 1)

    combine, bias = [], []
    for kind in ("sigmoid", "tanh"):
        names = (f"dil_{kind}.{number}.conv", f"aux_1x1_{kind}.{number}")
        combine.append(torch.cat([rows(name) for name in names]))
        bias.append(state[f"{names[0]}.bias"] + state[f"{names[1]}.bias"])
    after = (f"res_1x1.{number}", f"skip_1x1.{number}")
    split = torch.cat([rows(name) for name in after], 1)
    split_bias = torch.cat([state[f"{name}.bias"] for name in after])
    return torch.cat(combine, 1), torch.cat(bias), split, split_bias


def decode_mu_law(encoded: Tensor, levels: int = 256) -> Tensor:
    """Samples of levels 0 ... levels - 1 on the mu-law scale; levels // 2 is silence.

    Level 0 is slightly below -1, since the scale has its zero half a step up.
    """
    mu = levels - 1
    curve = (encoded - 0.5) / mu * 2 - 1
    return curve.sign() / mu * ((1 + mu) ** curve.abs() - 1)
