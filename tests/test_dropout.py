"""Guided Dropout silences strong features only, keeps their mean, and draws what its generator says."""

import pytest
import torch

from tinymodel import checkpoint
from tinymodel.config import TrainConfig
from tinymodel.dropout import GuidedDropout
from tinymodel.network import BottleneckNet
from tinymodel.summary import summarize_blocks
from tinymodel.training import loop
from tinymodel.training.loop import Training

WEAK, STRONG = 24, 8


def layer(rate: float = 0.4) -> GuidedDropout:
    """24 weak units and 8 strong ones, after learning."""
    dropout = GuidedDropout(WEAK + STRONG, rate)
    with torch.no_grad():
        dropout.strength[:WEAK] = torch.linspace(0.11, 0.19, WEAK)
        dropout.strength[WEAK:] = torch.linspace(-1.0, -0.6, STRONG)  # the sign says nothing
    return dropout


def test_only_strong_features_are_silenced_and_their_mean_stays():
    torch.manual_seed(0)
    dropout, x = layer().train(), torch.rand(20_000, WEAK + STRONG) + 0.5
    plain = x * dropout.strength
    y = dropout(x)
    assert torch.equal(y[:, :WEAK], plain[:, :WEAK])
    silenced = y[:, WEAK:] == 0
    torch.testing.assert_close(
        silenced.float().mean(0), torch.full((STRONG,), 0.4), atol=0.02, rtol=0
    )
    torch.testing.assert_close(y.mean(0), plain.mean(0), atol=0, rtol=0.03)
    assert silenced.any(1).float().mean() < 1  # each image has draws of its own
    assert torch.equal(dropout.eval()(x), plain)


def test_what_is_silenced_learns_nothing_and_the_weak_learn_instead():
    torch.manual_seed(0)
    dropout, x = layer(rate=0.9).train(), torch.ones(1, WEAK + STRONG)
    y = dropout(x)
    y.sum().backward()
    gone = y[0] == 0
    assert gone.any()
    assert torch.equal(dropout.strength.grad == 0, gone)


def test_nothing_is_silenced_while_all_are_equally_strong():
    x = torch.rand(50, 16)
    assert torch.equal(GuidedDropout(16, 0.9).train()(x), x)


def test_units_weaker_than_most_are_never_silenced():
    dropout = GuidedDropout(20, 0.5)
    with torch.no_grad():
        dropout.strength.copy_(torch.tensor([0.05] * 4 + [0.55] * 12 + [1.0] * 4))
    assert dropout.active().tolist() == [False] * 16 + [True] * 4


def test_the_generator_makes_the_draws():
    dropout, x = layer().train(), torch.rand(8, WEAK + STRONG)

    def once(seed):
        dropout.generator = torch.Generator().manual_seed(seed)
        torch.rand(3)  # whatever others draw
        return dropout(x)

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))


def test_a_network_with_guided_dropout_begins_as_one_without_and_is_rebuilt_from_its_options():
    torch.manual_seed(0)
    network = BottleneckNet(5, 4, dropout="guided", dropout_rate=0.3)
    plain = BottleneckNet(5, 4)
    weights = network.state_dict()
    strength = weights.pop("dropout.strength")
    assert strength.shape == (32,)
    plain.load_state_dict(weights)
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(network.eval()(images), plain.eval()(images))
    again = BottleneckNet(**network.options)
    again.load_state_dict(network.state_dict())
    assert again.dropout.rate == 0.3
    assert "dropout" not in plain.options


def test_the_summary_counts_the_strengths_with_the_classifier():
    *_, classifier = summarize_blocks(BottleneckNet(5, 4, dropout="guided"))
    assert [item.kind for item in classifier.layers] == ["guided dropout", "linear"]
    assert classifier.parameters == 32 + 33 * 5
    assert classifier.output_shape == (5, 1, 1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (dict(dropout="plain"), "dropout must be one of none, guided, not 'plain'."),
        (dict(dropout_rate=1.0), "dropout_rate must be at least 0 and below 1, not 1.0."),
    ],
)
def test_wrong_options_are_refused(options, sentence):
    with pytest.raises(ValueError) as refusal:
        BottleneckNet(**options)
    assert str(refusal.value) == sentence


@pytest.mark.usefixtures("small_dataset")
def test_a_run_with_dropout_goes_on_after_a_stop_as_if_it_had_not_been_stopped(monkeypatch):
    # Strengths hardly differ after so few steps: let every other feature be strong, so that some are silenced.
    monkeypatch.setattr(GuidedDropout, "active", lambda self: torch.arange(32) % 2 == 0)
    config = TrainConfig(
        dataset="small", width=4, epochs=2, batch_size=8, precision="fp32", dropout="guided"
    )
    config = config.replace(memory_format="channels-last", dropout_rate=0.5)

    def trained(name, stop_after=None):
        training = Training.create(config, name)
        original = GuidedDropout.forward
        if stop_after is not None:
            count = iter(range(100))

            def forward(self, x):
                if self.training and next(count) == stop_after:
                    training.run.request("stop")
                return original(self, x)

            with monkeypatch.context() as patch:
                patch.setattr(loop, "POLL_SECONDS", 0)
                patch.setattr(GuidedDropout, "forward", forward)
                training.train()
            assert training.run.status == "stopped"
            torch.rand(7)  # whatever others draw in between
            training = Training.resume(name)
        training.train()
        return checkpoint.load(training.run.folder / "last.pt")["weights"]

    whole, resumed = trained("whole"), trained("stopped", stop_after=6)
    assert "dropout.strength" in whole
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name
    config = config.replace(dropout="none")
    assert not torch.equal(whole["first.conv1.weight"], trained("without")["first.conv1.weight"])
