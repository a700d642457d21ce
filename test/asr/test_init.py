"""Finetuning: what is transferred, what is frozen, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from asr_models import IDIM, MODELS, arguments, batch, build
from lm_models import build as build_lm
from tiny_corpus import train_argv, write_corpus

from espnet.asr.init import initialise
from espnet.asr.token_map import TokenMap
from espnet.asr.train import train
from espnet.asr.train_options import InitOptions, parse_train_options
from espnet.nets.asr_interface import ASRInterface
from espnet.train.plot import Studio
from espnet.utils.dynamic_import import dynamic_import
from espnet.utils.errors import DataError, UserError

RNN = "rnn-vggblstmp-location"


def other(name: str) -> ASRInterface:
    """The model with other weights."""
    model = build(name)
    with torch.no_grad():
        for value in model.state_dict().values():
            value += 1
    return model


def changed(model: ASRInterface, name: str) -> set[str]:
    """What is not as in a freshly made model."""
    fresh = build(name).state_dict()
    return {k for k, v in model.state_dict().items() if not torch.equal(v, fresh[k])}


@pytest.fixture
def donor(tmp_path: Path) -> str:
    path = tmp_path / "model.loss.best"
    torch.save(other(RNN).state_dict(), path)
    return str(path)


def test_defaults_are_those_of_the_specification() -> None:
    options = InitOptions()
    assert (options.enc_init, options.dec_init) == (None, None)
    assert options.enc_init_mods == ("enc.enc.",)
    assert options.dec_init_mods == ("att.", "dec.")
    argv = ["--outdir", "o", "--dict", "d", "-b", "2"]
    args = parse_train_options([*argv, "--freeze-mods", "enc.enc.0,dec."])
    assert args.dec_init_mods == ("att.", "dec.")
    assert args.freeze_mods == ("enc.enc.0", "dec.")


def test_nothing_is_done_unless_asked(donor: str) -> None:
    model = build(RNN)
    assert initialise(model, InitOptions()) == ""
    assert not changed(model, RNN)


@pytest.mark.parametrize(
    ("options", "moved"),
    [
        ({"enc": True}, ("enc.",)),
        ({"dec": True}, ("att.", "dec.")),
        ({"enc": True, "dec": True}, ("enc.", "att.", "dec.")),
        ({"enc": True, "enc_init_mods": ("enc.enc.0.",)}, ("enc.enc.0.",)),
        (
            {"enc": True, "enc_init_mods": ("enc.enc.1.bt", "ct")},
            ("enc.enc.1.bt", "ct"),
        ),
        (
            {"dec": True, "dec_init_mods": ("dec.embed", "dec.dec")},
            ("dec.embed", "dec.d"),
        ),
    ],
)
def test_what_is_transferred(donor: str, options: dict, moved: tuple[str, ...]) -> None:
    chosen = dict(options)
    files = {
        f"{part}_init": donor for part in ("enc", "dec") if chosen.pop(part, False)
    }
    model = build(RNN)
    initialise(model, InitOptions(**files, **chosen))
    expected = {name for name in model.state_dict() if name.startswith(moved)}
    assert changed(model, RNN) == expected
    there = other(RNN).state_dict()
    for name in expected:
        torch.testing.assert_close(model.state_dict()[name], there[name])


def test_the_decoders_file_wins(donor: str, tmp_path: Path) -> None:
    torch.save(build(RNN).state_dict(), tmp_path / "snapshot")
    model = other(RNN)
    mods = {"enc_init_mods": ("enc.", "dec."), "dec_init_mods": ("dec.output.",)}
    initialise(
        model,
        InitOptions(enc_init=donor, dec_init=str(tmp_path / "snapshot"), **mods),
    )
    torch.testing.assert_close(model.dec.output.weight, build(RNN).dec.output.weight)
    torch.testing.assert_close(model.dec.embed.weight, other(RNN).dec.embed.weight)


@pytest.mark.parametrize("name", MODELS)
def test_every_encoder_can_be_frozen(name: str) -> None:
    """What is frozen gets no gradient, the rest of the model does."""
    model = build(name)
    part = next(n for n, _ in model.named_parameters() if n.startswith("enc"))
    part = part.split(".")[0] + "."
    table = initialise(model, InitOptions(freeze_mods=(part,)))
    model(*batch()).backward()
    reached = {
        n.startswith(part) for n, p in model.named_parameters() if p.grad is not None
    }
    assert reached == {False}
    assert f"{part[:-1]}" in table and "frozen" in table


def test_shared_tensors_are_frozen_by_either_name() -> None:
    """The attention is registered as att.0 and as dec.att.0."""
    for mods in (("att.",), ("dec.",)):
        model = build(RNN)
        initialise(model, InitOptions(freeze_mods=mods))
        assert not any(p.requires_grad for p in model.att.parameters())


def test_table(donor: str) -> None:
    model = build(RNN)
    mods = ("enc.enc.0.conv1",)
    table = initialise(model, InitOptions(enc_init=donor, freeze_mods=(*mods, "ctc.")))
    lines = table.splitlines()
    last = lines.pop()
    assert last.startswith(f"not taken from {donor}, as no enc- or dec-init-mods name")
    head, *rows = [line.split() for line in lines]
    assert head == ["part", "numbers", "starts", "from", "is"]
    sizes = {name: p.numel() for name, p in model.named_parameters()}

    def count(part: str) -> str:
        return f"{sum(n for name, n in sizes.items() if name.startswith(part)):,}"

    states = {row[0]: row[1:] for row in rows}
    assert states["enc.enc.0.conv1_1"] == [count("enc.enc.0.conv1_1"), donor, "frozen"]
    assert states["enc.enc.0.conv2_2"] == [count("enc.enc.0.conv2_2"), donor, "trained"]
    assert states["enc.enc.1"] == [count("enc.enc.1"), donor, "trained"]
    assert states["ctc"] == [count("ctc"), "random", "frozen"]
    assert states["dec"] == [count("dec"), "random", "trained"]


TOKENS = ["<blank>", "<unk>", "A", "B", "C", "<eos>"]
VOCABULARY = {  # model -> what has a row, or (the last) a column for each token
    RNN: ("ctc.ctc_lo.weight", "ctc.ctc_lo.bias", "dec.embed.weight", "dec.output"),
    "transformer-intermediate": (
        *("ctc.ctc_lo", "decoder.embed.0.weight", "decoder.output_layer"),
        "encoder.conditioning_layer.weight",
    ),
    "transducer-bgru-all-tasks": (
        *("dec.embed.weight", "transducer_tasks.joint_network.lin_out"),
        *("transducer_tasks.ctc_lin", "transducer_tasks.lm_lin"),
    ),
}


def sized(name: str, odim: int) -> ASRInterface:
    return dynamic_import(MODELS[name][0])(IDIM, odim, arguments(name))


@pytest.mark.parametrize("name", VOCABULARY)
@pytest.mark.parametrize(
    "ours",
    [
        ["<blank>", "<unk>", "C", "B", "D", "<eos>"],  # as many, others
        ["<blank>", "B", "X", "Y", "Z", "A", "<unk>", "W", "<eos>"],
    ],
)
def test_rows_follow_their_tokens(name: str, ours: list[str], tmp_path: Path) -> None:
    donor = sized(name, len(TOKENS))
    torch.save(donor.state_dict(), tmp_path / "model.loss.best")
    content = [4, len(TOKENS), {"char_list": TOKENS}]
    (tmp_path / "model.json").write_text(json.dumps(content))
    model = sized(name, len(ours))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    everything = tuple({f"{n.split('.')[0]}." for n in before})
    options = InitOptions(
        enc_init=str(tmp_path / "model.loss.best"),
        enc_init_mods=everything,
        init_map_tokens=True,
    )
    shown = initialise(model, options, ours)
    known = [token for token in ours if token in TOKENS]
    assert f"{len(known)} of the model's {len(ours)} are known" in shown
    there = donor.state_dict()
    for key, value in model.state_dict().items():
        if not key.startswith(VOCABULARY[name]):
            assert torch.equal(value, there[key]), key
            continue
        axis = 1 if "conditioning" in key else 0
        for row, token in enumerate(ours):
            wanted, number = before[key], row
            if token in TOKENS:
                wanted, number = there[key], TOKENS.index(token)
            same = torch.equal(value.select(axis, row), wanted.select(axis, number))
            assert same, (key, token)


def test_tokens_of_nobody(donor: str, tmp_path: Path) -> None:
    options = InitOptions(enc_init=donor, init_map_tokens=True)
    with pytest.raises(UserError, match=r"model.json: cannot be read, or names no tok"):
        initialise(build(RNN), options, TOKENS)
    content = {"char_list_dict": {"b": 1, "a": 0}}  # as language models have it
    (tmp_path / "model.json").write_text(json.dumps(content))
    tokens = TokenMap.of(donor, ["b", "c"])
    assert tokens.theirs == ["a", "b"]
    weights = {"dec.embed.weight": torch.tensor([[1.0], [2.0]])}
    have = {"dec.embed.weight": torch.tensor([[8.0], [9.0]])}
    assert tokens.apply(weights, have)["dec.embed.weight"].tolist() == [[2.0], [9.0]]


def test_a_language_model_is_a_transducers_decoder(tmp_path: Path) -> None:
    """Its decoder then gives what the language model's layers do."""
    size = {"embed_unit": 5, "unit": 7, "layer": 2}
    lm = build_lm("default-lstm", **size)
    torch.save(lm.state_dict(), tmp_path / "rnnlm.model.best")
    model = build("transducer-blstmp-lstm", dlayers=2).eval()
    donor = str(tmp_path / "rnnlm.model.best")
    table = initialise(model, InitOptions(dec_init=donor, dec_init_mods=("dec.",)))
    assert f"{donor}  trained" in table
    tokens = torch.tensor([[0, 3, 4, 1]])
    with torch.no_grad():
        read = lm.predictor.lo(model.dec(tokens, torch.tensor([4])))
        torch.testing.assert_close(read, lm.predictor(tokens))
    again = build("transducer-blstmp-lstm", dlayers=2)
    initialise(again, InitOptions(dec_init=donor))  # by default, att. is named too
    torch.testing.assert_close(again.dec.state_dict(), model.dec.state_dict())
    small = build("transducer-blstmp-lstm", dlayers=2, dunits=6)
    with pytest.raises(DataError, match=r"has shape \(28, 5\) in the file, \(24, 5\)"):
        initialise(small, InitOptions(dec_init=donor, dec_init_mods=("dec.",)))


@pytest.mark.parametrize("etype", ["blstm", "gru", "vggbgru"])
def test_an_attention_models_encoder_becomes_a_transducers(
    etype: str, tmp_path: Path
) -> None:
    """Where both directions hear the same, adding them is laying them side by side."""
    size = {"elayers": 2, "eunits": 4, "eprojs": 3}
    donor = build(RNN, etype=etype, **size).eval()
    torch.save(donor.state_dict(), tmp_path / "model.acc.best")
    model = build("transducer-blstmp-lstm", etype=etype, **size).eval()
    path = str(tmp_path / "model.acc.best")
    initialise(model, InitOptions(enc_init=path, enc_init_mods=("enc.",)))
    have, were = model.state_dict(), donor.state_dict()
    rnn = "enc.enc.1" if etype.startswith("vgg") else "enc.enc.0"
    name = "birnn" if "b" in etype else "rnn"
    for layer in range(2):
        there = have[f"{rnn}.{name}{layer}.weight_hh_l0"]
        torch.testing.assert_close(there, were[f"{rnn}.nbrnn.weight_hh_l{layer}"])
    wide = were[f"{rnn}.nbrnn.weight_ih_l1"]
    expected = wide[:, :4] + wide[:, 4:] if name == "birnn" else wide
    torch.testing.assert_close(have[f"{rnn}.{name}1.weight_ih_l0"], expected)
    wide = were[f"{rnn}.l_last.weight"]
    expected = wide[:, :4] + wide[:, 4:] if name == "birnn" else wide
    torch.testing.assert_close(have[f"{rnn}.l_last.weight"], expected)
    torch.testing.assert_close(have[f"{rnn}.l_last.bias"], were[f"{rnn}.l_last.bias"])
    if name == "rnn":  # then nothing changed but names
        xs, ilens, _ = batch()
        for one, other in zip(
            model.encode_batch(xs, ilens), donor.encode_batch(xs, ilens), strict=True
        ):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"enc_init": "none"}, "none: no such model file; --enc-init wants model.loss"),
        (
            {"enc_init": "", "enc_init_mods": ("encoder.", "enc.")},
            "enc-init-mods: no parameter of .*model.loss.best begins with 'encoder.'; "
            "they begin with att., ctc., dec., enc.",
        ),
        (
            {"freeze_mods": ("dec.", "encoder.")},
            "freeze-mods: no parameter of the model begins with 'encoder.'; they begin",
        ),
    ],
)
def test_mistakes(donor: str, options: dict, words: str) -> None:
    if options.get("enc_init") == "":
        options = {**options, "enc_init": donor}
    with pytest.raises(UserError, match=words):
        initialise(build(RNN), InitOptions(**options))


def test_every_difference_is_named(donor: str) -> None:
    """Nothing is copied then."""
    model = build(RNN, eprojs=6, elayers=1)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(DataError) as error:
        initialise(model, InitOptions(enc_init=donor))
    first, *rest = error.value.problems
    assert "what enc-init-mods enc.enc. names must be the same in both models" in first
    assert (
        f"{donor}: parameter 'enc.enc.1.birnn1.bias_hh_l0' is not in the model" in rest
    )
    assert (
        f"{donor}: parameter 'enc.enc.1.bt0.weight' has shape (5, 12) in the file, "
        "(6, 12) in the model" in rest
    )
    assert len(rest) == 10 + 2
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


def test_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is frozen has the same weights at the end; a rerun goes on."""
    monkeypatch.setattr(Studio, "post", lambda self, name, job: None)
    files = write_corpus(tmp_path / "corpus")
    real = ["--model-module", "espnet.nets.pytorch_backend.e2e_asr:E2E"]
    sizes = ["--elayers", 1, "--eunits", 3, "--eprojs", 3, "--dunits", 3, "--adim", 3]

    def run(outdir: str, *more: object) -> dict[str, torch.Tensor]:
        argv = train_argv(files, tmp_path / outdir, *real, *sizes, *more)
        train(parse_train_options(argv))
        return torch.load(tmp_path / outdir / "snapshot.ep.1", weights_only=True)[
            "model"
        ]

    first = run("first", "--epochs", 1)
    tuning = [
        "--enc-init",
        tmp_path / "first" / "snapshot.ep.1",
        "--freeze-mods",
        "enc.",
    ]
    second = run("second", "--epochs", 1, "--seed", 2, *tuning)
    for name in first:
        assert torch.equal(first[name], second[name]) == name.startswith("enc."), name
    assert "snapshot.ep.1  frozen" in capsys.readouterr().out
    run("second", "--epochs", 2, "--seed", 2, *tuning)
    assert (tmp_path / "second" / "snapshot.ep.2").is_file()
