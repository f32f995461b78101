"""Heat maps: of the right size, in the right place, about the right class, and leaving no trace."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

from tinymodel import checkpoint
from tinymodel.data.batches import normalize
from tinymodel.errors import UserError
from tinymodel.evaluation import weights_version
from tinymodel.explain import render
from tinymodel.explain.gradcam import (
    LAST_BLOCK,
    METHODS,
    SLOW_METHODS,
    explain,
    explain_layers,
    explain_run,
    raw_maps,
)
from tinymodel.explain.methods import ALL_METHODS, principal_map
from tinymodel.network import BottleneckNet

MEAN, STD = (0.48, 0.45, 0.40), (0.28, 0.27, 0.28)
SIZES = {"first": 64, "stage1": 32, "stage2": 16, "stage3": 8}


@pytest.fixture(scope="module")
def network() -> BottleneckNet:
    torch.manual_seed(0)
    return BottleneckNet(classes=4, width=4).eval()


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.fixture
def brightness() -> BottleneckNet:
    """A network whose class 0 is how bright the image is, place by place, and whose class 1 is the opposite."""
    network = BottleneckNet(classes=2, width=1, skip=True).eval()
    for weight in network.parameters():
        torch.nn.init.zeros_(weight)
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
        # Centre taps only: colours are summed, channel 0 is carried on; residual blocks add nothing.
        if name in ("first.conv1", "first.conv2") or name.endswith("bottleneck.conv"):
            module.weight.data[0, :, 1, 1] = 1
    network.classifier.weight.data[:, 0] = torch.tensor([1.0, -1.0])
    return network


def corner(row: int, column: int) -> np.ndarray:
    """Grey everywhere, white in one of the 8×8 cells of the last feature map."""
    image = np.full((64, 64, 3), 100, dtype=np.uint8)
    image[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 255
    return image


@pytest.mark.parametrize("method", ALL_METHODS)
@pytest.mark.parametrize("place", [(0, 0), (7, 0), (2, 5)])
def test_the_map_is_hot_where_the_decision_is_made(brightness, method, place):
    result = explain(brightness, corner(*place), (0.5,) * 3, (0.25,) * 3, method=method)
    assert result.heat.shape == (8, 8)
    assert result.target == 0
    assert np.unravel_index(result.heat.argmax(), (8, 8)) == place
    assert not result.blank


# The principal component is turned to its positive side, so the two Eigen-CAMs always show something.
@pytest.mark.parametrize("method", [name for name in METHODS if not name.startswith("eigen")])
def test_a_map_without_evidence_for_its_class_is_called_blank(brightness, method):
    result = explain(brightness, corner(1, 1), (0.5,) * 3, (0.25,) * 3, method=method, target=1)
    assert result.blank
    assert not result.heat.any()


@pytest.mark.parametrize("method", ALL_METHODS)
def test_every_method_runs_on_every_block_at_its_own_size(network, image, method):
    for layer in network.blocks():
        result = explain(network, image, MEAN, STD, layer=layer, method=method)
        assert result.heat.shape == (SIZES[layer.split(".")[0]],) * 2
        assert result.heat.dtype == np.float32
        assert np.isfinite(result.heat).all()
        assert (result.heat >= 0).all()


def test_slow_methods_report_every_pass_and_can_be_stopped(network, image):
    layer = "stage1.residual2"  # 8 channels, 16 or 32 of which go through the network at once
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modules = list(network.modules())
    for method in SLOW_METHODS:
        said = []
        explain(
            network, image, MEAN, STD, layer=layer, method=method,
            report=lambda fraction, text, said=said: said.append(fraction),
        )  # fmt: skip
        assert len(said) >= 2
        assert said == sorted(said)
        assert said[-1] < 1

        def stop(fraction, text):
            if fraction > 0:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            explain(network, image, MEAN, STD, layer=layer, method=method, report=stop)
        assert list(network.modules()) == modules  # nothing is left in place of a layer
        assert all(torch.equal(before[n], value) for n, value in network.state_dict().items())
        assert all(not module._forward_pre_hooks for module in modules)


def test_ablation_weighs_a_channel_by_the_fall_of_the_score_without_it(network, image):
    """Desai and Ramaswamy 2020, equation 3, by hand; the sign kept where the score is below zero."""
    inputs = normalize(torch.from_numpy(image)[None], MEAN, STD)
    with torch.no_grad():
        features = network.stage1(network.first(inputs))

        def score(values) -> torch.Tensor:
            return network.classifier(network.pool(network.stage3(network.stage2(values))).flatten(1))[0]  # fmt: skip

        scores = score(features)
        for target in (int(scores.argmax()), int(scores.argmin())):
            weights = []
            for channel in range(features.shape[1]):
                without = features.clone()
                without[:, channel] = 0
                fall = (scores[target] - score(without)[target]) / scores[target].abs()
                weights.append(fall)
            expected = (torch.stack(weights)[:, None, None] * features[0]).sum(0)
            found = explain(
                network, image, MEAN, STD, layer="stage1.residual2", method="ablationcam", target=target
            )  # fmt: skip
            np.testing.assert_allclose(found.signed, expected, rtol=1e-2, atol=1e-4)


def test_several_layers_of_one_image_are_explained_in_one_pass(network, image):
    passes = []
    network.register_forward_pre_hook(lambda module, inputs: passes.append(1))
    try:
        layers = list(network.blocks())
        found = explain_layers(network, image, MEAN, STD, layers=layers)
    finally:
        network._forward_pre_hooks.clear()
    assert len(passes) == 1
    assert [(one.layer, one.signed.shape[0]) for one in found] == [
        (layer, SIZES[layer.split(".")[0]]) for layer in layers
    ]


def test_the_difference_of_two_maps_is_the_map_of_the_difference(network, image):
    """Grad-CAM is linear in the score, before anything is cut off: what 'This or that' rests on."""
    one, other = (explain(network, image, MEAN, STD, target=label).signed for label in (0, 1))
    inputs = normalize(torch.from_numpy(image)[None], MEAN, STD)
    features = network.stage3(network.stage2(network.stage1(network.first(inputs)))).detach()
    features.requires_grad_()
    logits = network.classifier(network.pool(features).flatten(1))[0]
    (gradient,) = torch.autograd.grad(logits[0] - logits[1], features)
    expected = (gradient.mean((2, 3), keepdim=True) * features).sum(1)[0].detach()
    np.testing.assert_allclose(one - other, expected, rtol=1e-3, atol=1e-6)


def test_the_gradcam_map_equals_its_formula(network, image):
    """Selvaraju et al. 2017, equations 1 and 2."""
    inputs = normalize(torch.from_numpy(image)[None], MEAN, STD)
    features = network.stage2(network.stage1(network.first(inputs))).detach().requires_grad_()
    logits = network.classifier(network.pool(network.stage3(features)).flatten(1))
    (gradient,) = torch.autograd.grad(logits[0, 2], features)
    expected = (gradient.mean((2, 3), keepdim=True) * features).sum(1).detach().numpy()
    found, (signed,) = raw_maps(network, inputs, [2], layers=["stage2.residual2"])
    np.testing.assert_allclose(signed, expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found, logits.detach(), rtol=1e-4, atol=1e-5)


def test_several_layers_in_one_pass_are_what_each_gives_alone(network, image):
    inputs = normalize(torch.from_numpy(np.stack([image, image[::-1]])), MEAN, STD)
    layers = ["first", "stage2.bottleneck", LAST_BLOCK]
    for method in ("gradcam", "layercam"):
        together = raw_maps(network, inputs, [0, None], layers=layers, method=method)[1]
        for layer, found in zip(layers, together, strict=True):
            alone = raw_maps(network, inputs, [0, None], layers=[layer], method=method)[1][0]
            np.testing.assert_allclose(found, alone, rtol=1e-3, atol=1e-6)


def test_principal_map_is_that_of_grad_cam_but_for_its_sign():
    features = np.random.default_rng(1).random((2, 5, 8, 8), dtype=np.float32)
    np.testing.assert_allclose(
        np.abs(principal_map(features)), np.abs(get_2d_projection(features)), atol=1e-4
    )


@pytest.mark.parametrize("training", [True, False])
def test_explaining_leaves_no_hooks_and_restores_the_mode(network, image, training):
    network.train(training)
    try:
        for layer in ("first", LAST_BLOCK):
            explain(network, image, MEAN, STD, layer=layer)
        with pytest.raises(UserError):
            explain(network, image, MEAN, STD, target=99)
        assert network.training is training
        assert all(not module._forward_hooks for module in network.modules())
        assert all(weight.requires_grad for weight in network.parameters())
    finally:
        network.eval()


def test_explaining_works_inside_inference_mode_and_autocast(network, image):
    plain = explain(network, image, MEAN, STD)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        inside = explain(network, image, MEAN, STD)
    np.testing.assert_array_equal(inside.heat, plain.heat)


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (dict(layer="stage9"), "There is no layer 'stage9': choose one of first, stage1"),
        (dict(method="magic"), "There is no method 'magic': choose one of gradcam, "),
        (dict(target=4), "There is no class 4: this network knows 4"),
        (dict(target=-1), "There is no class -1"),
    ],
)
def test_unknown_choices_are_said(network, image, choice, sentence):
    with pytest.raises(UserError, match=sentence):
        explain(network, image, MEAN, STD, **choice)


def test_top_probabilities_are_those_of_the_network(network, image):
    result = explain(network, image, MEAN, STD)
    with torch.no_grad():
        expected = network(normalize(torch.from_numpy(image)[None], MEAN, STD)).softmax(1)[0]
    labels, probabilities = zip(*result.top(), strict=True)
    assert list(labels) == expected.argsort(descending=True).tolist()
    np.testing.assert_allclose(probabilities, expected.sort(descending=True).values, rtol=1e-4)
    assert result.prediction == labels[0]


def test_a_run_is_explained_with_its_newest_weights(finished_run, image):
    def save(epoch: int) -> None:
        torch.manual_seed(epoch)
        weights = BottleneckNet(classes=3, width=4).state_dict()
        file = finished_run.folder / "best.pt"
        checkpoint.save(dict(weights=weights, epoch=epoch, val_accuracy=0.5), file)

    with pytest.raises(UserError, match="no weights yet"):
        explain_run(finished_run, image)
    assert weights_version(finished_run) == 0
    results = []
    for epoch in (1, 2):
        save(epoch)
        results.append(explain_run(finished_run, image, layer="first"))
    assert [result.epoch for result in results] == [1, 2]
    assert not np.array_equal(results[0].probabilities, results[1].probabilities)
    expected = explain(finished_run.network(), image, finished_run.mean, finished_run.std)
    np.testing.assert_allclose(results[1].probabilities, expected.probabilities, rtol=1e-4)


def test_the_image_is_shown_as_it_was_before_normalisation(image):
    blank = np.zeros((8, 8), dtype=np.float32)
    hot = np.ones((8, 8), dtype=np.float32)
    for heat, opacity in ((blank, 0.7), (hot, 0.0)):
        np.testing.assert_array_equal(render.overlay(image, heat, opacity=opacity, side=64), image)
    np.testing.assert_array_equal(render.enlarge(image, 256, smooth=False)[::4, ::4], image)


def test_overlay_mixes_image_and_heat_by_opacity(image):
    heat = np.arange(64, dtype=np.float32).reshape(8, 8)
    alone = render.heat_map(heat, side=64)
    np.testing.assert_array_equal(render.overlay(image, heat, opacity=1.0, side=64), alone)
    half = render.overlay(image, heat, opacity=0.5, side=64)
    np.testing.assert_allclose(half, (image.astype(float) + alone) / 2, atol=0.51)


@pytest.mark.parametrize("smooth", [False, True])
def test_an_enlarged_map_is_hot_in_the_same_place(smooth):
    heat = np.zeros((8, 8), dtype=np.float32)
    heat[2, 5] = 3
    large = render.enlarge(heat, 256, smooth)
    rows, columns = np.nonzero(large > 0.5 * large.max())
    assert abs(rows.mean() - (2.5 * 32 - 0.5)) < 1
    assert abs(columns.mean() - (5.5 * 32 - 0.5)) < 1


def test_a_crisp_map_repeats_whole_cells():
    heat = np.random.default_rng(0).random((8, 8), dtype=np.float32)
    np.testing.assert_array_equal(
        render.enlarge(heat, 64, smooth=False), heat.repeat(8, 0).repeat(8, 1)
    )


def test_the_heat_scale_gets_lighter_all_the_way():
    """Of sRGB to CIE lightness (L*): monotone and nearly straight, which jet is not."""
    linear = (render.colour(np.linspace(0, 1, 50)) / 255.0) ** 2.2
    lightness = 116 * (linear @ [0.2126, 0.7152, 0.0722]) ** (1 / 3) - 16
    steps = np.diff(lightness[5:])
    assert (steps > 0).all()
    assert steps.max() < 3 * steps.min()


def test_the_heat_scale_is_the_one_that_charts_use():
    palette = pytest.importorskip("components.palette")
    from plotly.colors import sequential

    colours = [
        tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in getattr(sequential, palette.HEAT)
    ]
    np.testing.assert_array_equal(render.colour(np.linspace(0, 1, len(colours))), colours)


def test_one_scale_for_several_maps_keeps_the_weak_one_dark(image):
    weak, strong = np.full((8, 8), 1, np.float32), np.full((8, 8), 4, np.float32)
    np.testing.assert_allclose(render.scale(weak, top=4), 0.25)
    np.testing.assert_allclose(render.scale(weak), 1)
    np.testing.assert_allclose(render.scale(2 * strong, top=4), 1)  # never beyond the scale
    dark, bright = (render.heat_map(heat, side=64, top=4).mean() for heat in (weak, strong))
    assert dark < bright / 2


def test_the_difference_is_orange_for_blue_against_and_grey_between(image):
    difference = np.zeros((8, 8), np.float32)
    difference[0, 0], difference[7, 7] = 2, -2
    drawn = render.difference_map(difference, side=64)
    assert drawn[2, 2].tolist() == [213, 94, 0]
    assert drawn[60, 60].tolist() == [0, 114, 178]
    assert drawn[30, 30].tolist() == [242, 242, 242]
    over = render.difference_map(difference, image=image, side=64)
    assert over[2, 2].tolist() == [213, 94, 0]
    grey = np.asarray(Image.fromarray(image).convert("L"))
    np.testing.assert_array_equal(over[30, 30], [grey[30, 30]] * 3)  # the image shows through
    assert (render.difference_map(np.zeros((8, 8), np.float32), side=64) == 242).all()


def test_the_colours_for_and_against_are_those_of_the_palette():
    palette = pytest.importorskip("components.palette")
    against, between, for_it = (
        "#{:02X}{:02X}{:02X}".format(*map(int, c)) for c in render.DIVERGING
    )
    assert (against, for_it) == (palette.BLUE, palette.VERMILLION)
    assert between == "#F2F2F2"


def test_a_box_is_drawn_around_its_pixels_and_the_picture_is_left_as_it_was():
    picture = np.full((192, 192, 3), 100, np.uint8)
    drawn = render.with_box(picture, (10, 20, 30, 40), "#56B4E9")
    assert (picture == 100).all()
    rows, columns = np.nonzero((drawn != 100).any(2))
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (30, 60, 92, 122)
    assert (drawn[80, 60] == 100).all()  # nothing inside
    assert drawn[80, 31].tolist() == [0x56, 0xB4, 0xE9]


def test_the_triptych_holds_the_three_pictures_and_wraps_its_title(image):
    heat = np.eye(8, dtype=np.float32)
    title = "true: picket fence / says: " + "a very long name of a viaduct " * 8
    file = render.triptych(image, heat, [title, "Grad-CAM"], opacity=0.5, side=192)
    picture = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
    assert picture.shape[1] == 3 * 192 + 4 * render.GAP
    bottom = picture.shape[0] - render.GAP
    for number, part in enumerate(
        (
            render.enlarge(image, 192, False),
            render.heat_map(heat, side=192),
            render.overlay(image, heat, opacity=0.5, side=192),
        )
    ):
        left = render.GAP + number * (192 + render.GAP)
        np.testing.assert_array_equal(picture[bottom - 192 : bottom, left : left + 192], part)
    margin = np.concatenate([picture[:, : render.GAP], picture[:, -render.GAP :]], axis=1)
    assert (margin == 255).all()  # no text beyond the pictures
