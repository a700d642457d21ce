"""Training steps and encoders beside the products that they need."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from tools.bench.models import DIMS, VOCABULARY, build
from tools.bench.timing import FLOOR, Work

if TYPE_CHECKING:  # torch is imported by the cases that need it
    from tools.bench.products import Piece

BATCH, FRAMES, LABELS = 4, 400, 30
LENGTHS = (400, 390, 380, 360)
SIZE, HEADS, HEAD, UNITS = 256, 4, 64, 2048  # those of models.BLOCKS
ENCODER_BLOCKS, DECODER_BLOCKS = 12, 6


def training(name: str) -> dict[str, Work]:
    """Encoder forward in evaluation, and an update: all that a training step does.

    B=4, T=400, 83 dimensions, L=30, V=500; utterances of 360 to 400 frames.
    """
    import torch

    from espnet.train.optimizer import OptimizerOptions, make_optimizer
    from tools.bench.products import both

    model = build(name)
    decoding = deepcopy(model).eval()
    parameters = list(model.parameters())
    plan = OptimizerOptions(noam_factor=1.0, noam_dim=SIZE, noam_warmup=25000)
    kind = "adadelta" if name == "rnn" else "noam"
    optimizer = make_optimizer(kind, parameters, plan).optimizer
    xs, lengths = torch.randn(BATCH, FRAMES, DIMS), torch.tensor(LENGTHS)
    ys = torch.randint(1, VOCABULARY - 1, (BATCH, LABELS))

    @torch.no_grad()
    def forward() -> object:
        return decoding.encode_batch(xs, lengths)

    def update() -> None:
        optimizer.zero_grad()
        model(xs, lengths, ys).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()

    encoder, rest = PIECES[name]()
    return {
        "encoder_forward": forward,
        "encoder_forward" + FLOOR: both(encoder)[0],
        "update": update,
        "update" + FLOOR: both([*encoder, *rest])[1],
    }


def _transformer(conformer: bool = False) -> tuple[list[Piece], list[Piece]]:
    """The products of the encoder; those of decoder, CTC and output layer."""
    from tools.bench.products import Convolution, Product

    def linear(rows: int, inner: int, columns: int, count: int = 1) -> list[Piece]:
        return [Product(BATCH * rows, inner, columns)] * count

    def attention(queries: int, keys: int) -> list[Piece]:
        every = BATCH * HEADS
        return [
            Product(queries, HEAD, keys, every),
            Product(queries, keys, HEAD, every),
        ]

    def feed_forward(rows: int) -> list[Piece]:
        return [*linear(rows, SIZE, UNITS), *linear(rows, UNITS, SIZE)]

    half, bins = (FRAMES - 1) // 2, (DIMS - 1) // 2
    frames, width = (half - 1) // 2, (bins - 1) // 2
    encoder: list[Piece] = [
        Convolution((BATCH, 1, FRAMES, DIMS), SIZE, (3, 3), 2, first=True),
        Convolution((BATCH, SIZE, half, bins), SIZE, (3, 3), 2),
        *linear(frames, SIZE * width, SIZE),
    ]
    for _ in range(ENCODER_BLOCKS):
        encoder += linear(frames, SIZE, SIZE, 4)
        encoder += [*attention(frames, frames), *feed_forward(frames)]
        if conformer:
            distances = 2 * frames - 1
            encoder += [Product(distances, SIZE, SIZE)]
            encoder += [Product(frames, HEAD, distances, BATCH * HEADS)]
            encoder += feed_forward(frames)
            encoder += linear(frames, SIZE, 2 * SIZE) + linear(frames, SIZE, SIZE)
            shape = (BATCH, SIZE, 1, frames)
            encoder += [Convolution(shape, SIZE, (1, 31), padded=True, groups=SIZE)]
    labels = LABELS + 1
    rest: list[Piece] = linear(frames, SIZE, VOCABULARY) + linear(
        labels, SIZE, VOCABULARY
    )
    for _ in range(DECODER_BLOCKS):
        rest += linear(labels, SIZE, SIZE, 6) + linear(frames, SIZE, SIZE, 2)
        rest += [*attention(labels, labels), *attention(labels, frames)]
        rest += feed_forward(labels)
    return encoder, rest


def _rnn() -> tuple[list[Piece], list[Piece]]:
    """The same for vggblstmp with location attention."""
    from tools.bench.products import Convolution, Product

    units, decoder, channels, width = 320, 300, 10, 201
    frames, bins, inputs = FRAMES, DIMS, 1
    encoder: list[Piece] = []
    for outputs in (64, 128):
        for before in (inputs, outputs):
            shape = (BATCH, before, frames, bins)
            encoder.append(
                Convolution(shape, outputs, (3, 3), padded=True, first=before == 1)
            )
        frames, bins, inputs = (frames + 1) // 2, (bins + 1) // 2, outputs
    size = 128 * bins
    for _ in range(4):
        for _ in range(2):  # directions
            encoder.append(Product(BATCH * frames, size, 4 * units))
            encoder.append(Product(BATCH, units, 4 * units, steps=frames))
        encoder.append(Product(BATCH * frames, 2 * units, units))
        size = units
    steps = LABELS + 1
    rest: list[Piece] = [
        Product(BATCH * frames, units, VOCABULARY),  # CTC
        Product(BATCH * frames, units, units),  # keys
        Product(BATCH * steps, decoder, 4 * decoder),  # embedded labels
        Product(BATCH * steps, decoder, VOCABULARY),
        Product(BATCH, decoder, units, steps=steps),  # query
        Product(BATCH * frames, width, channels, steps=steps),  # where it was
        Product(BATCH * frames, channels, units, steps=steps),
        Product(BATCH * frames, units, 1, steps=steps),  # energies
        Product(1, frames, units, BATCH, steps=steps),  # context
        Product(BATCH, units + decoder, 4 * decoder, steps=steps),
    ]
    return encoder, rest


PIECES = {
    "rnn": _rnn,
    "transformer": _transformer,
    "conformer": lambda: _transformer(conformer=True),
}
