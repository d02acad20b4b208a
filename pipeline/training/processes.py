"""The processes that train one network together: who this one is, and what they tell each other.

With one process, all that is said here comes back as it was given, and costs nothing.
"""

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from pipeline.system.errors import PipelineError, ran_out_of_memory
from pipeline.system.place import Place

Anything = TypeVar("Anything")

# What torch says of a process that it cannot reach any more.
UNREACHABLE = re.compile(r"gloo|nccl|connection (closed|reset)|broken pipe|store|socket|timed? ?out", re.IGNORECASE)


class Lost(PipelineError):
    """Another process has ended, so that this one cannot go on."""


def count() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if _several() else 1


def require_one_each(pictures: int, what: str, way_out: str) -> None:
    """See that each process has a picture.

    Args:
        pictures: how many there are.
        what: they are, in words.
        way_out: what to do if they are too few.

    Raises:
        PipelineError: they are.
    """
    if pictures < count():
        raise PipelineError(f"given {count()} processes for {what}, allowed: a picture for each; {way_out}")


def rank() -> int:
    """Which of them this is, from 0."""
    return distributed.get_rank() if _several() else 0


def first() -> bool:
    """Whether this is the one that writes files and shows how far it is."""
    return rank() == 0


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized()


@contextmanager
def join(place: Place, store: distributed.Store | None = None) -> Iterator[None]:
    """Be one of several processes: on a GPU of its own, connected by NCCL, or on the CPU, connected by Gloo.

    All but the first are silent. Of those that fail, the first to do so raises its error; those that fail of that end
    without a word.

    Args:
        place: which one.
        store: where the processes find each other; by default what the launcher's environment says, MASTER_ADDR and
            MASTER_PORT.

    Raises:
        PipelineError: there are more processes on this machine than GPUs.
        Lost: another process has ended.
    """
    backend = _backend(place)
    where = {"store": store} if store else {"init_method": "env://"}
    distributed.init_process_group(backend, rank=place.rank, world_size=place.count, **where)
    store = distributed.distributed_c10d._get_default_store()
    said, sys.stdout = sys.stdout, sys.stdout if first() else io.StringIO()
    try:
        yield
        distributed.barrier()  # none leaves while others still ask it
    except BaseException as error:
        if not _fails_first(store, place):
            raise SystemExit(1) from None
        if isinstance(error, RuntimeError) and UNREACHABLE.search(str(error)) and not ran_out_of_memory(error):
            raise Lost("another of the processes has ended; run the same command again to go on") from None
        raise
    finally:
        sys.stdout = said
        distributed.destroy_process_group()


def _backend(place: Place) -> str:
    device = torch.accelerator.current_accelerator(check_available=True)
    if device is None:
        return "gloo"
    there = torch.accelerator.device_count()
    by_srun = "TORCHELASTIC_RUN_ID" not in os.environ and int(os.environ.get("SLURM_GPUS_ON_NODE", 0)) > place.local
    local = 0 if there == 1 and by_srun else place.local  # it may show each process its own GPU alone, as number 0
    if device.type != "cuda" or local >= there:
        given = f"process {place.local + 1} on this machine, which has {there} of {device.type}"
        raise PipelineError(f"given {given}, allowed: one for each GPU; start fewer")
    torch.accelerator.set_device_index(local)
    return "cpu:gloo,cuda:nccl" if distributed.is_nccl_available() else "gloo"


def _fails_first(store: distributed.Store, place: Place) -> bool:
    try:
        return store.add("failures", 1) == 1
    except RuntimeError:  # the store went with the first process, so the second speaks
        return place.rank == 1


def mine(items: Any) -> Any:
    """This process's share of what has an order, as an array: each takes one in turn, so some may have one more."""
    return items[rank() :: count()]


def share(total: int) -> float:
    """Of so many things, what part is this process's."""
    return len(range(rank(), total, count())) / total


def together(values: np.ndarray) -> np.ndarray | None:
    """On the first process, (N, …) of all things, in their order, from what each process has of its own; else None.

    Args:
        values: (n, …) of the things that `mine` gives.
    """
    if count() == 1:
        return values
    parts: list[np.ndarray] = [values] * count()
    distributed.gather_object(values, parts if first() else None)
    if not first():
        return None
    whole = np.empty((sum(map(len, parts)), *values.shape[1:]), values.dtype)
    for number, part in enumerate(parts):
        whole[number :: count()] = part
    return whole


def gather(value: Any) -> list[Any]:
    """What each process has, by rank, on all of them."""
    values = [value] * count()
    if count() > 1:
        distributed.all_gather_object(values, value)
    return values


def same(value: Anything) -> Anything:
    """What the first process has, on all of them."""
    values = [value]
    if count() > 1:
        distributed.broadcast_object_list(values)
    return values[0]


def total(value: Tensor) -> Tensor:
    """The sum over the processes, without a gradient."""
    if count() == 1:
        return value
    summed = value.detach().clone()
    distributed.all_reduce(summed)
    return summed


def mean(value: Tensor, share: float) -> Tensor:
    """The mean of means over each process's pictures; its gradient is that of the mean over all pictures.

    Args:
        value: of this process's pictures.
        share: what part of all pictures these are.
    """
    if count() == 1:
        return value
    return total(value * share) + (value - value.detach())  # `DistributedDataParallel` weights each process's gradient


def parallel(network: nn.Module, share: float) -> nn.Module:
    """A network whose gradients are those of the mean over all processes' pictures; its weights become the first one's.

    Args:
        network: on the device; its batch normalisation sees, on GPUs, the pictures of all processes.
        share: what part of each batch is this process's.
    """
    if count() == 1:
        return network
    if next(network.parameters()).is_cuda:
        network = with_shared_statistics(network)
    # Batch statistics that are sent in forward would spoil a backward pass through two of them.
    shared = DistributedDataParallel(network, forward_sync_buffers=False)
    shared.register_comm_hook(share, _weighted_sum)
    return shared


def with_shared_statistics(network: nn.Module) -> nn.Module:
    """The network with batch normalisation that sees the pictures of all processes."""
    from timm.layers import convert_sync_batchnorm  # torch's own would take from timm's layers their activations

    hooks = {name: module._forward_hooks for name, module in network.named_modules()}  # for a DynamicUnet's skips
    network = convert_sync_batchnorm(network)
    for name, module in network.named_modules():
        module._forward_hooks = hooks.get(name, module._forward_hooks)
    return network


def _weighted_sum(share: float, bucket: distributed.GradBucket) -> torch.futures.Future[Tensor]:
    summed = distributed.all_reduce(bucket.buffer().mul_(share), async_op=True).get_future()
    return summed.then(lambda done: done.value()[0])


def alone(network: nn.Module) -> nn.Module:
    """The network that `parallel` was given."""
    return network.module if isinstance(network, DistributedDataParallel) else network
