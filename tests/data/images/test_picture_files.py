"""Files are read as a viewer shows them, or refused by name."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from meddistill.data.images.files import read_picture
from meddistill.errors import UserError

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
COLOURS = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


def saved(tmp_path, picture, name="scan.png", **settings):
    path = tmp_path / name
    picture.save(path, **settings)
    return path


def test_grey_pixels_are_the_files_own(tmp_path):
    pixels = read_picture(saved(tmp_path, Image.fromarray(GREY)))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, GREY[None])


def test_colours_come_first(tmp_path):
    pixels = read_picture(saved(tmp_path, Image.fromarray(COLOURS)))
    assert np.array_equal(pixels, COLOURS.transpose(2, 0, 1))


def test_a_palette_is_shown_in_its_colours(tmp_path):
    picture = Image.fromarray(GREY // 5 % 4, "P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    pixels = read_picture(saved(tmp_path, picture))
    assert pixels[:, 0, 0].tolist() == [255, 0, 0]
    assert pixels[:, 0, 3].tolist() == [9, 9, 9]


def test_two_shades_are_black_and_white(tmp_path):
    pixels = read_picture(saved(tmp_path, Image.fromarray(GREY > 100)))
    assert np.array_equal(pixels[0], np.where(GREY > 100, 255, 0))


def test_the_cameras_rotation_is_obeyed(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    pixels = read_picture(saved(tmp_path, Image.fromarray(GREY), exif=exif))
    assert np.array_equal(pixels[0], np.rot90(GREY, -1))


def test_sixteen_bits_keep_their_shades(tmp_path):
    shades = GREY.astype(np.uint16) * 200 + 3
    pixels = read_picture(saved(tmp_path, Image.fromarray(shades)))
    assert pixels.dtype == np.float32
    assert np.array_equal(np.rint(pixels[0] * 65535), shades)


def test_fractions_are_not_divided_again(tmp_path):
    shades = GREY.astype(np.float32) / 255
    pixels = read_picture(saved(tmp_path, Image.fromarray(shades), "scan.tiff"))
    assert np.array_equal(pixels[0], shades)


def test_alpha_that_hides_nothing_is_dropped(tmp_path):
    picture = Image.fromarray(GREY)
    picture.putalpha(255)
    assert np.array_equal(read_picture(saved(tmp_path, picture))[0], GREY)


def transparent(tmp_path):
    picture = Image.fromarray(COLOURS)
    picture.putalpha(Image.fromarray(GREY))
    return saved(tmp_path, picture)


def cmyk(tmp_path):
    return saved(tmp_path, Image.fromarray(COLOURS).convert("CMYK"), "scan.jpg")


def moving(tmp_path):
    more = [Image.fromarray(255 - GREY)]
    return saved(tmp_path, Image.fromarray(GREY), save_all=True, append_images=more)


def floats_beyond_1(tmp_path):
    return saved(tmp_path, Image.fromarray(GREY.astype(np.float32)), "scan.tif")


def not_finite(tmp_path):
    shades = np.full((4, 4), np.nan, dtype=np.float32)
    return saved(tmp_path, Image.fromarray(shades), "scan.tif")


def truncated(tmp_path):
    path = saved(tmp_path, Image.effect_noise((64, 64), 90), "scan.jpg")
    path.write_bytes(path.read_bytes()[:900])
    return path


def spoiled(tmp_path):
    path = saved(tmp_path, Image.fromarray(GREY))
    content = bytearray(path.read_bytes())
    content[60] ^= 1  # within the pixels, which are still read
    path.write_bytes(bytes(content))
    return path


def no_picture(tmp_path):
    (tmp_path / "scan.png").write_text("a letter")
    return tmp_path / "scan.png"


def another_format(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "GIF")
    (tmp_path / "scan.png").write_bytes(buffer.getvalue())
    return tmp_path / "scan.png"


def another_ending(tmp_path):
    return saved(tmp_path, Image.fromarray(GREY), "scan.gif")


def empty(tmp_path):
    (tmp_path / "scan.png").touch()
    return tmp_path / "scan.png"


def missing(tmp_path):
    return tmp_path / "scan.png"


def bomb(tmp_path):
    """A few bytes that call themselves 60,000 x 60,000 pixels."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))
    (tmp_path / "scan.png").write_bytes(content + chunk(b"IEND", b""))
    return tmp_path / "scan.png"


def large_but_no_bomb_to_pillow(tmp_path):
    return saved(tmp_path, Image.new("1", (20_000, 5_001)))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (transparent, "transparent"),
        (cmyk, "CMYK"),
        (moving, "holds 2 pictures"),
        (floats_beyond_1, "from 0 to 235"),
        (not_finite, "missing or infinite"),
        (truncated, "damaged or cut short"),
        (spoiled, "damaged or cut short"),
        (no_picture, "damaged or cut short"),
        (another_format, "damaged or cut short"),
        (another_ending, "is no picture that is read"),
        (empty, "the file is empty"),
        (missing, "there is no such file"),
        (bomb, "far too many pixels; up to 100,000,000 are read"),
        (large_but_no_bomb_to_pillow, "20000 x 5001 pixels; up to 100,000,000 are read"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path, made, said):
    path = made(tmp_path)
    with pytest.raises(UserError) as error:
        read_picture(path)
    assert str(path) in str(error.value)
    assert said in str(error.value)
