"""Makes the programs and the suite that ship with memory mapping.

    python benchmarks/memory_mapping_suite.py trace [--hlo FOLDER] [--only NAME]...
    python benchmarks/memory_mapping_suite.py select

``trace`` writes ``envs/memory_mapping/instances/PROGRAM.json`` for each program below; those of JAX are read from the
folder that ``benchmarks/memory_mapping_jax.py`` writes, and left as they are without. ``select`` writes ``suite.json``:
of each program the sizes of CMEM at which the rule below holds. Families and splits are fixed here, before any agent
plays.

The rule: (reference - bound) / bound >= `PRESSURE`, where the reference is the best, by the judge, of all-HBM and one
pass of the XLA-like mapper with either supply, and the bound is the contended linear program's. Of the sizes of a
program that pass, the `SIZES_PER_PROGRAM` with the most pressure are kept.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import gymnasium
import makespan.envs.memory_mapping.instances as shipped
import memory_mapping_models as models
import numpy as np
import torch
from makespan.agents.memory_mapping.mapper import Mapper, MapperOptions
from makespan.agents.memory_mapping.orders import order_of
from makespan.agents.networks.build import build_network
from makespan.envs.core.instance import content_hash
from makespan.envs.memory_mapping.bounds import lp_bound
from makespan.envs.memory_mapping.catalogue import SUITE_FILE, SUITE_FORMAT, SUITE_VERSION
from makespan.envs.memory_mapping.instance import MemoryInstance
from makespan.envs.memory_mapping.run_time import run_times
from makespan.envs.memory_mapping.tracing.hlo import read_hlo
from makespan.envs.memory_mapping.tracing.trace_torch import trace_module, trace_training_step
from torch import Tensor, nn

FOLDER = Path(str(shipped.__file__)).parent
SPLITS = {
    "train": ("alexnet", "bert", "densenet", "dlrm", "loop-encoder", "mixer", "moe", "policy", "resnet"),
    "validation": ("diffusion", "mobilenet"),
    "test": ("decoder", "recurrent", "training", "unet"),
}
SIZES = (16, 32, 64, 128)  # of CMEM, MiB
SIZES_PER_PROGRAM = 3
PRESSURE = 0.01

Traced = tuple[nn.Module, tuple[Tensor, ...]]


@dataclass(frozen=True)
class Source:
    """Where a program comes from.

    Attributes:
        family: of the model.
        make: model and inputs; None for a program of JAX.
        trains: whether the program is a training step.
    """

    family: str
    make: Callable[[], Traced] | None = None
    trains: bool = False


def _images(make: Callable[[], nn.Module], batch: int, side: int = 224) -> Callable[[], Traced]:
    return lambda: (make(), (torch.zeros(batch, 3, side, side),))


def _tokens(make: Callable[[], nn.Module], *sides: int) -> Callable[[], Traced]:
    return lambda: (make(), (torch.zeros(sides, dtype=torch.int32),))


def _labelled(make: Callable[[], nn.Module], batch: int, side: int = 224) -> Callable[[], Traced]:
    labels = torch.zeros(batch, dtype=torch.int64, device="meta")
    return lambda: (models.Loss(make()), (torch.zeros(batch, 3, side, side), labels))


def _policy(batch: int) -> Traced:
    """The suite's attention network, in width 128, on observations of job shops of 20 jobs and 20 machines."""
    with torch.device("cpu"):
        env = gymnasium.make("makespan:makespan/JobShop-v0", instance="ta21")
        observation, _ = env.reset(seed=0)
        spec = env.unwrapped.observation_spec  # type: ignore[attr-defined]
        network = build_network("attention", spec, {"width": 128, "layers": 3, "heads": 4})
    arrays = {key: torch.from_numpy(np.asarray(array)) for key, array in observation.items()}
    inputs = tuple(torch.zeros((batch, *x.shape), dtype=x.dtype, device="meta") for x in arrays.values())
    return models.Policy(network, tuple(arrays)).to("meta"), inputs


def _sources() -> dict[str, Source]:
    found: dict[str, Source] = {}
    for batch in (8, 32, 64):
        found[f"resnet50_b{batch}"] = Source("resnet", _images(models.ResNet, batch))
    for batch in (8, 32, 128):
        found[f"alexnet_b{batch}"] = Source("alexnet", _images(models.AlexNet, batch))
    for batch in (16, 64):
        found[f"densenet_b{batch}"] = Source("densenet", _images(models.DenseNet, batch))
        found[f"mobilenet_b{batch}"] = Source("mobilenet", _images(models.MobileNet, batch))
        found[f"mixer_b{batch}"] = Source("mixer", _images(models.Mixer, batch))
        found[f"policy_b{batch}"] = Source("policy", lambda batch=batch: _policy(batch))
    for batch in (4, 16):
        found[f"bert_b{batch}"] = Source("bert", _tokens(models.Bert, batch, 128))
        found[f"moe_b{batch}"] = Source("moe", _tokens(models.MixtureOfExperts, batch, 256))
        found[f"unet_b{batch}"] = Source("unet", _images(models.UNet, batch, 256))
        found[f"loopencoder_b{batch}"] = Source("loop-encoder")
        inputs = (batch, 4, 32, 32), (batch, 256)
        found[f"diffusion_b{batch}"] = Source(
            "diffusion",
            lambda inputs=inputs: (models.DiffusionTransformer(), tuple(torch.zeros(sides) for sides in inputs)),
        )
    for batch in (1024, 8192):
        sides = batch, 26, 8
        found[f"dlrm_b{batch}"] = Source(
            "dlrm",
            lambda sides=sides: (
                models.Dlrm(),
                (torch.zeros(sides[0], 13), torch.zeros(sides, dtype=torch.int32)),
            ),
        )
    for batch in (32, 128):
        found[f"lstm_b{batch}"] = Source(
            "recurrent", lambda batch=batch: (models.UnrolledLstm(), (torch.zeros(24, batch, 1024),))
        )
        found[f"looplstm_b{batch}"] = Source("recurrent")
    for batch, count in ((8, 64), (16, 1), (16, 64)):
        found[f"decoder_b{batch}x{count}"] = Source(
            "decoder", _tokens(lambda batch=batch: models.Decoder(batch), batch, count)
        )
    small = (1, 1, 1, 1)
    found["resnettrain_b16"] = Source("training", _labelled(lambda: models.ResNet(small), 16), trains=True)
    found["mixertrain_b16"] = Source("training", _labelled(lambda: models.Mixer(4), 16), trains=True)
    found["xlatrain_b32"] = Source("training")
    return found


def trace(hlo: str | None, only: Sequence[str]) -> None:
    """Write the programs."""
    for name, source in _sources().items():
        if only and name not in only:
            continue
        began = time.perf_counter()
        if source.make is not None:
            with torch.device("meta"):
                model, inputs = source.make()
            if source.trains:
                instance = trace_training_step(model.train(), inputs, name=name)
            else:
                instance = trace_module(model.eval(), inputs, name)
        elif hlo is not None:
            instance = read_hlo(Path(hlo, f"{name}.hlo"), name, dtype="bf16")
            version = Path(hlo, "jax.txt").read_text(encoding="utf-8")
            instance = replace(instance, source={**instance.source, "jax": version})
        else:
            continue
        instance.save(FOLDER / f"{name}.json")
        counts = f"{instance.num_instructions} instructions, {instance.num_accesses} accesses"
        print(f"{name}: {counts}, {time.perf_counter() - began:.1f} s", flush=True)


def select() -> None:
    """Write the suite."""
    rows = []
    for name, source in sorted(_sources().items()):
        base = MemoryInstance.load(FOLDER / f"{name}.json")
        found = []
        for size in SIZES:
            instance = base.on(replace(base.hardware, cmem_bytes=size * 2**20), f"{name}_{size}m")
            reference, bound = _reference(instance), lp_bound(instance)
            if bound is None:
                print(f"{instance.name}: no bound", flush=True)
                continue
            pressure = (reference - bound) / bound
            print(f"{instance.name}: {reference} ps, bound {bound} ps, pressure {pressure:.2%}", flush=True)
            if pressure >= PRESSURE:
                found.append((pressure, size, instance))
        for pressure, size, instance in sorted(sorted(found, reverse=True)[:SIZES_PER_PROGRAM], key=lambda x: x[1]):
            split = next(split for split, families in SPLITS.items() if source.family in families)
            rows.append(
                {
                    "name": instance.name,
                    "program": name,
                    "cmem": size,
                    "family": source.family,
                    "split": split,
                    "hash": instance.hash,
                    "pressure": round(pressure, 4),
                }
            )
    document = {
        "format": SUITE_FORMAT,
        "version": SUITE_VERSION,
        "rule": " ".join((__doc__ or "").partition("The rule: ")[2].split()),
        "hash": content_hash({row["name"]: row["hash"] for row in rows}),
    }
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    head = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in document.items())
    (FOLDER / SUITE_FILE).write_text(f'{{\n{head},\n "instances": [\n{lines}\n ]\n}}\n', encoding="utf-8")
    print(f"{len(rows)} instances of {len({row['family'] for row in rows})} families, hash {document['hash']}")


def _reference(instance: MemoryInstance) -> int:
    """The best judged run time of what a compiler does."""
    times = [instance.all_hbm_ps]
    for supply in ("elapsed", "contended"):
        mapper = Mapper(instance, MapperOptions(supply=supply))
        mapper.map(order_of(mapper.program, "priority"))
        times.append(run_times(mapper.plan()).judged_ps)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("trace", "select"))
    parser.add_argument("--hlo", help="folder of the HLO texts of benchmarks/memory_mapping_jax.py")
    parser.add_argument("--only", action="append", default=[], help="a program to trace; may be repeated")
    arguments = parser.parse_args()
    if arguments.command == "trace":
        trace(arguments.hlo, arguments.only)
    else:
        select()


if __name__ == "__main__":
    main()
