"""Decoding: every kind of picture against pixels worked out by hand, every kind of damage with its reason."""

from __future__ import annotations

import builtins
import io
import os
import struct
import sys
import threading
import zlib
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from unalike.data import Failure, ImageColumn, decode, decoding, images, iter_decoded, open_collection
from unalike.data.images import MAX_PIXELS, read_header
from unalike.errors import DataError

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def pixels(source: object) -> np.ndarray:
    picture = decode(source)
    assert picture.mode == "RGB"
    return np.asarray(picture)


def bomb(side: int) -> bytes:
    """A PNG that claims side x side grey pixels and carries next to none."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


class TestKinds:
    @pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
    def test_lossless_formats_give_the_pixels_back(self, kind: str) -> None:
        assert (pixels(encoded(Image.fromarray(NOISE), kind)) == NOISE).all()

    def test_lossless_webp(self) -> None:
        assert (pixels(encoded(Image.fromarray(NOISE), "WEBP", lossless=True)) == NOISE).all()

    def test_sources_agree(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(encoded(Image.fromarray(NOISE)))
        for source in (path, str(path), path.read_bytes(), NOISE, Image.fromarray(NOISE)):
            assert (pixels(source) == NOISE).all()

    def test_grey_and_one_bit(self) -> None:
        grey = NOISE[:, :, 0]
        assert (pixels(encoded(Image.fromarray(grey))) == grey[:, :, None]).all()
        assert (pixels(grey[:, :, None]) == grey[:, :, None]).all()
        ink = Image.fromarray(grey > 127)
        assert ink.mode == "1"
        assert (pixels(encoded(ink))[:, :, 0] == np.where(grey > 127, 255, 0)).all()

    def test_sixteen_bit_grey_is_scaled_and_not_clipped(self) -> None:
        deep = np.array([[0, 257, 32896, 65535]], np.uint16)
        for kind in ("PNG", "TIFF"):
            assert pixels(encoded(Image.fromarray(deep), kind))[0, :, 0].tolist() == [0, 1, 128, 255]

    def test_integers_and_fractions(self) -> None:
        wide = np.array([[0, 65535]], np.int32)
        assert pixels(encoded(Image.fromarray(wide), "TIFF"))[0, :, 0].tolist() == [0, 255]
        signed = np.array([[-100, 0, 300]], np.int32)
        assert pixels(encoded(Image.fromarray(signed), "TIFF"))[0, :, 0].tolist() == [0, 64, 255]
        fractions = np.array([[0.0, 0.2, 1.0]], np.float32)
        assert pixels(encoded(Image.fromarray(fractions), "TIFF"))[0, :, 0].tolist() == [0, 51, 255]
        with pytest.raises(DataError, match="not finite"):
            decode(encoded(Image.fromarray(np.array([[np.nan]], np.float32)), "TIFF"))

    def test_cmyk(self) -> None:
        ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # magenta and yellow: red
        for kind, options in (("TIFF", {}), ("JPEG", {"quality": 100})):
            red = pixels(encoded(ink, kind, **options)).reshape(-1, 3).mean(0)
            assert red[0] > 245
            assert red[1:].max() < 10

    def test_palette(self) -> None:
        colours = Image.fromarray(NOISE // 128 * 255).quantize(8)
        assert colours.mode == "P"
        assert (pixels(encoded(colours)) == NOISE // 128 * 255).all()

    def test_alpha_is_laid_on_white(self) -> None:
        alpha = RNG.integers(0, 256, (12, 20, 1), dtype=np.uint8)
        expected = (NOISE * (alpha / 255.0) + 255 * (1 - alpha / 255.0)).round()
        got = pixels(encoded(Image.fromarray(np.concatenate([NOISE, alpha], axis=2))))
        assert np.abs(got - expected).max() <= 1
        grey = Image.fromarray(np.array([[[0, 0], [0, 255]]], np.uint8), "LA")
        assert pixels(encoded(grey))[0, :, 0].tolist() == [255, 0]

    def test_transparent_colour_of_a_palette_and_of_rgb(self) -> None:
        palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
        palette.putpalette([10, 20, 30, 40, 50, 60])
        assert pixels(encoded(palette, transparency=0))[0].tolist() == [[255, 255, 255], [40, 50, 60]]
        rgb = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
        assert pixels(encoded(rgb, transparency=(1, 2, 3)))[0].tolist() == [[255, 255, 255], [4, 5, 6]]

    def test_first_frame_of_an_animation(self) -> None:
        frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime", "blue")]
        for kind, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})):
            animation = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
            assert (pixels(animation) == [255, 0, 0]).all(), kind
            assert read_header(animation).animated, kind
        assert not read_header(encoded(frames[0], "GIF")).animated

    def test_second_picture_of_a_phone_is_no_animation(self) -> None:
        pair = encoded(Image.fromarray(NOISE), "MPO", save_all=True, append_images=[Image.fromarray(NOISE)])
        assert not read_header(pair).animated
        assert decode(pair).size == (20, 12)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_rotation(self, orientation: int) -> None:
        # Where the stored first row and first column lie in the upright picture, from the EXIF specification.
        upright = {
            1: lambda a: a,
            2: lambda a: a[:, ::-1],
            3: lambda a: a[::-1, ::-1],
            4: lambda a: a[::-1],
            5: lambda a: a.swapaxes(0, 1),
            6: lambda a: a.swapaxes(0, 1)[:, ::-1],
            7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
            8: lambda a: a.swapaxes(0, 1)[::-1],
        }[orientation]
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind in ("PNG", "TIFF"):
            assert (pixels(encoded(Image.fromarray(NOISE), kind, exif=exif)) == upright(NOISE)).all(), kind
        deep = NOISE[:, :, 0].astype(np.uint16) * 257
        assert (pixels(encoded(Image.fromarray(deep), exif=exif))[:, :, 0] == upright(NOISE[:, :, 0])).all()

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
    def test_exif_that_is_garbage_does_not_cost_the_picture(self) -> None:
        data = encoded(Image.fromarray(NOISE), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
        assert decode(data).size == (20, 12)

    def test_a_jpeg_is_reduced_but_never_below_what_is_needed(self) -> None:
        data = encoded(Image.new("RGB", (800, 400), "red"), "JPEG")
        assert decode(data, shortest=64).size == (200, 100)
        assert decode(data, shortest=300).size == (800, 400)
        assert decode(data).size == (800, 400)

    def test_the_callers_picture_stays_as_it_is(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        picture = Image.open(io.BytesIO(encoded(Image.fromarray(NOISE), exif=exif)))
        assert decode(picture).size == (12, 20)
        assert picture.size == (20, 12)
        assert (np.asarray(picture) == NOISE).all()
        large = Image.open(io.BytesIO(encoded(Image.new("RGB", (800, 400), "red"), "JPEG")))
        assert decode(large, shortest=64).mode == "RGB"
        assert large.size == (800, 400)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
class TestDamage:
    def reason(self, source: object, **options: object) -> str:
        with pytest.raises(DataError) as error:
            decode(source, **options)
        return str(error.value)

    def test_truncated(self) -> None:
        for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
            data = encoded(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind)
            assert self.reason(data[: len(data) // 2]), kind
        data = encoded(Image.fromarray(NOISE.repeat(8, 0).repeat(8, 1)), "JPEG")
        assert "truncated" in self.reason(data[: len(data) // 2])

    def test_every_cut_and_flip_is_a_picture_or_a_reason(self) -> None:
        for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"):
            data = encoded(Image.fromarray(NOISE), kind)
            for trial in range(60):
                broken = bytearray(data[: RNG.integers(0, len(data))]) if trial % 2 else bytearray(data)
                if broken:
                    broken[RNG.integers(len(broken))] ^= 1 << RNG.integers(8)
                try:
                    assert decode(bytes(broken), max_pixels=10**6).mode == "RGB"
                except DataError as error:
                    assert str(error)

    def test_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(b"")
        assert self.reason(tmp_path / "a.png") == "the file is empty (0 bytes)"
        assert self.reason(b"") == "no bytes at all"

    def test_text_named_png(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_text("dear diary, today")
        assert "not a picture in a known format (it begins with b'dear diary, ')" in self.reason(tmp_path / "a.png")

    def test_missing_dangling_folder_pipe(self, tmp_path: Path) -> None:
        (tmp_path / "link.png").symlink_to("gone.png")
        (tmp_path / "folder.png").mkdir()
        os.mkfifo(tmp_path / "pipe.png")
        assert self.reason(tmp_path / "none.png") == "there is no such file"
        assert self.reason(tmp_path / "link.png") == "a link to gone.png, which is not there"
        assert self.reason(tmp_path / "folder.png") == "a folder, not a file"
        assert self.reason(tmp_path / "pipe.png") == "not a regular file"

    def test_bomb_is_refused_from_its_header(self) -> None:
        reason = self.reason(bomb(30_000))
        assert "too large" in reason
        assert f"{MAX_PIXELS:,}" in reason
        with pytest.raises(DataError, match="too large"):
            read_header(bomb(30_000))
        assert "9,000 x 9,000" in self.reason(bomb(9_000))  # below Pillow's own limit, above ours
        assert "20 x 12" in self.reason(encoded(Image.fromarray(NOISE)), max_pixels=239)
        assert decode(encoded(Image.fromarray(NOISE)), max_pixels=240).size == (20, 12)
        assert "20 x 12" in self.reason(NOISE, max_pixels=239)
        assert "20 x 12" in self.reason(Image.fromarray(NOISE), max_pixels=239)

    def test_nothing_is_handed_to_ghostscript(self) -> None:
        page = encoded(Image.fromarray(NOISE), "EPS")
        assert "not a picture in a known format" in self.reason(page)

    def test_arrays_that_are_no_pictures(self) -> None:
        assert "(2, 3, 5) of uint8" in self.reason(np.zeros((2, 3, 5), np.uint8))
        assert "float64" in self.reason(np.zeros((2, 3)))


class TestIterDecoded:
    def column(self) -> ImageColumn:
        sources = [np.full((4, 4), value, np.uint8) for value in range(50)]
        return ImageColumn([*sources[:10], b"nothing", None, *sources[10:]])

    def test_order_failures_and_gaps(self) -> None:
        outcomes = list(iter_decoded(self.column(), workers=3))
        assert [index for index, _ in outcomes] == list(range(52))
        assert isinstance(outcomes[10][1], Failure)
        assert "known format" in outcomes[10][1].reason
        assert outcomes[11][1] is None
        values = [picture.getpixel((0, 0))[0] for _, picture in outcomes if isinstance(picture, Image.Image)]
        assert values == list(range(50))

    def test_few_are_held_and_each_is_decoded_once(self) -> None:
        lock, started = threading.Lock(), []

        def count(picture: Image.Image) -> int:
            with lock:
                started.append(1)
            return picture.getpixel((0, 0))[0]

        column, most = ImageColumn(np.zeros((500, 4, 4), np.uint8)), 0
        for taken, _ in enumerate(iter_decoded(column, then=count), 1):
            most = max(most, len(started) - taken)
        assert most <= 32 * 2
        assert len(started) == 500

    def test_of_whole_pictures_fewer_are_held(self, monkeypatch: pytest.MonkeyPatch) -> None:
        started = []
        monkeypatch.setattr(decoding, "decode", lambda source, **options: started.append(1) or source)
        column, most = ImageColumn(np.zeros((100, 4, 4), np.uint8)), 0
        for taken, _ in enumerate(iter_decoded(column), 1):
            most = max(most, len(started) - taken)
        assert most <= 2 * 2
        assert len(started) == 100

    def test_stopping_early_leaves_nothing_running(self) -> None:
        decoded = iter_decoded(self.column())
        next(decoded)
        decoded.close()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]

    def test_an_error_of_the_caller_is_not_taken_for_a_failure(self) -> None:
        with pytest.raises(ZeroDivisionError):
            list(iter_decoded(self.column(), then=lambda picture: 1 / 0))

    def test_limit_of_the_column(self) -> None:
        column = ImageColumn([np.zeros((10, 10), np.uint8)], max_pixels=99)
        ((_, outcome),) = iter_decoded(column)
        assert isinstance(outcome, Failure)


def test_a_file_is_opened_once_for_its_header_and_once_for_its_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, ending in enumerate(("png", "jpg", "webp", "tif", "gif")):
        Image.new("RGB", (9, 7), (number, 0, 0)).save(tmp_path / f"{number}.{ending}")
    opened: list[str] = []
    for module in (builtins, io):
        real = module.open
        monkeypatch.setattr(
            module, "open", lambda file, *rest, real=real, **more: opened.append(str(file)) or real(file, *rest, **more)
        )
    collection = open_collection(tmp_path)
    collection.fingerprint(), collection.repeated("image")
    assert all(isinstance(picture, Image.Image) for _, picture in iter_decoded(collection["image"]))
    pictures = [path for path in opened if path.startswith(str(tmp_path))]
    assert len(pictures) == 2 * 5 and len(set(pictures)) == 5
    fresh = ImageColumn(sorted(str(path) for path in tmp_path.iterdir()))
    assert fresh.fingerprint() == collection["image"].fingerprint()


class TestPhones:
    HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"

    def test_half_an_album_is_not_left_out_in_silence(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(images, "_formats", lambda: ("PNG", "JPEG"))
        for number in range(4):
            Image.new("RGB", (4, 4)).save(tmp_path / f"{number}.jpg")
            (tmp_path / f"IMG_{number}.HEIC").write_bytes(self.HEIC)
        with pytest.raises(DataError, match=r"4 of 8 items .*\n.*HEIC picture, .* pip install 'unalike\[heic\]'"):
            open_collection(tmp_path)

    def test_they_are_read_where_the_extra_is_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A stand-in registers what Pillow then opens, as pillow-heif does."""
        held = io.BytesIO()
        Image.new("RGB", (5, 4), (9, 8, 7)).save(held, "PNG")

        def register() -> None:
            factory, _ = Image.OPEN["PNG"]
            Image.register_open(
                "HEIF",
                lambda file, name: factory(io.BytesIO(held.getvalue()), name),
                lambda head: head[4:8] == b"ftyp",
            )

        module = ModuleType("pillow_heif")
        module.register_heif_opener = register  # type: ignore[attr-defined]
        module.__spec__ = ModuleSpec("pillow_heif", None)
        monkeypatch.setitem(sys.modules, "pillow_heif", module)
        images._formats.cache_clear()
        try:
            assert decode(self.HEIC).getpixel((0, 0)) == (9, 8, 7)
        finally:
            Image.OPEN.pop("HEIF", None)
            Image.ID.remove("HEIF")
            images._formats.cache_clear()
