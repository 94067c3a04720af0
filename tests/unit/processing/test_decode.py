import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from onnxyard.errors import InvalidRequestError, UnsupportedModelError, UserCodeError
from pieces import before, step

DECODE = [step("decode", input="file", output="image", size=[24, 32], antialias=True)]


def photo(height, width, mode="RGB"):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def encoded(image, kind="PNG"):
    held = io.BytesIO()
    image.save(held, kind)
    return held.getvalue()


def stacked(*files):
    longest = max(map(len, files))
    return {"file": np.stack([np.frombuffer(file.ljust(longest, b"\0"), np.uint8) for file in files])}


def test_png_files_of_different_sizes_become_one_batch_as_pillow_reads_them():
    images = [photo(30, 41), photo(12, 9), photo(24, 32, "L"), photo(50, 20, "P"), photo(9, 9, "RGBA")]
    got = before(DECODE, stacked(*map(encoded, images)), free=(0, 1))
    for row, image in enumerate(images):
        # Pillow's own P and RGBA to RGB: the palette's colours, transparency dropped.
        want = image.convert("RGB").resize((32, 24), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(got["image"][row], np.asarray(want, dtype=np.float32), atol=1.01)
        assert got["image.letterbox"][row].tolist()[4:] == [image.height, image.width]


def test_no_files_are_no_images():
    none = {"file": np.zeros((0, 100), np.uint8)}
    assert before(DECODE, none, free=(0, 1))["image"].shape == (0, 24, 32, 3)


def claiming(width, height):
    """A PNG file that says it is of this size."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"\xff",
        bytes(range(64)),
        encoded(photo(20, 20), "JPEG"),  # whole, it would do no harm; there is no telling by its beginning
        encoded(photo(20, 20), "JPEG")[:400],  # hangs the decoder
        encoded(photo(20, 20), "BMP"),  # ends the process
        encoded(photo(20, 20))[:300],
        claiming(60000, 60000),
        claiming(4097, 4096),
    ],
    ids=["empty", "one byte", "garbage", "jpeg", "cut jpeg", "bmp", "cut png", "huge png", "large png"],
)
def test_whatever_is_no_png_fails_the_call_and_nothing_else(file):
    good = encoded(photo(20, 20))
    with pytest.raises((InvalidRequestError, UnsupportedModelError)):
        before(DECODE, stacked(good, file), free=(0, 1))
    with pytest.raises((InvalidRequestError, UnsupportedModelError)):
        before(DECODE, {"file": np.frombuffer(file, np.uint8)[np.newaxis]}, free=(0, 1))


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_byte_is_refused_or_an_image(seed):
    rng = np.random.default_rng(seed)
    file = bytearray(encoded(photo(20, 20)))
    file[rng.integers(len(file))] = rng.integers(256)
    try:
        made = before(DECODE, stacked(bytes(file)), free=(0, 1))
    except (InvalidRequestError, UnsupportedModelError):
        return
    assert np.isfinite(made["image"]).all()


def test_only_bytes_are_decoded():
    with pytest.raises(UserCodeError, match="not files"):
        before(DECODE, {"file": np.array(["a.png"], dtype=object)})
