"""What training an adapter costs beside training all: `python -m benchmarks.adapter_cost [ENCODER ...]`.

One step of AdamW on two patches of 128 pixels, with the published head: in the one case adapter and head are trained,
in the other the transformer too. Each is measured in a process of its own: seconds of processor for a step, the median
of three, and the most memory that the process held beyond what it held before the network was made.
"""

from __future__ import annotations

import resource
import statistics
import sys
from functools import partial

import psutil
import torch

import swath
from benchmarks.measure import isolated, tree_seconds
from swath.losses.set_prediction import SetLoss, semantic_targets
from swath.nn.cloud_adapter import CloudAdapter
from swath.nn.dino import dino_vit

STEPS, EDGE, BATCH = 3, 128, 2


def parameters(encoder: str) -> tuple[int, int]:
    """Parameters of adapter and transformer; nothing is allocated."""
    with torch.device("meta"):
        vit = dino_vit(encoder, 512)
        adapter = CloudAdapter(vit.embed_dim, len(vit.blocks))
    return sum(map(torch.numel, adapter.parameters())), sum(map(torch.numel, vit.parameters()))


def training(encoder: str, everything: bool) -> tuple[float, float, int]:
    """Processor seconds of a step, peak of memory in MiB, trained parameters."""
    torch.set_num_threads(1)
    before = psutil.Process().memory_info().rss
    task = swath.create("cloud_adapter", encoder=encoder, image_size=EDGE).train()
    task.loss = SetLoss(4)
    if everything:
        task.trained_parts = None
        task.net.requires_grad_(True).train()
    trained = [p for p in task.net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, 1e-4)
    image, mask = torch.randn(BATCH, 3, EDGE, EDGE), torch.randint(0, 4, (BATCH, EDGE, EDGE))
    seconds = []
    for _ in range(STEPS + 1):
        begin = tree_seconds()
        optimizer.zero_grad()
        task.loss(task.net(image), semantic_targets(mask)).backward()
        optimizer.step()
        seconds.append(tree_seconds() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return statistics.median(seconds[1:]), (peak - before) / 2**20, sum(map(torch.numel, trained))


def main(*encoders: str) -> None:
    """Measure and print."""
    for name in ("vit_large_patch14_dinov2", "vit_base_patch14_dinov2", "vit_small_patch14_dinov2"):
        adapter, vit = parameters(name)
        print(f"{name}: adapter {adapter:,} of {vit:,} parameters, {adapter / vit:.3%}")
    for name in encoders or ("vit_small_patch14_dinov2", "vit_base_patch14_dinov2"):
        some, every = (isolated(partial(training, name, everything)) for everything in (False, True))
        for told, (seconds, memory, count) in (("adapter and head", some), ("all", every)):
            print(f"{name}, {told}: {count / 1e6:.2f} M trained, {seconds:.2f} s a step, {memory:.0f} MiB")
        print(f"{name}: time x {some[0] / every[0]:.2f}, memory x {some[1] / every[1]:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
