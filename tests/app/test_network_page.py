"""The Network page: a picture that follows from the chosen network, and figures that are those of the network."""

from xml.etree import ElementTree

import pytest
from components import architecture

from tinymodel.network import BottleneckNet
from tinymodel.summary import summarize_design


def drawing(tall: bool = False, **options) -> ElementTree.Element:
    blocks = summarize_design(**dict(classes=10, width=16) | options)
    return ElementTree.fromstring(architecture.svg(blocks, tall=tall))


def of_class(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [item for item in element.iter() if name in item.get("class", "").split()]


def words(element: ElementTree.Element) -> str:
    return " | ".join(item.text for item in element.iter("text"))


@pytest.mark.parametrize("tall", [False, True], ids=["wide", "tall"])
class TestPicture:
    def test_has_every_block_once(self, tall):
        picture = drawing(tall)
        kinds = {kind: len(of_class(picture, kind)) for kind in ("bottleneck", "residual", "first")}
        assert kinds == dict(bottleneck=3, residual=6, first=1)
        assert len(of_class(picture, "pool")) == len(of_class(picture, "classifier")) == 1

    def test_skips_are_arcs_and_go_when_they_are_off(self, tall):
        assert len(of_class(drawing(tall), "skip")) == 6
        assert of_class(drawing(tall, skip=False), "skip") == []
        assert "skip" not in architecture.legend(summarize_design(skip=False))

    def test_boxes_shrink_in_side_and_grow_in_depth(self, tall):
        picture = drawing(tall, width=64)
        fronts = [float(node.find("rect").get("width")) for node in of_class(picture, "bottleneck")]
        assert fronts[0] == pytest.approx(2 * fronts[1], abs=0.1)
        assert fronts[1] == pytest.approx(2 * fronts[2], abs=0.1)
        lids = [node.find("path").get("d") for node in of_class(picture, "bottleneck")]
        depths = [float(lid.split("l")[1].split()[0]) for lid in lids]
        assert depths[1] == pytest.approx(2 * depths[0], abs=0.1)
        assert depths[2] == pytest.approx(2 * depths[1], abs=0.1)

    def test_labels_follow_width_and_classes(self, tall):
        narrow, wide = words(drawing(tall, width=8)), words(drawing(tall, width=64, classes=200))
        assert "64 maps" in narrow and "512 maps" not in narrow
        assert "512 maps" in wide and "200" in wide

    def test_nothing_lies_outside(self, tall):
        for width in (1, 16, 256):
            picture = drawing(tall, width=width)
            _, _, right, bottom = map(float, picture.get("viewBox").split())
            for item in picture.iter():
                if item.tag in ("rect", "text"):
                    assert 0 <= float(item.get("x")) <= right - float(item.get("width", 0))
                    assert 0 <= float(item.get("y")) <= bottom - float(item.get("height", 0))

    def test_letters_and_arrows_take_the_colour_of_the_page(self, tall):
        picture = drawing(tall)
        assert picture.get("fill") == "currentColor"
        assert not any(item.get("fill") for item in picture.iter("text"))


def test_picture_is_told_in_words_too():
    text = drawing().get("aria-label")
    assert text.startswith("An image of 64 × 64 pixels passes: First block: 16 maps of 64 × 64")
    assert text.endswith("Classifier: 10 scores, one a class.")


def open_page(app, **address):
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    app.switch_page("views/network.py").run()
    assert not app.exception and not app.error
    return app


def metric(app, part: str) -> str:
    return next(item.value for item in app.metric if part in item.label)


def test_page_shows_the_figures_of_the_chosen_network(app):
    open_page(app)
    assert metric(app, "parameters") == "901,752"
    app.select_slider(key="width").set_value(64).run()
    assert metric(app, "parameters") == "14,085,000"
    assert metric(app, "multiply-adds") == "2.88 billion"
    app.selectbox(key="convolution").set_value("depthwise-separable").run()
    network = BottleneckNet(200, 64, convolution="depthwise-separable")
    assert metric(app, "parameters") == f"{sum(p.numel() for p in network.parameters()):,}"


def test_words_go_with_the_picture(app):
    open_page(app)
    text = " ".join(item.value for item in app.markdown)
    assert "go 16 pictures" in text and "65,536 numbers become 32,768" in text
    assert "The green arcs" in text and "every block after the first costs the same" in text
    app.toggle(key="skip").set_value(False).run()
    app.selectbox(key="convolution").set_value("depthwise").run()
    text = " ".join(item.value for item in app.markdown)
    assert "There are no arcs" in text and "costs the same" not in text


def test_blocks_open_into_layers(app):
    open_page(app)
    blocks = app.dataframe[0].value
    assert len(blocks) == 12 and blocks["Parameters"].sum() == 901_752
    app.toggle(key="layers").set_value(True).run()
    layers = app.dataframe[0].value
    assert len(layers) == 56 and layers["Parameters"].sum() == 901_752
    assert set(layers["Layer"]) >= {"convolution 3×3", "max-pool 2×2", "batch norm", "linear"}
    assert layers["Share"].sum() == pytest.approx(100)


def test_address_opens_the_design(app):
    open_page(app, width="64", skip="false", norm="Group", layers="true")
    assert metric(app, "parameters") == "14,085,000"
    assert "There are no arcs" in " ".join(item.value for item in app.markdown)
    assert "group norm (16 groups)" in set(app.dataframe[0].value["Layer"])


def test_address_opens_the_network_of_a_run(app, finished_run):
    open_page(app, run=finished_run.name)
    network = BottleneckNet(classes=3, width=4)
    assert metric(app, "parameters") == f"{sum(p.numel() for p in network.parameters()):,}"
    assert any("trains 3 classes at width 4" in item.value for item in app.caption)


def test_unknown_run_in_the_address_opens_a_design(app, finished_run):
    open_page(app, run="not-there")
    assert metric(app, "parameters") == "901,752"
