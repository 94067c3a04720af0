"""Recurrent layers, with and without lengths."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.export.case import case, integers


@case("recurrent/rnn-relu", x=(6, 4), outputs=("y", "last"))
class Rnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 5, nonlinearity="relu", batch_first=True)

    def forward(self, x):
        y, last = self.rnn(x)
        return y, last.transpose(0, 1)


@case("recurrent/lstm", x=(6, 4), outputs=("y", "hidden", "cell"))
class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 5, num_layers=2, batch_first=True)

    def forward(self, x):
        y, (hidden, cell) = self.lstm(x)
        return y, hidden.transpose(0, 1), cell.transpose(0, 1)


@case("recurrent/gru-both-ways", x=(6, 4))
class Gru(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(4, 5, bidirectional=True, batch_first=True)

    def forward(self, x):
        return self.gru(x)[0]


@case("recurrent/lstm-any-length", x=(6, 4), axes={"x": ("batch", "time", 4)})
class LstmAnyLength(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 5, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0][:, -1]


@case("recurrent/lstm-with-projection", x=(6, 4))
class LstmProjected(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 6, proj_size=3, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


@case("recurrent/lstm-with-lengths", x=(6, 4), lengths=integers(low=1, high=7))
class LstmLengths(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 5, batch_first=True)

    def forward(self, x, lengths):
        y, _ = self.lstm(x)
        last = (lengths - 1)[:, None, None].expand(-1, 1, y.shape[2])
        return y.gather(1, last)[:, 0]


@case("recurrent/gru-with-masked-mean", x=(6, 4), lengths=integers(low=1, high=7))
class GruLengths(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(4, 5, batch_first=True)

    def forward(self, x, lengths):
        seen = (torch.arange(6)[None, :] < lengths[:, None]).unsqueeze(-1)
        return (self.gru(x)[0] * seen).sum(dim=1) / lengths[:, None]


@case("recurrent/cell-unrolled", x=(6, 4))
class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(4, 5)

    def forward(self, x):
        state = None
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
        return state[0]
