"""The icons of a site: every file, in its size, safe where it may be masked."""

import io
import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from gouache.errors import RequestError
from gouache.icons import NAMES, icon_set
from tests.pictures import ALT, GREEN, RED, disc, landscape, png

PLAIN = png(disc(300, 400, radius=0.2))
NOT_PLAIN = png(landscape(400, 300))


def files(data, **more):
    with zipfile.ZipFile(io.BytesIO(icon_set(data, **more))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def opened(data):
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("source", [PLAIN, NOT_PLAIN])
def test_a_set_has_every_file_in_its_size(source):
    found = files(source)
    assert tuple(found) == NAMES
    sides = {"icon-192.png": 192, "icon-512.png": 512}
    sides |= {"apple-touch-icon.png": 180, "icon-maskable-512.png": 512}
    for name, side in sides.items():
        image = opened(found[name])
        assert (image.size, image.info["Description"]) == ((side, side), ALT)
    assert opened(found["favicon.ico"]).info["sizes"] == {(16, 16), (32, 32), (48, 48)}


def test_an_icon_of_a_plain_picture_has_no_ground_and_no_margins():
    icon = np.asarray(opened(files(PLAIN)["icon-192.png"]))
    assert icon.shape == (192, 192, 4)
    assert icon[2, 2, 3] == 0
    across = np.flatnonzero(icon[96, :, 3] > 127)
    assert across[0] == pytest.approx(192 * 0.04, abs=3)
    assert across[-1] == pytest.approx(192 * 0.96, abs=3)


def test_the_icon_of_a_home_screen_is_never_clear():
    touch = np.asarray(opened(files(PLAIN)["apple-touch-icon.png"]))
    assert touch.shape == (180, 180, 3)
    assert np.abs(touch[3, 3].astype(int) - GREEN).max() < 8


def test_what_is_masked_keeps_the_content_inside_the_safe_circle():
    masked = np.asarray(opened(files(PLAIN)["icon-maskable-512.png"])).astype(int)
    assert masked.shape == (512, 512, 3)
    y, x = np.mgrid[0:512, 0:512] - 255.5
    outside = np.hypot(x, y) > 0.4 * 512
    assert np.abs(masked[outside] - GREEN).max() < 16
    assert np.abs(masked[256, 256] - RED).max() < 16


def test_a_picture_that_is_not_plain_stays_whole_and_is_spread_for_the_mask():
    found = files(NOT_PLAIN)
    icon = np.asarray(opened(found["icon-512.png"]))
    masked = np.asarray(opened(found["icon-maskable-512.png"])).astype(int)
    assert icon.shape == masked.shape == (512, 512, 3)
    assert np.abs(masked[0, 256] - icon[0, 256]).max() < 8
    assert np.abs(masked[511, 256] - icon[511, 256]).max() < 8


def test_the_manifest_and_the_head_name_files_of_the_set():
    found = files(PLAIN, name='Zoë "&" Co')
    manifest = json.loads(found["site.webmanifest"])
    assert manifest["name"] == 'Zoë "&" Co'
    assert [icon.get("purpose") for icon in manifest["icons"]] == [None, None, "maskable"]
    named = [icon["src"] for icon in manifest["icons"]]
    named += re.findall(r'href="([^"]+)"', found["head.html"].decode())
    assert len(named) == 7
    assert {name.removeprefix("/") for name in named} == set(NAMES) - {"head.html"}
    assert re.fullmatch("#[0-9a-f]{6}", manifest["theme_color"])
    assert f'content="{manifest["theme_color"]}"' in found["head.html"].decode()
    assert "name" not in json.loads(files(PLAIN)["site.webmanifest"])


def test_the_same_picture_gives_the_same_set():
    assert icon_set(PLAIN) == icon_set(PLAIN)


def test_what_is_no_picture_has_no_icons():
    with pytest.raises(RequestError, match="only PNG, JPEG and WebP"):
        icon_set(b"%PDF-1.7")
