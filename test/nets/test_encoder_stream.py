"""Encoders that are fed piece by piece, against the whole utterance at once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from espnet.nets.asr_interface import ASRInterface
from espnet.nets.encoder_stream import BlockStream, EncoderStream
from espnet.nets.pytorch_backend.e2e_asr import E2E
from espnet.nets.pytorch_backend.e2e_asr_transformer import E2E as Transformer
from espnet.nets.pytorch_backend.rnn.options import ENCODERS

IDIM, ODIM, FRAMES = 7, 5, 61
SIZES = {"eunits": 4, "eprojs": 5, "dunits": 4, "adim": 3}
FORWARD = [name for name, kind in ENCODERS.items() if not kind.bidirectional]


def build(etype: str, subsample: str = "1", elayers: int = 3) -> E2E:
    torch.manual_seed(2)
    options = {**SIZES, "etype": etype, "elayers": elayers, "subsample": subsample}
    model = E2E.build(IDIM, ODIM, **options)
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.5)
    return model.double().eval()


def features(frames: int = FRAMES) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(frames, IDIM, dtype=torch.double, generator=draw)


def feed(stream: EncoderStream, xs: Tensor, sizes: Sequence[int]) -> Tensor:
    """Cut xs into pieces of sizes that take turns, and join what comes."""
    found, start, turn = [], 0, 0
    while start < len(xs):
        size = sizes[turn % len(sizes)]
        last = start + size >= len(xs)
        found.append(stream.feed(xs[start : start + size], last))
        start, turn = start + size, turn + 1
    return torch.cat([piece for piece in found if len(piece)])


@pytest.mark.parametrize("sizes", [(1,), (10,), (3, 0, 8), (FRAMES,)])
@pytest.mark.parametrize("etype", FORWARD)
def test_forward_encoders_equal_the_whole(etype: str, sizes: Sequence[int]) -> None:
    """However it is cut, also with a last frame that is incomplete."""
    model = build(etype)
    for frames in (1, 2, 5, 59, 60, FRAMES):
        xs = features(frames)
        stream = model.encoder_stream()
        assert stream.exact
        torch.testing.assert_close(feed(stream, xs, sizes), model.encode(xs))


@pytest.mark.parametrize("subsample", ["1_2_2", "2_1_2", "1_3_1", "3_2_3", "1_4_3_5"])
@pytest.mark.parametrize("etype", ["lstmp", "grup"])
def test_subsampling_goes_on_over_the_cuts(etype: str, subsample: str) -> None:
    """A window of 10 frames and a factor of 4, where ESPnet1 began anew each time."""
    model = build(etype, subsample)
    for frames in (1, 2, 3, 7, 58, 59, 60, FRAMES):
        xs = features(frames)
        for sizes in [(10,), (1,), (2, 5)]:
            found = feed(model.encoder_stream(), xs, sizes)
            torch.testing.assert_close(found, model.encode(xs))


@pytest.mark.parametrize("subsample", ["1_2_2", "3_2_3", "1_4_3_5"])
def test_nothing_waits_longer_than_the_lookahead(subsample: str) -> None:
    for etype in ("lstmp", "vgglstm"):
        model = build(etype, subsample)
        stream = model.encoder_stream()
        given = 0
        for t, x in enumerate(features()):
            given += len(stream.feed(x[None]))
            assert given * stream.factor >= t + 1 - stream.lookahead


@pytest.mark.parametrize("etype", ["blstmp", "bgru", "vggblstm"])
def test_backward_layers_start_anew_in_each_piece(etype: str) -> None:
    """One piece is the whole; of two pieces, the first knows nothing of the second."""
    model, xs = build(etype), features(60)
    stream = model.encoder_stream()
    assert not stream.exact
    torch.testing.assert_close(stream.feed(xs, last=True), model.encode(xs))
    two = model.encoder_stream()
    first = two.feed(xs[:40])
    other = model.encoder_stream()
    torch.testing.assert_close(first, other.feed(xs[:40]))
    second = two.feed(xs[40:], last=True)
    whole = model.encode(xs)
    assert len(first) + len(second) == len(whole)
    assert not torch.allclose(torch.cat([first, second]), whole)


def test_the_forward_direction_of_a_bidirectional_layer_goes_on() -> None:
    """Its states at the cut are those that PyTorch has there."""
    model = build("bgrup", elayers=1)
    xs = features(20)
    stream = model.encoder_stream()
    stream.feed(xs[:12])
    found = stream.feed(xs[12:], last=True)
    gru = model.enc.enc[0].birnn0
    forward = gru(xs[None])[0][0, 12:, :4]
    backward = gru(xs[None, 12:])[0][0, :, 4:]
    expected = model.enc.enc[0].bt0(torch.cat([forward, backward], 1))
    torch.testing.assert_close(found, expected)


def transformer() -> ASRInterface:
    torch.manual_seed(3)
    model = Transformer.build(
        IDIM, ODIM, elayers=1, dlayers=1, adim=4, aheads=2, eunits=6, dunits=6
    )
    return model.double().eval()


def blocks(model: ASRInterface, *sizes: int) -> BlockStream:
    return BlockStream(model.encode_list, model.get_total_subsampling_factor(), *sizes)


@pytest.mark.parametrize("frames", [8, 31, 60, FRAMES])
def test_blocks_of_a_whole_utterance_are_the_whole(frames: int) -> None:
    """The number of frames is right for any cut, and one big block is exact."""
    model, xs = transformer(), features(frames)
    assert model.encoder_stream() is None
    whole = model.encode(xs)
    torch.testing.assert_close(feed(blocks(model, 100, 0, 0), xs, (7,)), whole)
    for cut in [(8, 16, 8), (7, 9, 5), (4, 0, 4)]:
        found = feed(blocks(model, *cut), xs, (7,))
        assert found.shape == whole.shape


def test_a_block_sees_its_context_only() -> None:
    """Each block is what the model makes of the window around it."""
    model, xs = transformer(), features(60)
    stream = blocks(model, 12, 8, 4)
    found = feed(stream, xs, (5,))
    for start in (0, 12, 24, 36):
        begin = max(0, start - 8)
        window = model.encode(xs[begin : start + 16])[(start - begin) // 4 :][:3]
        torch.testing.assert_close(found[start // 4 : start // 4 + 3], window)
    with torch.no_grad():
        torch.testing.assert_close(found[12:], model.encode(xs[40:])[2:])
