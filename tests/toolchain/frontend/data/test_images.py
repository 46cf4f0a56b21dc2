import io

import numpy as np
import pytest
from PIL import Image

from profiles.errors import ConfigError, DataError
from toolchain.frontend import InputSpec
from toolchain.frontend.data.images import decode, image_mode


def spec_of(size, channels, layout="NHWC"):
    shape = (size[1], size[0], channels) if layout == "NHWC" else (channels, size[1], size[0])
    return InputSpec((1, *shape), layout)


def test_layouts_hold_the_same_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    image = Image.fromarray(pixels)
    np.testing.assert_array_equal(decode(lambda: image, spec_of((7, 5), 3), "x"), pixels)
    first = decode(lambda: image, spec_of((7, 5), 3, "NCHW"), "x")
    np.testing.assert_array_equal(first, pixels.transpose(2, 0, 1))


def test_colours_become_what_the_model_takes():
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    grey = decode(lambda: red, spec_of((4, 4), 1), "x")
    assert abs(int(grey[0, 0, 0]) - 0.299 * 255) < 1, "ITU-R 601: 0.299 of red"
    three = decode(lambda: Image.new("L", (4, 4), 7), spec_of((4, 4), 3), "x")
    assert (three == 7).all()
    assert decode(lambda: red, spec_of((4, 4), 4), "x")[0, 0].tolist() == [255, 0, 0, 255]
    palette = Image.new("RGB", (4, 4), (10, 20, 30)).quantize(2)
    assert decode(lambda: palette, spec_of((4, 4), 3), "x")[0, 0].tolist() == [10, 20, 30]


def test_resizing_is_bilinear_with_antialiasing():
    checker = np.indices((8, 8)).sum(0) % 2 * 200
    image = Image.fromarray(checker.astype(np.uint8))
    small = decode(lambda: image, spec_of((2, 2), 1), "x")
    assert np.abs(small.astype(int) - 100).max() <= 1, "a checkerboard averages out when shrunk"
    big = decode(lambda: Image.fromarray(np.array([[0, 200]], np.uint8)), spec_of((4, 1), 1), "x")
    assert big.ravel().tolist() == [0, 50, 150, 200]


def test_the_cameras_orientation_is_applied():
    pixels = np.zeros((2, 3), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees: the top left corner belongs to the top right
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    turned = decode(lambda: Image.open(buffer), spec_of((2, 3), 1), "x")[..., 0]
    assert turned.shape == (3, 2)
    assert turned[0, 1] == 255
    assert turned.sum() == 255


def test_deep_images_are_refused_rather_than_clipped():
    deep = Image.fromarray(np.full((4, 4), 40_000, np.uint16))
    with pytest.raises(DataError, match="8 bits"):
        decode(lambda: deep, spec_of((4, 4), 1), "photo 3")


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.2, 0.5, 0.9])
def test_damaged_images_are_named(kind, keep):
    """A cut file is refused, or it holds all that is needed: some formats end in padding."""
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    cut = buffer.getvalue()[: int(len(buffer.getvalue()) * keep)]
    with pytest.raises(DataError, match="photo 3"):
        decode(lambda: Image.open(io.BytesIO(cut)), spec_of((32, 32), 3), "photo 3")


@pytest.mark.parametrize(
    ("spec", "words"), [(InputSpec((1, 64), "NC"), "NCHW or NHWC"), (InputSpec((1, 2, 8, 8)), "1, 3 or 4")]
)
def test_inputs_that_are_no_images(spec, words):
    with pytest.raises(ConfigError, match=words):
        image_mode(spec)
