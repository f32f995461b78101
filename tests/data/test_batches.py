"""Order and augmentation: reproducible, complete, and the same pictures as torchvision makes."""

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as reference
from torchvision.transforms import InterpolationMode

from tinymodel.config import TrainConfig, from_preset
from tinymodel.data import batches
from tinymodel.data.batches import Draws, TrainBatches, normalize, order

CASES = 200


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """uint8 (200, 64, 64, 3), smooth enough that a twentieth of a pixel does not matter, rough enough that one does."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(CASES, 3, 16, 16, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, 64, mode="bicubic").clamp(0, 1)
    return (fine.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).contiguous()


def colours_of(images: torch.Tensor) -> torch.Tensor:
    return images.permute(0, 3, 1, 2).float() / 255


def draws_of(**changes) -> Draws:
    off = dict(crop_padding=0, flip=0.0)
    config = TrainConfig(dataset="x", **off | changes)
    return batches.draw(CASES, config, batches.generator(0, 0, 0))


@pytest.mark.parametrize("fill", ["zero", "reflect"])
def test_crop_agrees_with_padding_and_cropping_in_torchvision(images, fill):
    draws = draws_of(crop_padding=6, crop_fill=fill)
    moved = batches.crop_and_flip(images, draws.shift, None, fill)
    mode = "constant" if fill == "zero" else "reflect"
    for image, result, (x, y) in zip(images, moved, draws.shift.tolist(), strict=True):
        padded = reference.pad(image.permute(2, 0, 1), [6, 6, 6, 6], padding_mode=mode)
        expected = reference.crop(padded, y + 6, x + 6, 64, 64)
        assert torch.equal(result.permute(2, 0, 1), expected)
    assert len(draws.shift.unique(dim=0)) > 100  # its own draw for each image
    assert draws.shift.min() == -6
    assert draws.shift.max() == 6


def test_flip_agrees_with_torchvision(images):
    draws = draws_of(flip=0.3)
    mirrored = batches.crop_and_flip(images, None, draws.flip, "zero")
    for image, result, flip in zip(images, mirrored, draws.flip.tolist(), strict=True):
        image, result = image.permute(2, 0, 1), result.permute(2, 0, 1)
        assert torch.equal(result, reference.horizontal_flip(image) if flip else image)
    assert 0.2 < draws.flip.float().mean() < 0.4


def test_affine_agrees_with_torchvision_away_from_the_border(images):
    draws = draws_of(affine=1.0)
    turned = batches.affine(colours_of(images), draws.affine)
    inner = (slice(None), slice(20, 44), slice(20, 44))
    for image, result, parameters in zip(
        colours_of(images), turned, draws.affine.tolist(), strict=True
    ):
        angle, x, y, scale = parameters
        expected = reference.affine(
            image,
            angle=angle,
            translate=[x, y],
            scale=scale,
            shear=[0.0, 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        assert (result[inner] - expected[inner]).abs().max() < 1 / 255
    assert draws.affine[:, 0].abs().max() <= batches.ROTATION
    assert draws.affine[:, 1:3].abs().max() <= batches.SHIFT * 64


def test_brightness_and_contrast_agree_with_torchvision(images):
    draws = draws_of(brightness_contrast=1.0)
    changed = batches.brightness_contrast(colours_of(images), draws.colour)
    for image, result, factors in zip(
        colours_of(images), changed, draws.colour.tolist(), strict=True
    ):
        expected = reference.adjust_contrast(
            reference.adjust_brightness(image, factors[0]), factors[1]
        )
        assert (result - expected).abs().max() < 1 / 255


def test_hole_agrees_with_torchvision(images):
    draws = draws_of(dropout_hole=1.0)
    cut = batches.cut_hole(colours_of(images), draws.hole)
    black = torch.zeros(3, 1, 1)
    for image, result, (left, top, side) in zip(
        colours_of(images), cut, draws.hole.tolist(), strict=True
    ):
        assert torch.equal(result, reference.erase(image, top, left, side, side, black))
        assert 16 <= side <= 32
        assert left + side <= 64
        assert top + side <= 64


@pytest.mark.parametrize("preset", ["classroom", "reference"])
def test_augmentation_depends_on_seed_epoch_and_step_alone(images, preset):
    config = from_preset(preset, dataset="x")

    def once(*key):
        return batches.augment(images, config, batches.generator(*key))

    same = once(1, 2, 3)
    assert same.shape == (CASES, 3, 64, 64)
    assert 0 <= same.min() <= same.max() <= 1
    assert torch.equal(same, once(1, 2, 3))
    for key in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
        assert not torch.equal(same, once(*key))


def test_without_augmentation_images_stay_as_they_are(images):
    config = TrainConfig(dataset="x", crop_padding=0, flip=0.0)
    assert torch.equal(
        batches.augment(images, config, batches.generator(0, 0, 0)), colours_of(images)
    )


def test_normalisation_gives_mean_zero_and_spread_one(images):
    mean = tuple(colours_of(images).mean((0, 2, 3)).tolist())
    std = tuple(colours_of(images).std((0, 2, 3)).tolist())
    for given in (images, colours_of(images)):
        normal = batches.normalize(given, mean, std)
        assert normal.is_contiguous(memory_format=torch.channels_last)
        assert normal.mean((0, 2, 3)).abs().max() < 1e-4
        assert (normal.std((0, 2, 3)) - 1).abs().max() < 1e-4


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own(small_dataset):
    config = TrainConfig(dataset="small", batch_size=7, crop_padding=0, flip=0.0)
    subset = small_dataset.subset()
    train = TrainBatches(subset, config, (0, 0, 0), (1, 1, 1), "cpu")
    original = subset.dataset.images[subset.train].astype(np.float32) / 255
    orders = []
    for epoch in (0, 1):
        seen, sizes = [], []
        for step in range(train.steps):
            images, labels = train.batch(epoch, step)
            sizes.append(len(labels))
            for image, label in zip(images, labels, strict=True):
                difference = np.abs(original - image.permute(1, 2, 0).numpy()).max((1, 2, 3))
                row = int(difference.argmin())
                assert difference[row] < 1e-5
                assert label == subset.train_labels[row]
                seen.append(row)
        assert sorted(seen) == list(range(36))
        assert max(sizes) - min(sizes) <= 1
        orders.append(seen)
    assert orders[0] != orders[1]
    assert np.array_equal(batches.order(0, 1, 36), batches.order(0, 1, 36))


def test_several_processes_share_a_batch_with_the_draws_of_one(small_dataset):
    config = TrainConfig(
        dataset="small", batch_size=10, affine=0.5, dropout_hole=0.5, alternating_flip=True
    )
    subset, colours = small_dataset.subset(), (small_dataset.mean, small_dataset.std)
    whole = TrainBatches(subset, config, *colours, "cpu")
    parts = [TrainBatches(subset, config, *colours, "cpu", rank, 3) for rank in range(3)]
    for step in range(whole.steps):
        images, labels = whole.batch(1, step)
        shares = [part.batch(1, step) for part in parts]
        assert torch.allclose(torch.cat([share[0] for share in shares]), images, atol=1e-4)
        assert torch.equal(torch.cat([share[1] for share in shares]), labels)


def test_alternating_flip_shows_each_image_mirrored_every_other_epoch(small_dataset):
    config = TrainConfig(dataset="small", batch_size=36, alternating_flip=True, crop_padding=0)
    batches = TrainBatches(small_dataset.subset(), config, (0, 0, 0), (1, 1, 1), "cpu")

    def shown(epoch: int) -> torch.Tensor:
        """In the order of the dataset."""
        images, _ = batches.batch(epoch, 0)
        return images[np.argsort(order(0, epoch, 36))]

    first, second, third = shown(0), shown(1), shown(2)
    assert torch.equal(first.flip(3), second)
    assert torch.equal(first, third)
    plain = torch.from_numpy(small_dataset.images[small_dataset.subset().train])
    apart = (first - normalize(plain, (0, 0, 0), (1, 1, 1))).abs()
    mirrored = (apart > 1e-3).flatten(1).any(1)
    assert 5 < mirrored.sum() < 31  # in the first epoch a coin decides


def test_images_grow_to_their_full_size_and_stay_there(small_dataset):
    config = TrainConfig(dataset="small", epochs=10, start_side=32)
    sides = [config.image_side(epoch) for epoch in range(10)]
    assert sides[0] == 32
    assert sides == sorted(sides)
    assert sides[7:] == [64, 64, 64]
    assert all(side % 8 == 0 for side in sides)
    batches = TrainBatches(small_dataset.subset(), config, (0, 0, 0), (1, 1, 1), "cpu")
    assert batches.batch(0, 0)[0].shape[1:] == (3, 32, 32)
    assert batches.batch(9, 0)[0].shape[1:] == (3, 64, 64)
    assert {TrainConfig(dataset="small").image_side(epoch) for epoch in range(16)} == {64}
