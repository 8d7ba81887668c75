"""Gradient steps of MuZero: K actions unrolled from a state, with losses of reward, value and policy at each, and of
consistency: the state that actions are said to lead to is the one that is seen there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..agents.muzero.network import Latent, MuZeroNetwork
from ..agents.networks.common import Tensors, to_tensors
from .muzero_replay import Batch

_VALUE_WEIGHT, _CONSISTENCY_WEIGHT = 0.25, 2.0
_SCALE_KEPT = 0.99


class Losses(NamedTuple):
    """What a gradient step came to: means over the batch.

    Attributes:
        policy, value, reward, consistency: the losses.
        errors: float32 [B], by how much the values of the states were wrong.
    """

    policy: float
    value: float
    reward: float
    consistency: float
    errors: NDArray[np.float32]


def _halve_gradient(x: Tensor) -> Tensor:
    return 0.5 * x + 0.5 * x.detach()


def fit(network: MuZeroNetwork, optimizer: torch.optim.Optimizer, batch: Batch, gradient_norm: float) -> Losses:
    """One gradient step.

    The loss of the first state counts once, those of the K states after it together as much; the gradient through the
    dynamics is halved at each step (Schrittwieser et al. 2020, appendix G). Without the loss of consistency (Ye et al.,
    "Mastering Atari games with limited data", NeurIPS 2021) values drift beyond the K-th state, and searches go there.

    Args:
        network: to be trained.
        optimizer: of its weights.
        batch: K is 0 for a network without dynamics.
        gradient_norm: above which the gradient is cut.
    """
    device = next(network.parameters()).device
    count, unroll = batch.actions.shape
    observation = to_tensors(batch.observation, device)
    numbers = [torch.as_tensor(x, device=device) for x in batch[2:-1]]
    actions, rewards, discounts, policy, values, known, lives, weights, after = numbers
    support = network.support
    latents, steps = [network.represent(observation)], []
    for k in range(unroll):
        steps.append(network.step(latents[-1], actions[:, k]))
        latents.append(Latent._make(_halve_gradient(part) for part in steps[-1].latent))
    # Everything but the dynamics takes all states at a time.
    logits, value = network.predict(Latent._make(torch.cat(parts) for parts in zip(*latents, strict=True)))
    logits, value = (x.view(unroll + 1, count, -1).transpose(0, 1) for x in (logits, value))
    logits = torch.cat([logits[:, :1] + network.lead(observation)[:, None], logits[:, 1:]], dim=1)
    illegal = torch.zeros_like(logits, dtype=torch.bool)
    illegal[:, 0] = observation["action_mask"] == 0
    shares = torch.full((unroll + 1,), 1.0 / max(unroll, 1), device=device)
    shares[0] = 1.0
    chosen = (policy * torch.log_softmax(logits.masked_fill(illegal, -1e9), dim=-1)).sum(-1)
    policy_loss = -(shares * lives * chosen).sum(1)
    value_loss = (shares * known * _cross_entropy(value, support.spread(values))).sum(1)
    reward_loss, consistency_loss = torch.zeros_like(value_loss), torch.zeros_like(value_loss)
    if steps:
        said = torch.stack([step.reward for step in steps], dim=1)
        passed = torch.stack([step.discount for step in steps], dim=1)
        reward = _cross_entropy(said, support.spread(rewards))
        passed = functional.binary_cross_entropy_with_logits(passed, discounts, reduction="none")
        # Of what comes after the end of an episode, only that it is worth nothing.
        reward_loss = (shares[1:] * known[:, :-1] * (reward + lives[:, :-1] * passed)).sum(1)
        consistency_loss = (after > 0) * _unlikeness(network, latents, after, to_tensors(batch.later, device))
    errors = support.mean(value[:, 0]).detach() - values[:, 0]
    losses = policy_loss + _VALUE_WEIGHT * value_loss + reward_loss + _CONSISTENCY_WEIGHT * consistency_loss
    loss = (weights * losses).mean()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), gradient_norm)
    optimizer.step()
    share = weights / weights.sum()
    for kept, now in ((network.value_scale, values[:, 0]), (network.value_error, errors)):
        kept.mul_(_SCALE_KEPT).add_((1.0 - _SCALE_KEPT) * (share * now.abs()).sum())
    means = [part.detach().mean().item() for part in (policy_loss, value_loss, reward_loss, consistency_loss)]
    return Losses(means[0], means[1], means[2], means[3], errors.cpu().numpy())


def _unlikeness(network: MuZeroNetwork, latents: list[Latent], after: Tensor, later: Tensors) -> Tensor:
    """[B], how far the states `latents`[after] point away from those of the observations `later`: one less the cosine,
    of the state and, on average, of the legal slots. The observations' states are given, not learned from."""
    with torch.no_grad():
        met = network.represent(later)
    rows = torch.arange(len(after), device=after.device)
    state = torch.stack([latent.state for latent in latents])[after, rows]
    slots = torch.stack([latent.slots for latent in latents])[after, rows]
    legal = later["action_mask"]
    alike = functional.cosine_similarity(slots, met.slots, dim=-1)
    alike = (alike * legal).sum(1) / legal.sum(1).clamp(min=1)
    return 2.0 - functional.cosine_similarity(state, met.state, dim=-1) - alike


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return -(target * torch.log_softmax(logits, dim=-1)).sum(-1)
