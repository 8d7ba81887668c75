"""MaskablePPO with a warm start: for its first decisions it learns what a teacher would do in the states it visits."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from sb3_contrib import MaskablePPO
from torch import Tensor
from torch.nn import functional

from ..agents.networks.common import to_tensors
from .bridge import Bridge
from .policy import SlotPolicy
from .teacher import Teacher


class Learner(MaskablePPO):
    """PPO that may begin as a pupil.

    A guided rollout is labelled by the teacher, and the update after it fits the policy to the labels (cross entropy)
    and the values to the returns of what was played. A share of the decisions is the teacher's, the rest the pupil's:
    half of the copies play greedily, since that is how the policy will be used, half draw, to see what else there is.

    Attributes:
        teacher: who labels guided rollouts.
    """

    teacher: Teacher | None = None
    _teacher_share: float | None = None

    @property
    def slot_policy(self) -> SlotPolicy:
        """The policy, with its type."""
        return cast(SlotPolicy, self.policy)

    def guide(self, share: float | None) -> None:
        """Say how the next rollout is made: the share of decisions that the teacher makes, or None for PPO's own."""
        self._teacher_share = share
        self.slot_policy.guide = None if share is None else self._guide
        if share is not None:
            assert self.teacher is not None
            self.teacher.restart(self.num_timesteps)

    def _guide(self, drawn: Tensor, greedy: Tensor) -> Tensor:
        """The actions that are played, from those that the pupil drew and those that it thinks best."""
        assert self.teacher is not None
        assert self._teacher_share is not None
        taught = self.teacher.label(cast(Bridge, self.env).observation)
        if self.teacher.insists:
            return torch.as_tensor(taught, device=drawn.device)
        follow = np.random.random(len(taught)) < self._teacher_share  # noqa: NPY002 (the stream that is saved)
        own = torch.where(torch.arange(len(drawn), device=drawn.device) % 2 == 0, greedy, drawn)
        return torch.where(torch.as_tensor(follow, device=drawn.device), torch.as_tensor(taught).to(drawn), own)

    def train(self) -> None:
        """Update the policy from the last rollout."""
        if self._teacher_share is None:
            super().train()
        else:
            self._imitate()

    def _imitate(self) -> None:
        assert self.teacher is not None
        policy, buffer = self.slot_policy, self.rollout_buffer
        policy.set_training_mode(True)
        self._update_learning_rate(policy.optimizer)
        observations = cast("dict[str, Any]", buffer.observations)
        flat = {key: array.reshape(-1, *array.shape[2:]) for key, array in observations.items()}
        targets = np.stack(self.teacher.targets).reshape(-1, self.teacher.targets[0].shape[1])
        returns = buffer.returns.reshape(-1)
        losses: list[float] = []
        for _ in range(self.n_epochs):
            order = np.random.permutation(len(targets))  # noqa: NPY002
            for low in range(0, len(order), cast(int, self.batch_size)):
                rows = order[low : low + cast(int, self.batch_size)]
                tensors = to_tensors({key: array[rows] for key, array in flat.items()}, self.device)
                target = torch.as_tensor(targets[rows], device=self.device)
                logits, values = policy.network(tensors)
                scores = torch.log_softmax(logits.masked_fill(tensors["action_mask"] == 0, -1e9), dim=1)
                divergence = functional.kl_div(scores, target, reduction="batchmean")
                error = functional.mse_loss(values, torch.as_tensor(returns[rows], device=self.device))
                policy.optimizer.zero_grad()
                (divergence + self.vf_coef * error).backward()
                torch.nn.utils.clip_grad_norm_(policy.parameters(), self.max_grad_norm)
                policy.optimizer.step()
                losses.append(divergence.item())
        self._n_updates += self.n_epochs
        self.logger.record("imitation/divergence", float(np.mean(losses)))
