"""Contact sheets: which images, where, and in whose colour."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tumorkeras import plots
from tumorkeras.errors import DataError
from tumorkeras.palette import color_of


def numbered(n, side=4):
    """Images whose pixels are the number of the image."""
    return np.broadcast_to(np.arange(n, dtype="uint8")[:, None, None], (n, side, side))


def shown(ax):
    return [round(float(picture.get_array().max() * 255)) for picture in ax.images]


def test_images_are_spread_over_each_class():
    ax = plots.contact_sheet(numbered(12), np.arange(12) // 6, ["a", "b"], count=5, columns=3)
    assert shown(ax) == [0, 2, 5, 6, 11]  # three of the first, two of the second
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a (3 of 6)", "b (2 of 6)"]
    assert [to_hex(patch.get_edgecolor()) for patch in ax.patches] == [color_of(k).lower() for k in (0, 0, 0, 1, 1)]
    lefts, tops = zip(*[(picture.get_extent()[0], picture.get_extent()[3]) for picture in ax.images], strict=True)
    assert np.round(lefts, 2).tolist() == [0, 1.12, 2.24, 0, 1.12]
    assert np.round(tops, 2).tolist() == [0, 0, 0, 1.12, 1.12]


def test_without_classes_there_are_no_frames():
    ax = plots.contact_sheet(numbered(3))
    assert (shown(ax), len(ax.patches), ax.get_legend()) == ([0, 1, 2], 0, None)
    assert ax.get_title(loc="left") == "Contact sheet: 3 of 3"


def test_more_classes_than_pictures():
    assert shown(plots.contact_sheet(numbered(9), np.arange(9), count=2)) == [0, 1]


def test_images_keep_their_shape_and_volumes_their_maximum():
    volume = np.zeros((5, 8, 4, 1))
    volume[3, :, 2] = 1
    ax = plots.contact_sheet([volume, np.zeros((3, 6, 3)), np.zeros((5, 5))])
    extents = [picture.get_extent() for picture in ax.images]
    sizes = [(right - left, bottom - top) for left, right, bottom, top in extents]
    assert np.allclose(sizes, [(0.5, 1), (1, 0.5), (1, 1)])
    assert ax.images[0].get_array()[:, :].tolist() == [[0, 0, 1, 0]] * 8


def test_only_what_is_drawn_is_read():
    class Images:
        read = ()

        def __len__(self):
            return 10_000

        def __getitem__(self, row):
            self.read += (row,)
            return np.zeros((4, 4))

    images = Images()
    plots.contact_sheet(images, count=3)
    assert images.read == (0, 5000, 9999)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (([],), "images: none"),
        ((numbered(2), [0]), "labels: 1 for 2 images"),
        ((numbered(2), [0, 7], ["a"]), "labels"),
        (([np.zeros(3)],), r"image 0: shape \(3,\)"),
        (([np.zeros((0, 4, 4, 1))],), "image 0: shape"),
    ],
)
def test_refuses(arguments, fault):
    with pytest.raises(DataError, match=f"plots.contact_sheet: .*{fault}"):
        plots.contact_sheet(*arguments)


def test_all_faults_at_once():
    with pytest.raises(DataError, match="3 faults"):
        plots.contact_sheet([], count=0, columns=-1)
