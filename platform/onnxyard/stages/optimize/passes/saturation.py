"""Whether this processor adds up 8-bit products in 16 bits, and so loses what does not fit."""

from __future__ import annotations

from onnxyard.runtimes.machine import describe

_WIDE = frozenset({"avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8", "asimd"})


def int8_products_saturate() -> bool:
    """Whether int8 weights have to stay within 7 bits here.

    Without VNNI, the x86 kernels of ONNX Runtime and oneDNN multiply with VPMADDUBSW: two products of an unsigned and
    a signed byte are added in 16 bits with saturation, 2 * 255 * 127 > 32767 (Intel's manual, volume 2). Nothing tells
    of it. Signed activations are shifted to unsigned ones first, so it is no different with S8S8. On such a processor
    a small MLP answered with 21 dB instead of the 41 dB of the same graph computed exactly, and with 38 dB where the
    weights were kept within 7 bits, which costs half of a step of each.
    """
    flags = set(describe()["flags"].split())
    return "avx2" in flags and not flags & _WIDE
