"""One step of the decoder's recurrent cells.

The first cell reads a label's embedding and a context. What the embedding adds to the
gates does not depend on the step, so that training computes it for all labels at once;
what is left of a step is one matrix product, of context and state together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CellState(NamedTuple):
    """Output z (N, D) and memory c (N, D) of a cell; c is (N, 0) for a GRU."""

    z: Tensor
    c: Tensor


Cell = nn.LSTMCell | nn.GRUCell
Weights = tuple[Tensor, ...]


@dataclass(frozen=True)
class CellKind:
    """How to build and step a type of cell.

    Attributes:
        module: ``module(input size, D)``.
        memory: columns of ``c`` for D = 1.
        project: (cell, embeddings (..., D)) -> what they add to the gates (..., G D).
        prepare: (cell, D) -> its weights for ``first``.
        first: (projected embedding (N, G D), context (N, E), state, weights) -> state.
        step: (cell, input (N, D), state) -> state.
    """

    module: type[nn.LSTMCell] | type[nn.GRUCell]
    memory: int
    project: Callable[[Cell, Tensor], Tensor]
    prepare: Callable[[Cell, int], Weights]
    first: Callable[[Tensor, Tensor, CellState, Weights], CellState]
    step: Callable[[Cell, Tensor, CellState], CellState]


def _project_lstm(cell: Cell, embedded: Tensor) -> Tensor:
    weight = cell.weight_ih[:, : embedded.shape[-1]]
    return F.linear(embedded, weight, cell.bias_ih + cell.bias_hh)


def _prepare_lstm(cell: Cell, size: int) -> Weights:
    return (torch.cat([cell.weight_ih[:, size:], cell.weight_hh], 1).t(),)


def _first_lstm(
    projected: Tensor, context: Tensor, state: CellState, weights: Weights
) -> CellState:
    inputs = torch.cat([context, state.z], 1)
    i, f, g, o = torch.addmm(projected, inputs, weights[0]).chunk(4, 1)
    c = f.sigmoid() * state.c + i.sigmoid() * g.tanh()
    return CellState(o.sigmoid() * c.tanh(), c)


def _step_lstm(cell: Cell, xs: Tensor, state: CellState) -> CellState:
    return CellState(*cell(xs, state))


def _project_gru(cell: Cell, embedded: Tensor) -> Tensor:
    return F.linear(embedded, cell.weight_ih[:, : embedded.shape[-1]], cell.bias_ih)


def _prepare_gru(cell: Cell, size: int) -> Weights:
    return cell.weight_ih[:, size:].t(), cell.weight_hh, cell.bias_hh


def _first_gru(
    projected: Tensor, context: Tensor, state: CellState, weights: Weights
) -> CellState:
    context_weight, hidden_weight, hidden_bias = weights
    inputs = torch.addmm(projected, context, context_weight).chunk(3, 1)
    hidden = F.linear(state.z, hidden_weight, hidden_bias).chunk(3, 1)
    reset, update = ((inputs[k] + hidden[k]).sigmoid() for k in (0, 1))
    new = (inputs[2] + reset * hidden[2]).tanh()
    return CellState(torch.lerp(new, state.z, update), state.c)


def _step_gru(cell: Cell, xs: Tensor, state: CellState) -> CellState:
    return CellState(cell(xs, state.z), state.c)


CELLS = {
    "lstm": CellKind(
        nn.LSTMCell, 1, _project_lstm, _prepare_lstm, _first_lstm, _step_lstm
    ),
    "gru": CellKind(nn.GRUCell, 0, _project_gru, _prepare_gru, _first_gru, _step_gru),
}
