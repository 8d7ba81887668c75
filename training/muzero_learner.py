"""Gradient steps of MuZero: K actions unrolled from a state, with losses of reward, value and policy at each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..agents.muzero.network import MuZeroNetwork
from ..agents.networks.common import to_tensors
from .muzero_replay import Batch

_VALUE_WEIGHT = 0.25
_SCALE_KEPT = 0.99


class Losses(NamedTuple):
    """What a gradient step came to: means over the batch.

    Attributes:
        policy, value, reward: the losses.
        errors: float32 [B], by how much the values of the states were wrong.
    """

    policy: float
    value: float
    reward: float
    errors: NDArray[np.float32]


def _halve_gradient(x: Tensor) -> Tensor:
    return 0.5 * x + 0.5 * x.detach()


def fit(network: MuZeroNetwork, optimizer: torch.optim.Optimizer, batch: Batch, gradient_norm: float) -> Losses:
    """One gradient step.

    The loss of the first state counts once, those of the K states after it together as much; the gradient through the
    dynamics is halved at each step (Schrittwieser et al. 2020, appendix G).

    Args:
        network: to be trained.
        optimizer: of its weights.
        batch: K is 0 for a network without dynamics.
        gradient_norm: above which the gradient is cut.
    """
    device = next(network.parameters()).device
    count, unroll = batch.actions.shape
    observation = to_tensors(batch.observation, device)
    numbers = [torch.as_tensor(x, device=device) for x in batch[2:]]
    actions, rewards, discounts, policy, values, known, lives, weights = numbers
    support = network.support
    policy_loss = value_loss = reward_loss = torch.zeros(count, device=device)
    latent = network.represent(observation)
    errors = torch.zeros(count)
    for k in range(unroll + 1):
        share = 1.0 if k == 0 else 1.0 / unroll
        logits, value = network.predict(latent)
        if k == 0:
            logits = logits.masked_fill(observation["action_mask"] == 0, -1e9)
            errors = (support.mean(value).detach() - values[:, 0]).cpu()
        policy_loss = policy_loss - share * lives[:, k] * (policy[:, k] * torch.log_softmax(logits, dim=1)).sum(1)
        value_loss = value_loss + share * known[:, k] * _cross_entropy(value, support.spread(values[:, k]))
        if k < unroll:
            step = network.step(latent, actions[:, k])
            # Of what comes after the end of an episode, only that it is worth nothing.
            reward = _cross_entropy(step.reward, support.spread(rewards[:, k]))
            passed = functional.binary_cross_entropy_with_logits(step.discount, discounts[:, k], reduction="none")
            reward_loss = reward_loss + known[:, k] * (reward + lives[:, k] * passed) / unroll
            latent = step.latent._replace(
                state=_halve_gradient(step.latent.state), slots=_halve_gradient(step.latent.slots)
            )
    loss = (weights * (policy_loss + _VALUE_WEIGHT * value_loss + reward_loss)).mean()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), gradient_norm)
    optimizer.step()
    scale = values[:, 0].abs().mean()
    network.value_scale.mul_(_SCALE_KEPT).add_((1.0 - _SCALE_KEPT) * scale)
    means = [part.detach().mean().item() for part in (policy_loss, value_loss, reward_loss)]
    return Losses(means[0], means[1], means[2], errors.numpy())


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return -(target * torch.log_softmax(logits, dim=-1)).sum(-1)
