"""Several processes that train one network together, as torchrun starts them; alone, everything here does nothing.

Two groups: one of the device (NCCL or gloo) for gradients and sums, one of the processors (gloo) for words among the
processes, which must not make a GPU wait.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from inspect import signature
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from tinymodel.errors import UserError

PATIENCE = timedelta(minutes=30)  # a process may wait through the others' pause; see `Team.agree`


class Team:
    """The processes that train together: who this one is, and sums and words across them."""

    def __init__(self, rank: int = 0, world: int = 1, device: str = "cpu"):
        self.rank, self.world, self.device = rank, world, device
        self._words = dist.new_group(backend="gloo", timeout=PATIENCE) if world > 1 else None

    def take_device(self) -> None:
        """Make 'cuda' mean this process's own GPU, in the calling thread: each thread has its own current one."""
        if self.world > 1 and self.device == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))

    @property
    def leads(self) -> bool:
        """Whether this process writes the run folder and obeys the person."""
        return self.rank == 0

    def sum(self, values: np.ndarray) -> np.ndarray:
        """The sum over all processes, float64, on all of them."""
        if self.world == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total, group=self._words)
        return total.numpy()

    def agree(self, word: Any = None) -> Any:
        """What the leading process says (plain types), on all of them. Costs about 0.2 ms; no GPU waits for it."""
        if self.world == 1:
            return word
        box = [word]
        dist.broadcast_object_list(box, src=0, group=self._words)
        return box[0]

    def lead(self, work: Callable[[], Any]) -> Any:
        """What `work` gives on the leading process, on all of them; its mistake (UserError) is everybody's."""
        problem = answer = None
        if self.leads:
            try:
                answer = work()
            except UserError as error:
                problem = str(error)
        problem, answer = self.agree((problem, answer))
        if problem is not None:
            raise UserError(problem)
        return answer

    def gather(self, value: Any) -> list[Any] | None:
        """Everybody's value in the order of the ranks, on the leading process; None elsewhere."""
        if self.world == 1:
            return [value]
        values = [None] * self.world if self.leads else None
        dist.gather_object(value, values, dst=0, group=self._words)
        return values

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network whose gradients are averaged over the processes."""
        if self.world == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        where = [torch.cuda.current_device()] if self.device == "cuda" else None
        # Each process keeps the norm statistics of its own images; `reduce_statistics` brings them together.
        return DistributedDataParallel(network, device_ids=where, **_without_buffers())

    def reduce_statistics(self, network: nn.Module) -> None:
        """Give every process the average of the norm layers' statistics: before judging, before saving."""
        if self.world == 1:
            return
        for buffer in network.buffers():
            if buffer.is_floating_point():
                dist.all_reduce(buffer)
                buffer /= self.world


def _without_buffers() -> dict[str, bool]:
    """The argument by which DDP leaves buffers alone; torch 2.13 renamed it."""
    from torch.nn.parallel import DistributedDataParallel

    known = signature(DistributedDataParallel.__init__).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    return {name: False}


def join(device: str) -> Team:
    """Meet the other processes that torchrun started; alone, if it did not.

    Raises:
        UserError: There are more processes than GPUs.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Team(device=device)
    if device == "cuda" and int(os.environ.get("LOCAL_RANK", "0")) >= torch.cuda.device_count():
        raise UserError(
            f"torchrun started more processes than this machine has GPUs ({torch.cuda.device_count()}): "
            "give --nproc-per-node at most that number, or --device cpu."
        )
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    team = Team(dist.get_rank(), world, device)
    team.take_device()
    return team


def share_threads() -> None:
    """Divide the processors among the processes of this machine, where torchrun gave each of them one thread.

    torchrun sets OMP_NUM_THREADS=1 when nobody did, which leaves most of a CPU idle.
    """
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if local > 1 and os.environ.get("OMP_NUM_THREADS") == "1":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // local))


def leave() -> None:
    """Say goodbye to the others, at the end of the process."""
    if dist.is_available() and dist.is_initialized():
        with suppress(RuntimeError):
            dist.destroy_process_group()
