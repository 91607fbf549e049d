"""A training scored on its way, between two updates; the weights of the best score are kept beside the last.

It is no part of what the training is: an update is a function of the seed and its number, so that whatever happens
between two of them, the final weights are the same to the bit.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch

from logoseg.clip.word_list import require_words
from ovlab.datasets.opening import open_dataset
from ovlab.evaluation.evaluator import evaluate
from ovlab.files.whole_file import write_text
from ovlab.methods.networks import write_network
from ovlab.metrics.evaluation_counts import sum_counts
from ovlab.metrics.summary import summary
from ovlab.runs.identity import resolve_evaluation
from ovlab.runs.observer import Observer
from ovlab.runs.validation import BEST_SCORE, BEST_WEIGHTS, Validation, read_best
from ovlab.runs.work import EvaluationJob
from ovlab.specs.evaluation import whole
from ovlab.specs.events import Step, Validated
from ovlab.specs.scores import SCORES
from ovlab.training.loop import TrainingInput

# The subject of weights that no record names.
_ON_THE_WAY = "0" * 64


class Validator(Observer):
    """Hears of updates, scores `given.model` after some of them, and tells `listener`. Into `folder` go the weights of
    the best mIoU so far, over all calls on the same images, and what was told of them.

    Raises InputError for data that are not there, and ModelError for a class that the model cannot read.
    """

    def __init__(
        self, validation: Validation, given: TrainingInput, folder: Path, device: torch.device, listener: Observer
    ) -> None:
        model, dataset = given.spec.model, open_dataset(validation.place, validation.split)
        protocol = replace(whole(model.clip.image_size), prompt_templates=model.prompt_templates)
        asked = dataset.label_space(protocol.synonyms).asked
        require_words(model.clip.name, asked, protocol.prompt_templates, dataset.name)
        num_images = validation.num_images
        spec = resolve_evaluation(_ON_THE_WAY, dataset, validation.split, protocol, num_images=num_images)
        self.job = EvaluationJob(spec, dataset)
        self.question = self.job.question(given.model)
        self.every, self.given, self.device = validation.every, given, device
        self.folder, self.listener = folder, listener

    def on_step(self, step: Step) -> None:
        if step.step % self.every == 0 or step.step == self.given.spec.schedule.steps:
            validated = self._validated(step.step)
            self._keep_if_best(validated)
            self.listener.on_validation(validated)

    def _validated(self, step: int) -> Validated:
        counts = evaluate(self.given.model, [self.question], [self.job.images], device=self.device)
        labels = self.job.labels
        totals = sum_counts((image.counts for (image,) in counts), len(labels.scored))
        scores = summary(totals, labels.scored, labels.seen)
        return Validated(
            step=step,
            benchmark=self.job.spec.benchmark,
            split=self.job.spec.split,
            num_images=len(self.job.images),
            figures={name: scores[name] for name in SCORES if scores.get(name) is not None},
        )

    def _keep_if_best(self, validated: Validated) -> None:
        before = read_best(self.folder)
        if before is not None and before.images == validated.images and _miou(before) >= _miou(validated):
            return
        given = self.given
        write_network(given.model, given.spec.model, given.dataset.class_names, self.folder / BEST_WEIGHTS)
        # Behind the weights: killed between the two, the same update is made again, and finds itself better again.
        write_text(self.folder / BEST_SCORE, json.dumps(asdict(validated), indent=2) + "\n")


def _miou(validated: Validated) -> float:
    return validated.figures.get("miou", 0.0)
