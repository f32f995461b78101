"""How weights change: optimisers, learning-rate schedule, loss, precision.

The reference recipe (woolly-of-cv/pytorch-examples, tiny_imagenet) leaves some things open. Chosen here: learning-rate
knots move with the number of epochs; crop and holes are filled with black, the affine border is reflected; contrast is
stretched about the image's mean grey, factors in 1 ± 0.2; the last batch of an epoch is kept, batches differ by one
image at most; the linear layer is initialised as PyTorch does.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from tinymodel.config import TrainConfig
from tinymodel.errors import UserError
from tinymodel.network import BottleneckNet
from tinymodel.precision import MEMORY_FORMATS, autocast

MUON_MOMENTUM = 0.6  # as in airbench94_muon; the field notes' probes used it too
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of Keller Jordan's quintic iteration
NEWTON_SCHULZ_STEPS = 3


def find_device(wanted: str) -> str:
    """'cpu', 'cuda' or 'mps': the one wanted, or for 'auto' the fastest there is.

    Raises:
        UserError: The device wanted is not on this machine.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return next(name for name, found in there.items() if found)
    if not there[wanted]:
        found = ", ".join(name for name, found in there.items() if found)
        raise UserError(f"This machine has no {wanted} device for PyTorch; choose {found} or auto.")
    return wanted


def schedule(config: TrainConfig, epoch: int, step: int, steps: int) -> float:
    """The learning rate as a share of its peak, in [0, 1], at step `step` of `steps` of an epoch; both from 0.

    per-epoch is the reference: straight lines through (0, 0.1), (warmup, 1), (end, 0.0025) of the peak, with which
    35 epochs at peak 0.5 start 0.05, 0.1143 … . per-step rises and falls in straight lines, down to zero.
    """
    warmup = config.warmup * config.epochs  # epochs
    if config.schedule == "per-epoch":
        start, end, now = 0.1, 0.0025, float(epoch)
    else:
        start, end, now = 0.0, 0.0, epoch + (step + 1) / (steps + 1)
    if now < warmup:
        return start + (1 - start) * now / warmup
    return 1 + (end - 1) * (now - warmup) / (config.epochs - warmup)


def orthogonalize(matrices: Tensor) -> Tensor:
    """Bring the singular values of each matrix (..., m, n) near 1 by three Newton-Schulz steps, in bfloat16.

    Source: K. Jordan et al., Muon, 2024; coefficients and steps as in airbench94_muon.
    """
    a, b, c = NEWTON_SCHULZ
    x = matrices.bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are orthogonalised, on weights kept at norm sqrt(outputs), for convolutions.

    Every filter bank (out, in, k, k) is treated as a matrix (out, in·k·k). Source: airbench94_muon.
    (torch.optim.Muon refuses weights of four dimensions and does not renormalise them.)
    Like PyTorch's fused optimisers it obeys `found_inf`, a float tensor on the device: where that is 1, nothing changes.
    """

    _step_supports_amp_scaling = True  # GradScaler then sets these two, and waits for no number
    grad_scale: Tensor | None = None
    found_inf: Tensor | None = None

    def __init__(self, parameters, lr: float, momentum: float = MUON_MOMENTUM):
        super().__init__(parameters, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self, closure=None) -> None:
        unscale = 1.0 if self.grad_scale is None else 1 / self.grad_scale
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            by_shape: dict[tuple, list[Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape.setdefault(tuple(weight.shape), []).append(weight)
            for shape, weights in by_shape.items():
                grads = []
                for weight in weights:
                    state = self.state[weight]
                    if "momentum_buffer" not in state:
                        state["momentum_buffer"] = torch.zeros_like(weight.grad)
                    grad = weight.grad if self.grad_scale is None else weight.grad * unscale
                    buffer = state["momentum_buffer"]
                    self._set(buffer, buffer * momentum + grad)
                    grads.append(grad.add(buffer, alpha=momentum).reshape(shape[0], -1))
                changes = orthogonalize(
                    torch.stack(grads)
                )  # one batched product for all of a shape
                for weight, change in zip(weights, changes, strict=True):
                    new = weight * (shape[0] ** 0.5 / weight.norm())
                    self._set(weight, new.sub_(change.view(shape).to(weight.dtype), alpha=lr))

    def _set(self, old: Tensor, new: Tensor) -> None:
        old.copy_(new if self.found_inf is None else torch.where(self.found_inf.bool(), old, new))


def make_optimizers(network: BottleneckNet, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """SGD with Nesterov momentum for everything, or Muon for all convolutions that mix channels but the first.

    Each group keeps its highest learning rate as 'peak'.
    """
    muon, decayed, plain = [], [], []
    for name, parameter in network.named_parameters():
        filters = parameter.ndim == 4 and parameter.shape[1] > 1 and name != "first.conv1.weight"
        if config.optimizer == "muon" and filters:
            muon.append(parameter)
        elif parameter.ndim > 1 or config.decay_norms:
            decayed.append(parameter)
        else:
            plain.append(parameter)
    groups = [
        dict(params=decayed, weight_decay=config.weight_decay),
        dict(params=plain, weight_decay=0),
    ]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.SGD(
            [group for group in groups if group["params"]],
            lr=config.learning_rate,
            momentum=config.momentum,
            nesterov=config.momentum > 0,
            fused=True,  # which obeys `found_inf`
        )
    ]
    if muon:
        optimizers.insert(0, Muon(muon, lr=config.muon_learning_rate))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


class TrainStep:
    """A network with its optimisers and precision: call it with a batch and it has learned from it.

    `healthy` is 1 on the device until a loss or gradient was infinite or not a number; from that step on nothing
    changes any more: neither weights nor momentum nor the statistics of norm layers. So whoever trains may notice late.
    """

    def __init__(
        self,
        network: BottleneckNet,
        config: TrainConfig,
        device: str,
        precision: str,
        memory_format: str = "channels-last",
    ):
        self.layout = MEMORY_FORMATS[memory_format]
        self.network = network.to(device, memory_format=self.layout).train()
        self.config, self.device, self.precision = config, device, precision
        self.optimizers = make_optimizers(self.network, config)
        self.scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")
        self.forward = self.network  # or what wraps it: several processes, a compiled form
        self.healthy = torch.ones((), device=device)
        self._statistics = [b for b in self.network.buffers() if b.is_floating_point()]
        self._kept = [b.clone() for b in self._statistics]

    @property
    def lr(self) -> float:
        """Of the first optimiser: Muon's, if it is used."""
        return self.optimizers[0].param_groups[0]["lr"]

    def __call__(
        self, images: Tensor, labels: Tensor, share: float, weight: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """One step at `share` of the peak learning rate.

        Args:
            images: Normalised float32 (B, 3, h, w).
            labels: int64 (B,), or the shares of the classes, float32 (B, classes).
            weight: Of this batch among those of the other processes, whose gradients are averaged.

        Returns:
            The mean loss and how many were right, float32, both on the device, so that nothing has to wait for them.
        """
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * share
            optimizer.zero_grad(set_to_none=True)
        if self._kept:
            torch._foreach_copy_(self._kept, self._statistics)
        with autocast(self.device, self.precision):
            logits = self.forward(images.contiguous(memory_format=self.layout))  # (B, classes)
        logits = logits.float()
        loss = F.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
        self.scaler.scale(loss * weight if weight != 1.0 else loss).backward()
        self._examine(loss.detach())
        for optimizer in self.optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()
        return loss.detach(), right_answers(logits.detach(), labels)

    def _examine(self, loss: Tensor) -> None:
        """Let nothing that is not finite through, without waiting for the device."""
        sound = torch.isfinite(loss)
        if (
            not self.scaler.is_enabled()
        ):  # it expects infinite gradients at times, and skips them itself
            grads = [weight.grad for weight in self.network.parameters() if weight.grad is not None]
            sound = sound & torch.isfinite(torch.stack(torch._foreach_norm(grads))).all()
        self.healthy = self.healthy * sound
        for now, before in zip(self._statistics, self._kept, strict=True):
            now.copy_(torch.where(self.healthy.bool(), now, before))
        if not self.scaler.is_enabled():
            for optimizer in self.optimizers:
                optimizer.found_inf = 1 - self.healthy

    def state_dict(self) -> dict:
        return dict(
            weights=self.network.state_dict(),
            optimizers=[optimizer.state_dict() for optimizer in self.optimizers],
            scaler=self.scaler.state_dict(),
        )

    def load_state_dict(self, state: dict) -> None:
        self.network.load_state_dict(state["weights"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.scaler.load_state_dict(state["scaler"])


def right_answers(logits: Tensor, labels: Tensor) -> Tensor:
    """How many are right, float32 (): of mixed images (labels (B, classes)) the share of the class that was named."""
    answers = logits.argmax(1)
    if labels.ndim == 1:
        return (answers == labels).float().sum()
    return labels.gather(1, answers[:, None]).sum()


def make_network(config: TrainConfig, classes: int) -> BottleneckNet:
    """A fresh network whose weights depend on the configuration's seed alone."""
    network = BottleneckNet(
        classes,
        config.width,
        config.norm,
        config.convolution,
        config.skip,
        dropout=config.dropout,
        dropout_rate=config.dropout_rate,
    )
    network.initialize(torch.Generator().manual_seed(config.seed))
    return network
