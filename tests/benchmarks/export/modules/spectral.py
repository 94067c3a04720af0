"""Fourier transforms and complex numbers."""

from __future__ import annotations

import torch
from torch import fft, nn

from benchmarks.export.case import case


@case("spectral/rfft-magnitude", x=(9,))
class Magnitude(nn.Module):
    def forward(self, x):
        return fft.rfft(x).abs()


@case("spectral/fft-and-back", x=(8,))
class ThereAndBack(nn.Module):
    def forward(self, x):
        return fft.ifft(fft.fft(x) * 2).real


@case("spectral/irfft-odd-length", x=(9,))
class OddLength(nn.Module):
    def forward(self, x):
        spectrum = fft.rfft(x, norm="ortho")
        return fft.irfft(spectrum * (torch.arange(5) < 3), n=9, norm="ortho")


@case("spectral/two-dimensional-mixing", x=(6, 8))
class Mixing(nn.Module):
    """FNet's mixing layer (Lee-Thorp et al., 2021)."""

    def forward(self, x):
        return fft.fft2(x).real


@case("spectral/global-filter", x=(6, 8))
class GlobalFilter(nn.Module):
    """A learnt filter in the frequency domain (Rao et al., 2021)."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 5, 2))

    def forward(self, x):
        return fft.irfft2(fft.rfft2(x) * torch.view_as_complex(self.weight), s=(6, 8))


@case("spectral/spectrogram", x=(64,))
class Spectrogram(nn.Module):
    def forward(self, x):
        window = torch.hann_window(16)
        return torch.stft(x, 16, hop_length=4, window=window, return_complex=True).abs().clamp_min(1e-3).log()


@case("spectral/shifted", x=(7, 6))
class Shifted(nn.Module):
    def forward(self, x):
        return fft.fftshift(fft.fft2(x), dim=(1, 2)).abs()


@case("spectral/complex-arithmetic", x=(5,), outputs=("product", "quotient", "angle"))
class Arithmetic(nn.Module):
    def forward(self, x):
        one, other = torch.complex(x, x.flip(1)), torch.complex(x + 3, x * x)
        return torch.view_as_real(one * other.conj()), torch.view_as_real(one / other), torch.angle(other)


@case("spectral/complex-einsum", x=(4, 4))
class ComplexEinsum(nn.Module):
    def forward(self, x):
        return torch.view_as_real(torch.einsum("bij,bjk->bik", torch.complex(x, -x), torch.complex(x, x + 1)))


@case("spectral/polar", x=(5,))
class Polar(nn.Module):
    def forward(self, x):
        return torch.view_as_real(torch.polar(x.abs(), x * 3))
