"""The recipe: schedules, optimisers and precision as documented."""

import pytest
import torch

from tinymodel.config import TrainConfig, from_preset
from tinymodel.errors import UserError
from tinymodel.network import BottleneckNet
from tinymodel.training.recipe import (
    Muon,
    TrainStep,
    find_device,
    make_network,
    make_optimizers,
    orthogonalize,
    right_answers,
    schedule,
)


def test_the_reference_schedule_is_that_of_the_field_notes():
    config = from_preset("reference", dataset="x")
    rates = [config.learning_rate * schedule(config, epoch, 5, 391) for epoch in range(35)]
    assert rates[0] == pytest.approx(0.05)
    assert rates[1] == pytest.approx(0.114286, abs=1e-6)
    assert rates[7] == pytest.approx(0.5)
    assert rates[34] == pytest.approx(0.5 + (0.00125 - 0.5) * 27 / 28)


def test_the_schedule_per_step_rises_then_falls_to_nearly_zero_and_never_reaches_it():
    config = TrainConfig(dataset="x", epochs=4, warmup=0.25)
    shares = [schedule(config, epoch, step, 10) for epoch in range(4) for step in range(10)]
    peak = max(range(40), key=shares.__getitem__)
    assert shares[:peak] == sorted(shares[:peak])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)
    assert 9 <= peak <= 11
    assert 0 < shares[-1] < 0.05
    assert min(shares) > 0


@pytest.mark.parametrize("shape", [(8, 40), (40, 8)])
def test_orthogonalize_brings_singular_values_near_one_and_keeps_directions(shape):
    torch.manual_seed(0)
    matrices = torch.randn(3, *shape)
    values = torch.linalg.svdvals(orthogonalize(matrices).float())
    assert values.min() > 0.4
    assert values.max() < 1.5
    left, _, right = torch.linalg.svd(matrices[0], full_matrices=False)
    aligned = torch.diagonal(left.T @ orthogonalize(matrices)[0].float() @ right.T)
    assert aligned.min() > 0.4


def test_muon_keeps_filters_at_their_norm_and_moves_them_against_the_gradient():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(8, 4, 3, 3))
    optimizer = Muon([weight], lr=0.1)
    weight.grad = torch.randn_like(weight)
    before = (weight.detach() * 8**0.5 / weight.detach().norm()).clone()
    optimizer.step()
    assert ((weight.detach() - before) * weight.grad).sum() < 0
    optimizer.step()
    assert weight.norm().item() == pytest.approx(8**0.5, rel=0.15)


def test_every_parameter_belongs_to_one_optimiser_and_decay_follows_the_configuration():
    network = BottleneckNet(10, 8)
    everything = {id(p) for p in network.parameters()}
    for optimizer in ("sgd", "muon"):
        for decay_norms in (False, True):
            config = TrainConfig(dataset="x", optimizer=optimizer, decay_norms=decay_norms)
            groups = [g for o in make_optimizers(network, config) for g in o.param_groups]
            members = [id(p) for g in groups for p in g["params"]]
            assert sorted(members) == sorted(everything)
            undecayed = [p for g in groups if not g.get("weight_decay") for p in g["params"]]
            norms = [p for p in undecayed if p.ndim == 1]
            assert bool(norms) is not decay_norms


def test_muon_takes_the_inner_convolutions_alone():
    network = BottleneckNet(10, 8, convolution="depthwise-separable")
    muon, sgd = make_optimizers(network, TrainConfig(dataset="x", optimizer="muon"))
    assert isinstance(muon, Muon)
    assert all(p.ndim == 4 and p.shape[1] > 1 for g in muon.param_groups for p in g["params"])
    others = {id(p) for g in sgd.param_groups for p in g["params"]}
    assert id(network.first.conv1.weight) in others
    assert id(network.classifier.weight) in others


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_steps_lower_the_loss_on_a_batch(optimizer, precision):
    config = TrainConfig(dataset="x", width=4, optimizer=optimizer, label_smoothing=0.0)
    step = TrainStep(make_network(config, 3), config, "cpu", precision)
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(12, 3, 64, 64, generator=generator), torch.arange(12) % 3
    losses = [step(images, labels, 0.2)[0].item() for _ in range(12)]
    assert losses[-1] < 0.6 * losses[0]


def test_the_seed_alone_decides_the_first_weights():
    config = TrainConfig(dataset="x", width=4)

    def first(seed):
        return make_network(config.replace(seed=seed), 3).state_dict()[
            "stage3.residual2.conv2.weight"
        ]

    torch.manual_seed(1)
    one = first(0)
    torch.manual_seed(2)
    assert torch.equal(one, first(0))
    assert not torch.equal(one, first(1))


def test_a_device_that_is_not_there_is_named():
    missing = "cuda" if not torch.cuda.is_available() else "mps"
    if missing == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has every device")
    with pytest.raises(UserError, match=f"no {missing} device"):
        find_device(missing)
    assert find_device("auto") in ("cpu", "cuda", "mps")


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_a_step_that_is_not_finite_changes_nothing_nor_do_those_after_it(optimizer):
    config = TrainConfig(dataset="x", width=4, optimizer=optimizer)
    step = TrainStep(make_network(config, 3), config, "cpu", "fp32")
    images, labels = torch.randn(6, 3, 64, 64), torch.arange(6) % 3
    step(images, labels, 1.0)
    assert step.healthy == 1

    def everything() -> list[torch.Tensor]:
        momenta = [
            value
            for one in step.optimizers
            for state in one.state.values()
            for value in state.values()
        ]
        floats = [v for v in step.network.state_dict().values() if v.is_floating_point()]
        return [value.clone() for value in [*floats, *momenta]]

    before = everything()
    loss, _ = step(images * float("inf"), labels, 1.0)
    assert not torch.isfinite(loss)
    step(images, labels, 1.0)  # the notice may lag: sound batches come after it
    assert step.healthy == 0
    assert all(torch.equal(a, b) for a, b in zip(everything(), before, strict=True))


def test_a_gradient_that_is_not_finite_is_caught_though_the_loss_is():
    config = TrainConfig(dataset="x", width=4, optimizer="sgd")
    step = TrainStep(make_network(config, 3), config, "cpu", "fp32")
    step.network.classifier.weight.register_hook(lambda grad: grad * float("nan"))
    before = step.network.classifier.weight.detach().clone()
    loss, _ = step(torch.randn(6, 3, 64, 64), torch.arange(6) % 3, 1.0)
    assert torch.isfinite(loss)
    assert step.healthy == 0
    assert torch.equal(step.network.classifier.weight, before)


def test_mixed_images_count_as_right_by_the_share_of_the_class_that_was_named():
    logits = torch.tensor([[3.0, 1.0], [0.0, 2.0]])
    assert right_answers(logits, torch.tensor([0, 0])) == 1
    assert right_answers(logits, torch.tensor([[0.75, 0.25], [0.5, 0.5]])) == pytest.approx(1.25)
