"""Mixed images: every pixel comes from an image whose class is counted by its share."""

import numpy as np
import pytest
import torch

from tinymodel.config import TrainConfig
from tinymodel.data.mixing import mix

CLASSES = 5


def flat_images() -> tuple[torch.Tensor, torch.Tensor]:
    """Image i has the colour i everywhere and the class i: the shares can be read off the pixels."""
    labels = torch.arange(CLASSES)
    return labels.float()[:, None, None, None].expand(-1, 3, 64, 64).clone(), labels


@pytest.mark.parametrize("kind", ["cutmix", "ricap"])
def test_the_target_is_the_share_of_the_pixels(kind):
    config = TrainConfig(dataset="x", mix=kind, mix_alpha=1.0)
    seen = set()
    for step in range(20):
        images, labels = flat_images()
        mixed, shares = mix(images, labels, CLASSES, config, [0, 0, step])
        for image, share in zip(mixed, shares, strict=True):
            found = np.bincount(image[0].flatten().long().numpy(), minlength=CLASSES) / 64**2
            assert np.allclose(found, share.numpy(), atol=1e-5)
            seen.add(int((share > 0).sum()))
    assert max(seen) == (4 if kind == "ricap" else 2)


def test_mixup_blends_colours_and_targets_alike():
    config = TrainConfig(dataset="x", mix="mixup", mix_alpha=1.0)
    images, labels = flat_images()
    mixed, shares = mix(images, labels, CLASSES, config, [0, 1, 2])
    expected = shares @ torch.arange(CLASSES).float()
    assert torch.allclose(mixed[:, 0, 3, 4], expected, atol=1e-5)
    assert torch.allclose(shares.sum(1), torch.ones(CLASSES))


@pytest.mark.parametrize("kind", ["mixup", "cutmix", "ricap"])
def test_the_same_step_draws_the_same_whatever_other_threads_draw(kind):
    config = TrainConfig(dataset="x", mix=kind)
    images, labels = flat_images()
    first = mix(images, labels, CLASSES, config, [0, 1, 2])
    torch.rand(7)
    again = mix(images, labels, CLASSES, config, [0, 1, 2])
    other = mix(images, labels, CLASSES, config, [0, 1, 3])
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[1], other[1])
