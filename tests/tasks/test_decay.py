"""Which parameters are decayed."""

import torch
from torch import nn

from swath.tasks.decay import decay_groups


def net():
    made = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.BatchNorm1d(3))
    made.add_module("query_embed", nn.Embedding(4, 3))
    made[0].bias.requires_grad_(False)
    return made


def test_all_are_decayed_alike_where_nothing_else_is_asked():
    assert len(decay_groups(net(), 0.05, ())) == 6


def test_norms_and_named_ones_are_not():
    made = net()
    decayed, free = decay_groups(made, 0.05, ("embed",))
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.05, 0)
    assert [p is made[0].weight for p in decayed["params"]] == [True]
    assert len(free["params"]) == 5
    optimizer = torch.optim.AdamW([decayed, free], 0.1, weight_decay=0.05)
    sum(p.sum() * 0 for p in made.parameters()).backward()
    before = made[1].weight.clone(), made[0].weight.clone()
    optimizer.step()
    assert torch.equal(made[1].weight, before[0])
    torch.testing.assert_close(made[0].weight, before[1] * (1 - 0.1 * 0.05))
