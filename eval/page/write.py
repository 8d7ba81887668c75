"""Writes a report: reads the folders named, puts the page together, and writes it whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...envs.core.errors import FieldError, UserError
from ...envs.core.extras import library_versions
from ...envs.core.files import atomic_write, user_path
from ..store import PAGE
from .curves import TrainingRun, read_training
from .document import Document
from .markup import Markup, bullets, tag
from .parts import evaluation_section, suite_section, summary, training_section
from .read import Evaluation, evaluation_folders, read_evaluation, read_suites

MOST_SCHEDULES = 64

_NO_SCRIPT = "Tables and texts are complete; pictures and sorting need JavaScript."
_MEANINGS = (
    "A world is an instance together with a seed; every agent meets the same worlds, so that differences are paired.",
    "n counts worlds. Intervals in brackets are 95 %, by a bootstrap that draws instances first, then worlds within "
    "them; with one world there are none.",
    "A gap is how much worse than its target an objective is, as a share of the target. The target is the proved "
    "optimum, else the best objective that is known, else a proved bound, which the optimum may be far from; the table "
    "says which.",
    "The paired difference is the mean over worlds of C_agent / C_reference - 1; ties count half in the win rate.",
)


@dataclass(frozen=True)
class Written:
    """A report that has been written.

    Attributes:
        path: the file.
        size: bytes.
        evaluations, runs: how many it tells of.
        left_out: pictures that did not fit.
    """

    path: Path
    size: int
    evaluations: int
    runs: int
    left_out: int


def write_page(
    results: Sequence[str], training: Sequence[str], out: str | None, schedules: int, title: str, command: str
) -> Written:
    """Write a report.

    Args:
        results: folders of evaluations, or of several.
        training: folders of training runs or of checkpoints.
        out: the file; None for ``report.html`` in the first folder.
        schedules: how many agents' schedules are shown for each environment.
        title: of the page; empty for the usual one.
        command: that asks for this report.

    Raises:
        UserError: nothing is named, a folder is missing, unfinished or damaged, or the file cannot be written.
        MissingExtraError: plotly, or for training logs tensorboard, is not installed.
    """
    if not results and not training:
        raise UserError("nothing to report: name folders of results, or of training runs with --training")
    if not 0 <= schedules <= MOST_SCHEDULES:
        raise FieldError("option schedules", schedules, f"0 to {MOST_SCHEDULES}")
    path = user_path([*results, *training][0]) / PAGE if out is None else user_path(out)
    if path.suffix.lower() not in (".html", ".htm"):
        raise FieldError("option out", out, "a name that ends in .html")
    evaluations = [read_evaluation(folder) for folder in evaluation_folders(results)]
    runs = [read_training(name) for name in dict.fromkeys(training)]
    document = Document(title or "makespan: a report")
    body = _body(document, evaluations, read_suites(results), runs, schedules, command)
    page = document.render(body).encode("utf-8", "replace")
    atomic_write(path, page)
    left_out = sum(figure.data is None for figure in document.figures)
    return Written(path, len(page), len(evaluations), len(runs), left_out)


def _body(
    document: Document,
    evaluations: Sequence[Evaluation],
    suites: Sequence[tuple[dict, dict]],
    runs: Sequence[TrainingRun],
    schedules: int,
    command: str,
) -> Markup:
    worlds = sum(len(one.report.plan.cases) * len(one.report.tables) for one in evaluations)
    counts = [f"{len(evaluations)} evaluations", f"{worlds} worlds"] if evaluations else []
    counts += [f"{len(runs)} training runs"] if runs else []
    sections = [suite_section(document, number, *suite) for number, suite in enumerate(suites)]
    sections += [
        evaluation_section(document, number, evaluation, schedules) for number, evaluation in enumerate(evaluations)
    ]
    if runs:
        sections.append(training_section(document, runs))
    return tag(
        "main",
        tag("h1", document.title),
        tag("p", ", ".join(counts).replace("1 evaluations", "1 evaluation"), class_="lead"),
        tag("noscript", tag("p", _NO_SCRIPT)),
        _contents(evaluations, suites, runs),
        summary(evaluations) if evaluations else None,
        sections,
        _how_to_read(command),
    )


def _contents(
    evaluations: Sequence[Evaluation], suites: Sequence[tuple[dict, dict]], runs: Sequence[TrainingRun]
) -> Markup:
    links = [(f"suite-{number}", f"Suite {aggregate['suite']}") for number, (_, aggregate) in enumerate(suites)]
    for number, evaluation in enumerate(evaluations):
        links.append(
            (f"evaluation-{number}", f"{evaluation.report.plan.variants[0].env_id} ({evaluation.folder.name})")
        )
    links += [("training", "Training")] if runs else []
    links.append(("reading", "How to read this"))
    return tag("nav", bullets(tag("a", name, href=f"#{place}") for place, name in links), aria_label="Contents")


def _how_to_read(command: str) -> Markup:
    versions = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    return tag(
        "section",
        tag("h2", "How to read this"),
        bullets(_MEANINGS, class_="notes"),
        tag("p", "This file holds all that it shows and loads nothing. It was made by"),
        tag("pre", command),
        tag("p", f"with {versions}.", class_="hint"),
        id="reading",
    )
