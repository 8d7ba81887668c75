"""Models whose programs ship with memory mapping, written for the purpose after the published architectures.

Only shapes matter: they are made on the device ``meta``, and their weights never exist.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# --- convolutional nets -----------------------------------------------------------------------------------------------


def _conv(
    inside: int, outside: int, size: int, stride: int = 1, groups: int = 1, act: nn.Module | None = None
) -> nn.Module:
    layers = [nn.Conv2d(inside, outside, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(outside)]
    return nn.Sequential(*layers, act) if act is not None else nn.Sequential(*layers)


class Bottleneck(nn.Module):
    """The residual block of ResNet-50 (He et al. 2016)."""

    def __init__(self, inside: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(inside, width, 1, act=nn.ReLU()),
            _conv(width, width, 3, stride, act=nn.ReLU()),
            _conv(width, 4 * width, 1),
        )
        self.skip = _conv(inside, 4 * width, 1, stride) if stride > 1 or inside != 4 * width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.skip(x))


class ResNet(nn.Module):
    """ResNet of bottleneck blocks; (3, 4, 6, 3) is ResNet-50."""

    def __init__(self, blocks: tuple[int, ...] = (3, 4, 6, 3), classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, 64, 7, 2, act=nn.ReLU()), nn.MaxPool2d(3, 2, 1)]
        inside = 64
        for stage, count in enumerate(blocks):
            width = 64 * 2**stage
            for k in range(count):
                layers.append(Bottleneck(inside, width, 2 if k == 0 and stage > 0 else 1))
                inside = 4 * width
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class AlexNet(nn.Module):
    """Five convolutions and three large linear layers (Krizhevsky et al. 2012)."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [(3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1)]
        layers: list[nn.Module] = []
        for k, (inside, outside, size, stride, pad) in enumerate(sizes):
            layers += [nn.Conv2d(inside, outside, size, stride, pad), nn.ReLU()]
            layers += [nn.MaxPool2d(3, 2)] if k in (0, 1, 4) else []
        wide = 4096
        layers += [nn.Flatten(), nn.Linear(256 * 36, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(wide, 1000))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class InvertedResidual(nn.Module):
    """The block of MobileNetV2 (Sandler et al. 2018)."""

    def __init__(self, inside: int, outside: int, stride: int, expand: int) -> None:
        super().__init__()
        width = inside * expand
        first = [_conv(inside, width, 1, act=nn.ReLU6())] if expand > 1 else []
        middle = _conv(width, width, 3, stride, groups=width, act=nn.ReLU6())
        self.body = nn.Sequential(*first, middle, _conv(width, outside, 1))
        self.skips = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.skips else self.body(x)


class MobileNet(nn.Module):
    """MobileNetV2."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, 32, 3, 2, act=nn.ReLU6())]
        inside = 32
        for expand, outside, count, stride in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
        ):  # fmt: skip
            for k in range(count):
                layers.append(InvertedResidual(inside, outside, stride if k == 0 else 1, expand))
                inside = outside
        layers += [_conv(inside, 1280, 1, act=nn.ReLU6()), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        self.layers = nn.Sequential(*layers, nn.Linear(1280, 1000))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class DenseNet(nn.Module):
    """Blocks in which each layer sees all before it (Huang et al. 2017), with fewer layers."""

    def __init__(self, blocks: tuple[int, ...] = (4, 6, 8, 6), growth: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, 64, 7, 2, act=nn.ReLU()), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.ModuleList()
        self.shrinks = nn.ModuleList()
        inside = 64
        for count in blocks:
            layers = nn.ModuleList()
            for k in range(count):
                seen = inside + k * growth
                narrow = _conv(seen, 4 * growth, 1, act=nn.ReLU())
                layers.append(nn.Sequential(narrow, _conv(4 * growth, growth, 3, act=nn.ReLU())))
            self.blocks.append(layers)
            inside = (inside + count * growth) // 2
            self.shrinks.append(nn.Sequential(_conv(2 * inside, inside, 1, act=nn.ReLU()), nn.AvgPool2d(2)))
        self.head = nn.Linear(inside, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layers, shrink in zip(self.blocks, self.shrinks, strict=True):
            for layer in layers:  # type: ignore[attr-defined]
                x = torch.cat([x, layer(x)], dim=1)
            x = shrink(x)
        return self.head(x.mean(dim=(2, 3)))


class UNet(nn.Module):
    """Down and up again with skips across (Ronneberger et al. 2015)."""

    def __init__(self, width: int = 32, depth: int = 4, classes: int = 8) -> None:
        super().__init__()

        def twice(inside: int, outside: int) -> nn.Module:
            return nn.Sequential(_conv(inside, outside, 3, act=nn.ReLU()), _conv(outside, outside, 3, act=nn.ReLU()))

        widths = [width * 2**k for k in range(depth + 1)]
        self.down = nn.ModuleList(twice(a, b) for a, b in zip([3, *widths[:-1]], widths, strict=True))
        backwards = widths[::-1]
        pairs = list(pairwise(backwards))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in pairs)
        self.up = nn.ModuleList(twice(2 * b, b) for _, b in pairs)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for k, block in enumerate(self.down):
            x = block(x if k == 0 else F.max_pool2d(x, 2))
            kept.append(x)
        for grow, block, skip in zip(self.grow, self.up, kept[-2::-1], strict=True):
            x = block(torch.cat([skip, grow(x)], dim=1))
        return self.head(x)


# --- attention --------------------------------------------------------------------------------------------------------


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return torch.softmax(scores if mask is None else scores + mask, dim=-1) @ value


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence to itself."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        shape = batch, length, 3, self.heads, width // self.heads
        query, key, value = self.query_key_value(x).view(shape).permute(2, 0, 3, 1, 4)
        return self.out(_attend(query, key, value).transpose(1, 2).reshape(batch, length, width))


def _think(width: int, factor: int = 4) -> nn.Module:
    return nn.Sequential(nn.Linear(width, factor * width), nn.GELU(), nn.Linear(factor * width, width))


class Bert(nn.Module):
    """A transformer encoder with norms after the sums (Devlin et al. 2019)."""

    def __init__(self, layers: int = 12, width: int = 768, heads: int = 12, words: int = 30522) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.place = nn.Parameter(torch.zeros(512, width))
        self.start = nn.LayerNorm(width)
        self.attend = nn.ModuleList(SelfAttention(width, heads) for _ in range(layers))
        self.think = nn.ModuleList(_think(width) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * layers))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.start(self.words(tokens) + self.place[: tokens.shape[1]])
        for k, (attend, think) in enumerate(zip(self.attend, self.think, strict=True)):
            x = self.norms[2 * k](x + attend(x))
            x = self.norms[2 * k + 1](x + think(x))
        return x


class Decoder(nn.Module):
    """A causal transformer that takes some new tokens and looks at a cache of keys and values, extended in place."""

    def __init__(
        self, batch: int, layers: int = 8, width: int = 768, heads: int = 12, length: int = 512, now: int = 256
    ) -> None:
        super().__init__()
        self.heads, self.now = heads, now
        self.words = nn.Embedding(16000, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * layers))
        self.query_key_value = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(layers))
        self.out = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.think = nn.ModuleList(_think(width) for _ in range(layers))
        for k in range(layers):
            self.register_buffer(f"keys{k}", torch.zeros(batch, heads, length, width // heads))
            self.register_buffer(f"values{k}", torch.zeros(batch, heads, length, width // heads))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens)
        batch, count, width = x.shape
        end = self.now + count
        mask = torch.full((count, end), -1e9, device=x.device).triu(self.now + 1)
        for k, think in enumerate(self.think):
            mixed = self.query_key_value[k](self.norms[2 * k](x)).view(batch, count, 3, self.heads, width // self.heads)
            query, key, value = mixed.permute(2, 0, 3, 1, 4)
            keys, values = getattr(self, f"keys{k}"), getattr(self, f"values{k}")
            keys[:, :, self.now : end] = key
            values[:, :, self.now : end] = value
            seen = _attend(query, keys[:, :, :end], values[:, :, :end], mask)
            x = x + self.out[k](seen.transpose(1, 2).reshape(batch, count, width))
            x = x + think(self.norms[2 * k + 1](x))
        return x[:, -1] @ self.words.weight.t()


class Mixer(nn.Module):
    """MLP-Mixer (Tolstikhin et al. 2021): patches mix, then channels."""

    def __init__(self, layers: int = 8, width: int = 512, patch: int = 16, side: int = 224) -> None:
        super().__init__()
        places = (side // patch) ** 2
        self.stem = nn.Conv2d(3, width, patch, patch)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * layers))
        self.places = nn.ModuleList(_think(places, 2) for _ in range(layers))
        self.channels = nn.ModuleList(_think(width) for _ in range(layers))
        self.head = nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        for k, (places, channels) in enumerate(zip(self.places, self.channels, strict=True)):
            x = x + places(self.norms[2 * k](x).transpose(1, 2)).transpose(1, 2)
            x = x + channels(self.norms[2 * k + 1](x))
        return self.head(x.mean(dim=1))


class DiffusionTransformer(nn.Module):
    """Diffusion transformer (Peebles and Xie 2023): the time's embedding shifts and scales the norms."""

    def __init__(self, layers: int = 8, width: int = 512, heads: int = 8, channels: int = 4) -> None:
        super().__init__()
        self.width = width
        self.stem = nn.Conv2d(channels, width, 2, 2)
        self.time = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.steer = nn.ModuleList(nn.Linear(width, 6 * width) for _ in range(layers))
        self.attend = nn.ModuleList(SelfAttention(width, heads) for _ in range(layers))
        self.think = nn.ModuleList(_think(width) for _ in range(layers))
        self.head = nn.Linear(width, 4 * channels)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        time = self.time(time)
        for steer, attend, think in zip(self.steer, self.attend, self.think, strict=True):
            shift, scale, gate, shift2, scale2, gate2 = steer(time)[:, None].chunk(6, dim=-1)
            x = x + gate * attend(F.layer_norm(x, (self.width,)) * (1 + scale) + shift)
            x = x + gate2 * think(F.layer_norm(x, (self.width,)) * (1 + scale2) + shift2)
        return self.head(F.layer_norm(x, (self.width,)))


class MixtureOfExperts(nn.Module):
    """Transformer blocks with experts, each of which chooses its tokens (Zhou et al. 2022)."""

    def __init__(self, layers: int = 4, width: int = 512, heads: int = 8, experts: int = 8, words: int = 32000) -> None:
        super().__init__()
        self.experts = experts
        self.words = nn.Embedding(words, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * layers))
        self.attend = nn.ModuleList(SelfAttention(width, heads) for _ in range(layers))
        self.route = nn.ModuleList(nn.Linear(width, experts, bias=False) for _ in range(layers))
        sizes = ((experts, width, 4 * width), (experts, 4 * width, width))
        self.wide, self.narrow = (
            nn.ParameterList(nn.Parameter(torch.zeros(size)) for _ in range(layers)) for size in sizes
        )

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens)
        width = x.shape[-1]
        for k, attend in enumerate(self.attend):
            x = x + attend(self.norms[2 * k](x))
            seen = self.norms[2 * k + 1](x).reshape(-1, width)
            chance = torch.softmax(self.route[k](seen), dim=-1)
            room = 2 * seen.shape[0] // self.experts
            weight, chosen = chance.t().topk(room, dim=-1)  # each expert chooses its tokens
            taken = seen.index_select(0, chosen.reshape(-1)).view(self.experts, room, width)
            made = torch.bmm(F.gelu(torch.bmm(taken, self.wide[k])), self.narrow[k]) * weight[..., None]
            back = torch.zeros_like(seen).index_add(0, chosen.reshape(-1), made.reshape(-1, width))
            x = x + back.view(x.shape)
        return x


# --- recurrent and recommendation -------------------------------------------------------------------------------------


class UnrolledLstm(nn.Module):
    """Layers of LSTM over a sequence, every step written out."""

    def __init__(self, layers: int = 2, width: int = 1024) -> None:
        super().__init__()
        self.width = width
        self.inputs = nn.ModuleList(nn.Linear(width, 4 * width) for _ in range(layers))
        self.states = nn.ModuleList(nn.Linear(width, 4 * width, bias=False) for _ in range(layers))
        self.head = nn.Linear(width, 10000)

    def forward(self, x: Tensor) -> Tensor:
        steps = list(x.unbind(0))
        for inputs, states in zip(self.inputs, self.states, strict=True):
            hidden = memory = x.new_zeros(x.shape[1], self.width)
            for k, now in enumerate(steps):
                gates = inputs(now) + states(hidden)
                enter, forget, cell, leave = gates.chunk(4, dim=-1)
                memory = torch.sigmoid(forget) * memory + torch.sigmoid(enter) * torch.tanh(cell)
                steps[k] = hidden = torch.sigmoid(leave) * torch.tanh(memory)
        return self.head(torch.stack(steps))


class Dlrm(nn.Module):
    """Recommendation (Naumov et al. 2019): gathers from tables, products of all pairs, two perceptrons."""

    def __init__(self, tables: int = 26, rows: int = 40000, width: int = 64, each: int = 8) -> None:
        super().__init__()
        self.each = each
        self.tables = nn.ModuleList(nn.Embedding(rows, width) for _ in range(tables))
        self.bottom = nn.Sequential(
            nn.Linear(13, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, width), nn.ReLU()
        )
        pairs = (tables + 1) ** 2
        self.top = nn.Sequential(
            nn.Linear(width + pairs, 2048), nn.ReLU(), nn.Linear(2048, 1024), nn.ReLU(), nn.Linear(1024, 512),
            nn.ReLU(), nn.Linear(512, 1),
        )  # fmt: skip

    def forward(self, dense: Tensor, sparse: Tensor) -> Tensor:
        bottom = self.bottom(dense)
        rows = [table(ids).sum(dim=1) for table, ids in zip(self.tables, sparse.unbind(1), strict=True)]
        seen = torch.stack([bottom, *rows], dim=1)
        pairs = seen @ seen.transpose(1, 2)
        return self.top(torch.cat([bottom, pairs.flatten(1)], dim=1))


# --- losses for training steps ----------------------------------------------------------------------------------------


class Loss(nn.Module):
    """A model and the mean cross entropy of what it says against labels of one class per example."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        scores = torch.log_softmax(self.model(x).flatten(0, -2), dim=-1)
        return -scores.gather(1, labels.reshape(-1, 1)).mean()


class Policy(nn.Module):
    """A policy network of this suite on an observation whose arrays come one by one, in the order of their names."""

    def __init__(self, network: nn.Module, keys: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.keys = network, keys

    def forward(self, *arrays: Tensor) -> tuple[Tensor, Tensor]:
        return self.network(dict(zip(self.keys, arrays, strict=True)))
