"""Facts that hold for every recogniser of the table ``MODELS``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from asr_models import IDIM, MODELS, ODIM, arguments, batch, build

from espnet.nets.asr_interface import ASRInterface
from espnet.nets.pytorch_backend.packing import PackedLinear
from espnet.utils.errors import UserError
from espnet.utils.options import read_config

KEYS = {"loss", "loss_ctc", "loss_att", "acc", "cer_ctc", "cer", "wer"}
KEYS |= {"loss_trans", "loss_aux_trans", "loss_symm_kl_div", "loss_lm"}

every_model = pytest.mark.parametrize("name", MODELS)


def reported(model: ASRInterface) -> dict[str, float]:
    return {key: float(value) for key, value in model.reported.items()}


@every_model
def test_the_loss_of_one_batch_falls(name: str) -> None:
    model = build(name)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = model(*batch())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@every_model
def test_padding_changes_no_encoder_output(name: str) -> None:
    model = build(name).eval()
    xs, ilens, _ = batch()
    hs, hlens = model.encode_batch(xs, ilens)
    for b, length in enumerate(ilens):
        alone = model.encode(xs[b, :length])
        torch.testing.assert_close(hs[b, : hlens[b]], alone, rtol=1e-4, atol=1e-5)
        assert not hs[b, hlens[b] :].any()


@every_model
def test_prepared_for_decoding_it_hears_the_same(name: str) -> None:
    model = build(name).eval()
    twin = model.prepared()
    xs, ilens, _ = batch()
    with torch.no_grad():  # utterances go through convolutions one by one
        hs, hlens = twin.encode_batch(xs, ilens)
    expected, lengths = model.encode_batch(xs, ilens)
    torch.testing.assert_close(hs, expected, rtol=1e-4, atol=1e-5)
    assert hlens.tolist() == lengths.tolist()
    packed = [isinstance(part, PackedLinear) for part in twin.modules()]
    assert any(packed)
    assert not any(isinstance(part, PackedLinear) for part in model.modules())


@every_model
def test_padding_changes_no_loss(name: str) -> None:
    model = build(name, report_cer=True).eval().double()
    xs, ilens, ys = batch(torch.double)
    xs, ilens, ys = xs[2:], ilens[2:], ys[2:]
    model(xs[:, :13], ilens, ys[:, :2])
    alone = reported(model)
    xs[:, 13:] = 1.0
    model(xs, ilens, ys)
    assert reported(model) == pytest.approx(alone, rel=1e-9)


@every_model
def test_padding_changes_no_loss_in_training(name: str) -> None:
    """Statistics of a batch norm are of valid frames alone."""
    xs, ilens, ys = batch(torch.double)
    losses = []
    for padding, longest in ((0.0, 29), (1.0, 41)):
        padded = torch.full((3, longest, IDIM), padding, dtype=torch.double)
        for x, longer, length in zip(xs, padded, ilens, strict=True):
            longer[:length] = x[:length]
        losses.append(build(name).train().double()(padded, ilens, ys).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


@every_model
def test_order_in_a_batch_changes_no_loss(name: str) -> None:
    model = build(name, report_cer=True, report_wer=True).eval().double()
    parts = batch(torch.double)
    model(*parts)
    longest_first = reported(model)
    assert {"loss"} < set(longest_first)
    model(*(part[[1, 2, 0]] for part in parts))
    assert reported(model) == pytest.approx(longest_first, rel=1e-9)


@every_model
def test_saved_and_loaded_it_says_the_same(name: str, tmp_path: Path) -> None:
    model = build(name).eval()
    torch.save(model.state_dict(), tmp_path / "model.loss.best")
    other = build(name).eval()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    state = torch.load(tmp_path / "model.loss.best", weights_only=True)
    other.load_state_dict(state, strict=True)
    torch.testing.assert_close(other(*batch()), model(*batch()))


@every_model
def test_model_json_rebuilds_it(name: str) -> None:
    model = build(name)
    written = {**vars(arguments(name)), "epochs": 30, "train_json": None}
    read = json.loads(json.dumps(written))
    options = read_config(model.Config, read)
    rebuilt = type(model)(IDIM, ODIM, options)
    rebuilt.load_state_dict(model.state_dict(), strict=True)
    assert options == read_config(model.Config, arguments(name))
    torch.testing.assert_close(rebuilt.eval()(*batch()), model.eval()(*batch()))


@every_model
def test_gradients_are_finite_and_reach_every_parameter(name: str) -> None:
    model = build(name)
    model(*batch()).backward()
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
            # an addend to all energies alike changes no weight
            idle = "gvec" in key and key.endswith("bias")
            assert parameter.grad.any() or idle, key
        else:
            assert parameter.grad is None, key


@every_model
def test_it_works_in_double_precision(name: str) -> None:
    single, double = build(name).eval(), build(name).eval().double()
    loss = double(*batch(torch.double))
    assert loss.dtype == torch.double
    torch.testing.assert_close(single(*batch()).double(), loss, rtol=1e-4, atol=1e-4)


@every_model
def test_it_works_with_automatic_mixed_precision(name: str) -> None:
    single, mixed = build(name).eval(), build(name).eval()
    with torch.autocast("cpu", torch.bfloat16):
        loss = mixed(*batch())
    loss.backward()
    assert float(loss.detach()) == pytest.approx(single(*batch()).item(), rel=0.01)


@pytest.mark.slow  # the compiler reads every line of the model: 10 s for each
@every_model
def test_compiled_it_says_the_same(name: str) -> None:
    """Whatever the compiler cannot follow runs as before; no code is generated."""
    torch.compiler.reset()
    model = build(name).eval()
    compiled = torch.compile(model, backend="eager")
    expected, expected_values = model(*batch()), reported(model)
    torch.testing.assert_close(compiled(*batch()), expected)
    assert reported(model) == pytest.approx(expected_values, rel=1e-5)


@every_model
def test_reported_values_are_finite_and_hold_no_graph(name: str) -> None:
    model = build(name)
    loss = model(*batch())
    assert {"loss"} <= set(model.reported) <= KEYS
    assert model.reported["loss"] == loss
    for value in model.reported.values():
        assert torch.isfinite(torch.as_tensor(value))
        assert not torch.as_tensor(value).requires_grad


@every_model
def test_scorers_have_distributions(name: str) -> None:
    model = build(name).eval()
    hs, hlens = model.encode_batch(*batch()[:2])
    scorers = model.scorers()
    assert scorers
    for key in set(scorers) & {"decoder"}:
        state = scorers[key].start(hs, hlens, 2)
        scores, _ = scorers[key].score(torch.full((6,), model.eos), state)
        assert scores.shape == (6, ODIM)
        torch.testing.assert_close(scores.exp().sum(-1), torch.ones(6))


@every_model
def test_pictures_of_attention_and_ctc(name: str) -> None:
    model = build(name).train()
    hs, hlens = model.encode_batch(*batch()[:2])
    for weights in model.calculate_all_attentions(*batch()).values():
        assert weights.shape[0] == 3
        rows, columns = weights.shape[-2:]
        assert rows in (5, hs.shape[1])
        if columns == hs.shape[1]:
            known = hlens[2] if rows == columns else rows
            assert weights.sum(-1) == pytest.approx(1.0, abs=1e-5)
            assert not weights[2, ..., :known, hlens[2] :].any()
    probs = model.calculate_all_ctc_probs(*batch())
    if probs is not None:
        assert probs.shape == (*hs.shape[:2], ODIM)
        assert probs.sum(-1) == pytest.approx(1.0, abs=1e-5)
    assert model.training


@every_model
def test_ctc_of_encoder_output_is_that_of_the_whole(name: str) -> None:
    model = build(name).eval()
    whole = model.calculate_all_ctc_probs(*batch())
    with torch.no_grad():
        found = model.ctc_log_probs(model.encode_batch(*batch()[:2])[0])
    assert (whole is None) == (found is None)
    if whole is not None and found is not None:
        assert found.exp().numpy() == pytest.approx(whole, abs=1e-5)


@every_model
def test_subsampling_factor_is_that_of_a_long_utterance(name: str) -> None:
    model = build(name).eval()
    frames = model.encode(torch.randn(120 * model.subsample_input, IDIM)).shape[0]
    assert 120 * model.subsample_input // frames == model.get_total_subsampling_factor()


@every_model
def test_features_of_another_dimension_are_refused(name: str) -> None:
    xs, ilens, ys = batch()
    with pytest.raises(
        UserError, match=f"7 dimensions, the model was built for {IDIM}"
    ):
        build(name)(xs[..., :7], ilens, ys)


@every_model
def test_an_utterance_without_frames_is_refused(name: str) -> None:
    xs, ilens, ys = batch()
    with pytest.raises(UserError, match="utterance 3 of 3 in the batch has no frames"):
        build(name)(xs, ilens * torch.tensor([1, 1, 0]), ys)


@pytest.mark.gpu
@every_model
def test_gpu_and_cpu_agree(name: str) -> None:
    model = build(name).eval()
    expected = model(*batch()).item()
    values = reported(model)
    model.cuda()
    xs, ilens, ys = batch()
    loss = model(xs.cuda(), ilens, ys)
    loss.backward()
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert reported(model) == pytest.approx(values, rel=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@every_model
def test_gpu_with_automatic_mixed_precision(name: str, dtype: torch.dtype) -> None:
    model = build(name).cuda()
    xs, ilens, ys = batch()
    expected = model(xs.cuda(), ilens, ys).item()
    with torch.autocast("cuda", dtype):
        loss = model(xs.cuda(), ilens, ys)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=0.02)
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
