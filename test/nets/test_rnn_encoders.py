"""RNN encoders: names, lengths, and that padding changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from espnet.nets.pytorch_backend.rnn.encoders import Encoder, vgg_output_size
from espnet.nets.pytorch_backend.rnn.options import ENCODERS
from espnet.nets.pytorch_backend.rnn.recurrent import RNN_TYPES, run_rnn

IDIM, UNITS, PROJS = 6, 4, 5
LENGTHS = (11, 9, 3)


def build(
    etype: str, subsample: tuple[int, ...] = (2, 3), dropout: float = 0.0
) -> Encoder:
    torch.manual_seed(0)
    encoder = Encoder(etype, IDIM, 2, UNITS, PROJS, subsample, dropout)
    return encoder.double().eval()


def features() -> Tensor:
    draw = torch.Generator().manual_seed(1)
    shape = (len(LENGTHS), max(LENGTHS), IDIM)
    return torch.randn(shape, dtype=torch.double, generator=draw)


def test_there_are_sixteen_types() -> None:
    names = (
        "lstm blstm lstmp blstmp vgglstm vggblstm vgglstmp vggblstmp"
        " gru bgru grup bgrup vgggru vggbgru vgggrup vggbgrup"
    )
    assert set(ENCODERS) == set(names.split())


@pytest.mark.parametrize("etype", ENCODERS)
def test_what_stands_behind_an_utterance_changes_nothing(etype: str) -> None:
    encoder, xs = build(etype), features()
    xs[2, 3:] = 100.0
    together, lengths = encoder(xs, torch.tensor(LENGTHS))
    for b, length in enumerate(LENGTHS):
        alone, [alone_length] = encoder(xs[b : b + 1, :length], torch.tensor([length]))
        assert lengths[b] == alone_length == alone.shape[1]
        torch.testing.assert_close(together[b, :alone_length], alone[0])
        assert not together[b, alone_length:].any()


@pytest.mark.parametrize("etype", ["blstmp", "bgru", "vggblstmp"])
def test_what_stands_behind_an_utterance_changes_no_gradient(etype: str) -> None:
    encoder, xs = build(etype), features()
    gradients = []
    for size in (9, 11):
        encoder.zero_grad()
        lengths = torch.tensor([size, 9])  # the second one alone counts
        hs, _ = encoder(xs[:2, :size], lengths)
        hs[1].square().sum().backward()
        gradients.append([p.grad.clone() for p in encoder.parameters()])
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ("etype", "names"),
    [
        ("blstmp", {"enc.0.birnn0.weight_ih_l0_reverse", "enc.0.bt1.bias"}),
        ("grup", {"enc.0.rnn1.bias_hh_l0", "enc.0.bt0.weight"}),
        ("lstm", {"enc.0.nbrnn.weight_hh_l1", "enc.0.l_last.weight"}),
        ("vggbgru", {"enc.0.conv2_1.bias", "enc.1.nbrnn.weight_ih_l1_reverse"}),
        ("vgglstmp", {"enc.0.conv1_1.weight", "enc.1.rnn0.weight_ih_l0"}),
    ],
)
def test_parameters_have_espnet1s_names(etype: str, names: set[str]) -> None:
    assert names <= set(build(etype).state_dict())


def test_layers_subsample_and_project() -> None:
    encoder, xs = build("lstmp"), features()
    weights = encoder.enc[0]
    expected = weights.rnn0(xs)[0][:, ::2]
    expected = torch.tanh(weights.bt0(expected))
    expected = weights.bt1(weights.rnn1(expected)[0][:, ::3])
    found, lengths = encoder(xs, torch.tensor([11, 11, 11]))
    torch.testing.assert_close(found, expected)
    assert lengths.tolist() == [2, 2, 2]  # 11 -> (11 + 1) // 2 -> (6 + 1) // 3


def test_a_layer_leaves_at_least_one_frame() -> None:
    hs, lengths = build("blstmp", (3, 4))(features(), torch.tensor([11, 2, 1]))
    assert lengths.tolist() == [1, 1, 1]
    assert hs.shape == (3, 1, PROJS)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 8, 9])
def test_vgg_divides_frames_and_features_by_four_rounding_up(frames: int) -> None:
    xs = features()[:1, :frames]
    hs, [length] = build("vgglstm")(xs, torch.tensor([frames]))
    assert hs.shape[1] == length == -(-frames // 4)
    assert vgg_output_size(83) == 128 * 21


@pytest.mark.parametrize("etype", ["blstmp", "blstm", "vggbgrup"])
def test_dropout_acts_in_training_only(etype: str) -> None:
    encoder, xs = build(etype, dropout=0.5), features()
    lengths = torch.tensor(LENGTHS)
    torch.testing.assert_close(encoder(xs, lengths), encoder(xs, lengths))
    encoder.train()
    assert not torch.equal(encoder(xs, lengths)[0], encoder(xs, lengths)[0])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", RNN_TYPES)
def test_padded_recurrence_equals_torchs_packed_one(
    cell: str, bidirectional: bool
) -> None:
    rnn: nn.RNNBase = RNN_TYPES[cell](
        IDIM, UNITS, 3, batch_first=True, bidirectional=bidirectional
    ).double()
    xs = features().requires_grad_()
    lengths = torch.tensor([3, 11, 7])
    packed = pack_padded_sequence(xs, lengths, batch_first=True, enforce_sorted=False)
    expected = pad_packed_sequence(rnn(packed)[0], batch_first=True)[0]
    valid = (torch.arange(11) < lengths[:, None])[:, :, None]
    found = run_rnn(rnn, xs, lengths) * valid
    torch.testing.assert_close(found, expected)
    probe = torch.randn_like(expected)
    wanted = [xs, *rnn.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad((found * probe).sum(), wanted),
        torch.autograd.grad((expected * probe).sum(), wanted),
    )
