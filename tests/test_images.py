"""Images: every kind of array and file that is taken, and the words in which the others are refused.

Held against arrays whose values are known, written with Pillow or byte by byte in every mode; wrong ones
against the message.
"""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from npmaskrcnn import judge
from npmaskrcnn.errors import InputError, InputWarning
from npmaskrcnn.images import as_float_image, read_image

HEIGHT, WIDTH = 5, 7
RNG = np.random.default_rng(5)
RGB = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GRAY = RGB[:, :, 0]
ORIENTATION = 0x0112   # the EXIF tag


# ---- arrays ----

ACCEPTED = {
    "uint8 RGB": (RGB, RGB / 255),
    "uint8 gray": (GRAY, GRAY[:, :, None] / 255),
    "uint8 gray, one channel": (GRAY[:, :, None], GRAY[:, :, None] / 255),
    "uint16": (RGB.astype(np.uint16) * 257, RGB / 255),
    "bool": (GRAY > 100, (GRAY > 100)[:, :, None]),
    "float32": ((RGB / 255).astype(np.float32), RGB / 255),
    "float64": (RGB / 255, RGB / 255),
    "float16": (np.float16(GRAY / 256), GRAY[:, :, None] / 256),
    "big-endian": ((RGB / 255).astype(">f4"), RGB / 255),
    "just above 1": (np.full((HEIGHT, WIDTH), 1 + 1e-6), 1.0),
    "just below 0": (np.full((HEIGHT, WIDTH), -1e-6), 0.0),
    "all black": (np.zeros_like(RGB), 0.0),
    "one pixel": (RGB[:1, :1], RGB[:1, :1] / 255),
    "three rows high": (RGB[:3], RGB[:3] / 255),
    "Fortran order": (np.asfortranarray(RGB), RGB / 255),
    "every second pixel": (RGB[::2, ::-2], RGB[::2, ::-2] / 255),
}


@pytest.mark.parametrize("image, expected", ACCEPTED.values(), ids=ACCEPTED)
def test_an_image_array_becomes_rgb_in_0_to_1_and_stays_as_it_was(image, expected):
    before = image.copy()
    image.flags.writeable = False
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        result = as_float_image(image)
    assert result.dtype == np.float32 and result.flags.c_contiguous and result.flags.writeable
    assert result.shape == image.shape[:2] + (3,)
    # One rounding to float32; float16 input is exact here.
    np.testing.assert_allclose(result, np.broadcast_to(expected, result.shape), atol=6e-8, rtol=0)
    np.testing.assert_array_equal(image, before)
    assert not np.shares_memory(result, image)
    image.flags.writeable = True


def test_the_result_has_the_type_that_is_asked_for():
    result = as_float_image(RGB, dtype=np.float64)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, RGB / 255)


def test_transparent_pixels_become_white_and_half_transparent_ones_are_mixed():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0] = [[255, 0, 0, 0], [0, 102, 0, 255], [0, 0, 0, 51]]     # alpha 0, 1, 1/5
    np.testing.assert_allclose(as_float_image(rgba), [[[1, 1, 1], [0, .4, 0], [.8, .8, .8]]], atol=1e-7)
    np.testing.assert_allclose(as_float_image(rgba[:, :, 2:]), [[[1] * 3, [0] * 3, [.8] * 3]], atol=1e-7)


def test_a_pillow_image_is_taken_as_well():
    np.testing.assert_array_equal(as_float_image(Image.fromarray(RGB)), as_float_image(RGB))


@pytest.mark.parametrize("image, hint", [
    (np.ones((HEIGHT, WIDTH), np.uint8), "multiply by 255"),
    (RGB.astype(np.uint16), "--white 255"),
], ids=["uint8 of zeros and ones", "uint16 of 8 bit values"])
def test_an_image_that_would_be_almost_black_by_its_type_gives_a_warning(image, hint):
    with pytest.warns(InputWarning, match=f"dog.png: .*(black|dark); .*{hint}"):
        result = as_float_image(image, name="dog.png")
    assert result.max() < 0.005


REFUSED_ARRAYS = {
    "float 0 to 255": (RGB.astype(np.float32), "float values up to 25.*expected 0..1; divide by 255"),
    "float above 256": (RGB * 257.0, "divide by the value that means white"),
    "normalized": (RGB / 100 - 1.2, "expected 0..1; normalized already"),
    "NaN": (np.where(np.arange(21).reshape(3, 7) == 10, np.nan, .5), "row 1, column 3 is not finite"),
    "inf": (np.where(np.arange(21).reshape(3, 7) == 10, np.inf, .5), "row 1, column 3 is not finite"),
    "int64": (RGB.astype(np.int64), r"int64, expected uint8.*astype\(np.uint8\)"),
    "complex": (RGB * 1j, "complex128"),
    "text": (np.array([["a"]]), "expected uint8"),
    "objects": (np.array([[None]]), "object"),
    "channels first": (np.moveaxis(RGB, -1, 0), r"\(C, H, W\): np.moveaxis\(image, 0, -1\)"),
    "batch": (RGB[None], r"a batch\? take one image of it"),
    "eight bands": (np.zeros((9, 9, 8), np.uint8), "8 channels"),
    "one row": (GRAY[0], r"shape \(7,\), expected \(H, W, 3\)"),
    "no width": (np.zeros((4, 0, 3), np.uint8), "has no pixel"),
    "no channel": (np.zeros((4, 3, 0), np.uint8), "has no pixel"),
    "nothing": (np.zeros(0), "expected"),
    "list": (RGB.tolist(), "got list"),
    "None": (None, "got NoneType"),
    "path": ("dog.jpg", "got the path 'dog.jpg'.*read_image"),
    # Broadcast, so that only a copy would need the memory.
    "too large": (np.broadcast_to(np.uint8(9), (9000, 4001, 3)),
                  r"4001 x 9000 pixels, about 412 MiB .*36000000.*tiles"),
}


@pytest.mark.parametrize("image, message", REFUSED_ARRAYS.values(), ids=REFUSED_ARRAYS)
def test_a_wrong_array_is_refused_in_one_line_that_names_it(image, message):
    with pytest.raises(InputError, match=message) as caught, np.errstate(all="raise"):
        as_float_image(image, name="dog.png")
    assert str(caught.value).startswith("dog.png: ") and "\n" not in str(caught.value)


# ---- files ----

def saved(image, path, **options):
    image.save(path, **options)
    return path


def with_palette():
    image = Image.new("P", (WIDTH, HEIGHT), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    return image


CONVERTED = {
    "gray": ("L", "png", 90, (90, 90, 90)),
    "one bit": ("1", "png", 1, (255, 255, 255)),
    "gray and alpha": ("LA", "png", (90, 0), (255, 255, 255)),
    "RGBA": ("RGBA", "png", (10, 20, 30, 0), (255, 255, 255)),
    "RGBA, opaque": ("RGBA", "png", (10, 20, 30, 255), (10, 20, 30)),
    "RGBA, a fifth": ("RGBA", "png", (0, 0, 0, 51), (204, 204, 204)),
    "CMYK": ("CMYK", "tif", (0, 255, 0, 0), (255, 0, 255)),
}


@pytest.mark.parametrize("mode, ending, value, expected", CONVERTED.values(), ids=CONVERTED)
def test_a_file_of_any_mode_becomes_rgb(tmp_path, mode, ending, value, expected):
    image = read_image(saved(Image.new(mode, (WIDTH, HEIGHT), value), tmp_path / f"a.{ending}"))
    assert image.dtype == np.uint8 and image.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(image, np.broadcast_to(expected, image.shape))


def test_rgb_pixels_come_back_as_they_were(tmp_path):
    path = saved(Image.fromarray(RGB), tmp_path / "with a space.PNG", format="PNG")
    np.testing.assert_array_equal(read_image(path), RGB)
    np.testing.assert_array_equal(read_image(str(path)), RGB)


def test_a_palette_is_looked_up_and_its_transparent_color_is_white(tmp_path):
    np.testing.assert_array_equal(read_image(saved(with_palette(), tmp_path / "a.png"))[2, 3], [10, 200, 30])
    see_through = saved(with_palette(), tmp_path / "b.png", transparency=1)
    np.testing.assert_array_equal(read_image(see_through)[2, 3], [255, 255, 255])


def test_16_bits_are_scaled_and_not_cut_off(tmp_path):
    ramp = np.linspace(0, 65535, HEIGHT * WIDTH).round().astype(np.uint16).reshape(HEIGHT, WIDTH)
    image = read_image(saved(Image.fromarray(ramp), tmp_path / "a.png"))
    # 65535 / 255 = 257: half a step of rounding.
    np.testing.assert_allclose(image[:, :, 1], ramp / 257, atol=0.5)
    assert len(np.unique(image)) == HEIGHT * WIDTH


def test_16_bits_that_hold_8_give_a_warning(tmp_path):
    path = saved(Image.fromarray(GRAY.astype(np.uint16)), tmp_path / "a.png")
    with pytest.warns(InputWarning, match=r"a\.png: 16 bits, but no value is above"):
        read_image(path)


@pytest.mark.parametrize("orientation, turn", [(1, lambda a: a), (3, lambda a: a[::-1, ::-1]),
                                               (6, lambda a: np.rot90(a, -1)), (8, lambda a: np.rot90(a))])
def test_the_exif_orientation_is_applied(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = saved(Image.fromarray(RGB), tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(path), turn(RGB))


def test_of_an_animation_the_first_picture_is_read_with_a_warning(tmp_path):
    frames = [Image.new("RGB", (WIDTH, HEIGHT), color) for color in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    path = saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.warns(InputWarning, match=r"a\.gif: holds 3 pictures"):
        image = read_image(path)
    np.testing.assert_array_equal(image[0, 0], [200, 0, 0])


def encoded(ending, image=None):
    buffer = io.BytesIO()
    (image or Image.fromarray(RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8))).save(buffer, ending)
    return buffer.getvalue()


def half(data):
    return data[:len(data) // 2]


REFUSED_FILES = {
    "empty": ("a.png", b"", "is empty"),
    "web page": ("a.png", b"<!DOCTYPE html><html>404</html>", "it is a web page"),
    "text": ("a.jpg", b"hello there, this is no picture", "is not an image"),
    "half a PNG": ("a.png", half(encoded("PNG")), "damaged or incomplete"),
    "half a JPEG": ("a.jpg", half(encoded("JPEG")), "damaged or incomplete"),
    "a PNG's first bytes": ("a.png", encoded("PNG")[:20], "a.png: "),
    "float TIFF": ("a.tif", encoded("TIFF", Image.new("F", (WIDTH, HEIGHT), 0.5)), "mode F"),
    "32 bit TIFF": ("a.tif", encoded("TIFF", Image.new("I", (WIDTH, HEIGHT), 70000)),
                    "32 bit values from 70000"),
}


@pytest.mark.parametrize("file_name, data, message", REFUSED_FILES.values(), ids=REFUSED_FILES)
def test_a_file_that_cannot_be_used_is_refused_with_its_path(tmp_path, file_name, data, message):
    path = tmp_path / file_name
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_image(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_missing_file_a_folder_and_no_path_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.png: no such file"):
        read_image(tmp_path / "nowhere.png")
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(InputError, match="path must be a file name or a path, got an array of shape"):
        read_image(RGB)


def test_any_single_damaged_byte_gives_a_picture_or_an_input_error(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "a"
    outcomes = {"read": 0, "refused": 0}
    for data in (encoded("PNG"), encoded("JPEG"), encoded("GIF"), encoded("TIFF")):
        for position in np.concatenate([np.arange(40), rng.integers(0, len(data), 10)]):
            broken = bytearray(data)
            broken[position] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(broken))
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")      # Pillow's own remarks about odd tags
                    image = read_image(path)
                assert image.ndim == 3 and image.shape[2] == 3
                outcomes["read"] += 1
            except InputError as error:
                assert str(error).startswith(str(path))
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 20   # both happen, so both are tested


def test_a_file_beyond_the_limit_is_refused_by_its_header(tmp_path, monkeypatch):
    monkeypatch.setattr(judge, "MAX_PIXELS", HEIGHT * WIDTH - 1)
    path = saved(Image.fromarray(RGB), tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png: 7 x 5 pixels, .* limit is 34 pixels; .*tiles"):
        read_image(path)


@pytest.mark.parametrize("side", [10_000, 14_000])   # Pillow warns above 89 megapixels and refuses above 179
def test_a_file_beyond_pillows_limits_is_refused_with_ours(tmp_path, side):
    data = bytearray(encoded("PNG"))
    data[16:24] = struct.pack(">II", side, side)                    # IHDR: width and height ...
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))        # ... and its checksum
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=r"a\.png: .*36000000 pixels.*tiles"):
            read_image(path)


# ---- fewer bits than the file has ----

DEPTHS = [(255, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16383, 14)]


@pytest.mark.parametrize("largest, bits", DEPTHS)
@pytest.mark.parametrize("shape", [(4, 7), (4, 7, 3), "file"])
def test_fewer_bits_than_16_are_named_and_white_makes_them_right(tmp_path, largest, bits, shape):
    values = np.linspace(0, largest, 28).round().astype(np.uint16).reshape(4, 7)
    white = 2**bits - 1
    if shape == "file":
        path = saved(Image.fromarray(values), tmp_path / "a.tif")
        read, scale = lambda **options: read_image(path, **options), 255
    else:
        array = values if len(shape) == 2 else np.repeat(values[..., None], 3, axis=2)
        read, scale = lambda **options: as_float_image(array, "a.tif", **options), 1
    said = rf"a\.tif: 16 bits, .*above {largest}, .*has {bits} bits, .*--white {white}"
    with pytest.warns(InputWarning, match=said):
        assert read().max() < scale / 3.9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(read(white=white)[..., 1], scale * (values / white), atol=.5 if scale > 1 else 1e-7)
    with pytest.raises(InputError, match=f"a.tif: values from 0 to {largest}, expected 0 to {largest - 1}, .*white"):
        read(white=largest - 1)


def test_the_whole_range_and_black_have_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_float_image(np.array([[0, 16384]], np.uint16))
        as_float_image(np.zeros((3, 4), np.uint16))


@pytest.mark.parametrize("array", [np.linspace(0, 4095, 28).reshape(4, 7), np.arange(28).reshape(4, 7) * 151,
                                   np.arange(28, dtype=np.uint8).reshape(4, 7)], ids=["float", "int64", "uint8"])
def test_with_white_numbers_of_any_type_are_divided(array):
    np.testing.assert_allclose(as_float_image(array, white=4095)[..., 0], array / 4095, rtol=1e-6)


@pytest.mark.parametrize("array, white, message", [
    (GRAY, 0, "white must be a number from 1e-06 to"), (GRAY, np.nan, "white must be"), (GRAY, "1", "white must be"),
    (GRAY > 9, 1, "values of type bool; white goes with numbers"), (np.array([[-1, 5]]), 9, "values from -1 to 5"),
    (np.array([[np.nan, 5]]), 9, "from nan to nan")])
def test_what_white_does_not_fit_is_refused(array, white, message):
    with pytest.raises(InputError, match=message):
        as_float_image(array, white=white)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_32_bits_are_taken_if_white_is_said(tmp_path, mode):
    values = np.linspace(0, 100_000, 28).reshape(4, 7).astype({"F": np.float32, "I": np.int32}[mode])
    path = saved(Image.fromarray(values), tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif: holds 32 bit values from 0 to 100000 .*--white"):
        read_image(path)
    np.testing.assert_allclose(read_image(path, white=100_000)[..., 2], values / 100_000 * 255, atol=.51)
    np.testing.assert_allclose(as_float_image(Image.open(path), white=100_000)[..., 2], values / 100_000, atol=.002)


def color_of_16_bits(path, values):
    """Write (H, W, 3) uint16 as PNG, which Pillow cannot."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2, 0, 0, 0)
    parts = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
             for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def test_of_color_with_16_bits_the_upper_ones_are_read_and_that_is_said_where_they_are_dark(tmp_path):
    values = np.linspace(0, 65535, 84).reshape(4, 7, 3).round().astype(np.uint16)
    path = color_of_16_bits(tmp_path / "a.png", values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(read_image(path), values / 257, atol=1)
    with pytest.raises(InputError, match=r"a\.png: has 16 bits a channel, .*as_float_image"):
        read_image(path, white=4095)
    path = color_of_16_bits(tmp_path / "b.png", values >> 4)
    with pytest.warns(InputWarning, match=r"b\.png: 16 bits a channel, but no value is above 4095"):
        read_image(path)


def test_files_of_8_bits_and_16_bits_a_pixel_do_not_ask_for_white(tmp_path):
    path = saved(Image.fromarray(RGB), tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(path, white=4095), RGB)


def test_a_pillow_image_whose_pixels_are_gone_or_damaged_is_refused(tmp_path):
    closed = Image.new("RGB", (8, 8))
    closed.close()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:2000])
    for image in (closed, Image.open(tmp_path / "cut.png")):
        with pytest.raises(InputError, match="image: its pixels cannot be read"):
            as_float_image(image)


RAMP = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)


def test_a_tiff_of_16_bits_whose_zero_is_white_is_turned_round(tmp_path):
    for name, photometric in (("black.tif", 1), ("white.tif", 0)):
        Image.fromarray(RAMP).save(tmp_path / name, tiffinfo={262: photometric})
    np.testing.assert_array_equal(read_image(tmp_path / "white.tif"), 255 - read_image(tmp_path / "black.tif"))


def test_the_transparent_number_of_16_bit_gray_lies_on_white(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png", transparency=int(RAMP[2, 3]))
    image = read_image(tmp_path / "a.png")
    assert image[2, 3].tolist() == [255] * 3 and image[2, 2, 0] == round(RAMP[2, 2] / 257)


def test_a_tiff_of_32_bits_is_not_taken_for_one_of_16_whatever_its_values(tmp_path):
    Image.fromarray(RAMP.astype(np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="a.tif: holds 32 bit values from 0 to 65535"):
        read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", 65535)[:, :, 0], np.round(RAMP / 257))


@pytest.mark.parametrize("dtype", [">u2", "<u2", ">f4", "<f8"])
def test_arrays_of_either_byte_order_are_taken(dtype):
    values = RAMP.astype(dtype) if dtype[1] == "u" else (RAMP / 65535).astype(dtype)
    np.testing.assert_allclose(as_float_image(values)[:, :, 0], RAMP / 65535, atol=1e-7)


def test_no_other_program_is_started_for_a_picture(tmp_path, monkeypatch):
    monkeypatch.setattr("subprocess.check_call", pytest.fail)
    monkeypatch.setattr("subprocess.Popen", pytest.fail)
    (tmp_path / "a.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    (tmp_path / "b.tif").write_bytes(b"II*\0" + bytes(40))
    with pytest.raises(InputError, match="a.eps: is not an image that can be read"):
        read_image(tmp_path / "a.eps")
    with pytest.raises(InputError, match="b.tif: is not an image .*TIFF with numbers of a kind that Pillow"):
        read_image(tmp_path / "b.tif")
