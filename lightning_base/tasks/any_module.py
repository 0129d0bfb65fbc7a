"""AnyModule: a LightningModule that knows nothing of this project, trained as it is and scored by us."""

from typing import Any, Literal, get_args

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError, UserError
from lightning_base.samples.batch import Batch, Inputs
from lightning_base.samples.nested import Nested
from lightning_base.samples.samples import Samples
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.classification import Classification
from lightning_base.tasks.given import demand_fits
from lightning_base.tasks.lead import Mode
from lightning_base.tasks.multi_label import MultiLabel
from lightning_base.tasks.predictor import Output
from lightning_base.tasks.probabilities import Scale, as_tensor, is_one_hot, probabilities, scale_of
from lightning_base.tasks.regression import Regression
from lightning_base.tasks.their_inputs import WIDE, demand_unseen, inputs_of, widened
from lightning_base.tools.console import note_once
from lightning_base.tools.imports import fault

PREDICTS = "lightning_base_predicts"  # in checkpoints: what predictions are, where the numbers told


class AnyModule(BaseModule):
    """Somebody else's LightningModule: its own steps, optimizers, hooks and checkpoints; predictions scored by us.

    The Trainer trains the module itself, by what its `training_step`, `validation_step` and `configure_optimizers` say.
    What it logs is reported as logged. Scores and intervals are computed from predictions of held-out samples, each
    once: those of its `predict_step`, or of `forward` where it has none of its own. They are scored as the targets
    are: classes from logits, log-probabilities or probabilities (B, C), labels likewise, values (B,) or (B, K), and
    others by `metrics` alone.

    Args:
        module: a new one.
        metrics: of torchmetrics, scored beside those; by name, or a list.
        predicts: what its predictions of classes and labels are; by default told from the numbers.
        call: whether predictions are those of `predict_step` or of `forward`; by default of the former, but where it
            gives the classes that are likeliest by the latter.
        output: which entry of what it predicts, a key or a place, where that is no tensor.
        score: the metric that is shown first and compared; what callbacks follow is what the module logs.
        score_mode: whether its largest or its smallest value is best, of a metric that does not say so.
    """

    takes = ()
    tried = 16

    def __init__(
        self,
        module: LightningModule,
        metrics: dict[str, Metric] | list[Metric] | None = None,
        predicts: Literal["auto", "logits", "log_probabilities", "probabilities"] = "auto",
        call: Literal["auto", "predict_step", "forward"] = "auto",
        output: str | int | None = None,
        score: str | None = None,
        score_mode: Mode | None = None,
    ) -> None:
        if not isinstance(module, LightningModule):
            raise ConfigError(f"module: a {type(module).__name__} is given; give a LightningModule")
        if isinstance(module, BaseModule):
            raise ConfigError(f"module: {type(module).__name__} is a task of ours; give it as the task itself")
        super().__init__(module, metrics=metrics, score=score, score_mode=score_mode)
        own = is_overridden("predict_step", module)
        if call == "predict_step" and not own:
            raise ConfigError(f"model.call: {type(module).__name__} has no predict_step of its own; leave it out")
        self.by_step = own if call == "auto" else call == "predict_step"
        self.falls_back = call == "auto"
        self.given_scale, self.output = predicts, output
        self.scale: Scale | None = None if predicts == "auto" else predicts
        self.kind: str | None = None
        self.width: int | None = None
        self.target: Any = None
        self._at = 0
        self.__dict__["like"] = None

    @property
    def trained(self) -> LightningModule:
        """What the Trainer trains."""
        assert isinstance(self.network, LightningModule)
        return self.network

    @property
    def is_late(self) -> bool:
        """Whether the module may make layers when it is set up, so that they are not there before."""
        return any(is_overridden(hook, self.trained) for hook in ("setup", "configure_model"))

    @property
    def automatic_optimization(self) -> bool:
        """Whether Lightning takes the steps of its optimizer."""
        return self.trained.automatic_optimization if "network" in self._modules else True

    @automatic_optimization.setter
    def automatic_optimization(self, value: bool) -> None:
        self.trained.automatic_optimization = value

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The module's own, so that its class loads what a run leaves."""
        return self.trained.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Loads the module's own."""
        return self.trained.load_state_dict(*args, **kwargs)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Lightning's hook: the module's own, and what its predictions are."""
        kept = checkpoint.get(PREDICTS)
        if self.given_scale == "auto" and kept in get_args(Scale):
            self.scale = kept
        self.trained.on_load_checkpoint(checkpoint)

    def use(self, data: BaseDataModule) -> None:
        """Takes what targets are, where items have them, and the names of classes."""
        self.target = getattr(data, "targets", None)
        kind = "class" if data.classes else data.samples("pool").kind
        like: BaseModule | None = None
        if kind == "class":
            like = Classification(torch.nn.Identity(), metrics=dict(self.given_metrics))
        elif kind == "labels":
            like = MultiLabel(torch.nn.Identity(), metrics=dict(self.given_metrics))
        elif kind in ("value", "values"):
            like = Regression(torch.nn.Identity(), metrics=dict(self.given_metrics))
        if like is not None:
            like.use(data)
        self.kind, self.__dict__["like"] = kind, like

    @property
    def scored_like(self) -> BaseModule | None:
        """The task of ours whose metrics and tables the predictions have; None where targets are of no such kind."""
        found: BaseModule | None = self.__dict__["like"]
        return found

    def setup(self, stage: str) -> None:
        """Lightning's hook, of what predicts: meets the data, and lets the module do so."""
        data = self.trainer.datamodule if self._trainer is not None else None  # type: ignore[attr-defined]
        if isinstance(data, BaseDataModule):
            self.use(data)
        self.trained.setup(stage)

    def configure_model(self) -> None:
        """Lightning's hook: the module's own."""
        self.trained.configure_model()

    def count_steps(self, trainer: Trainer) -> None:
        """Takes how many optimizer steps a batch had, where the module takes them itself."""
        batches = trainer.fit_loop.epoch_loop.batch_progress.total.completed
        if not self.automatic_optimization and batches:
            self.steps_per_batch = max(trainer.global_step / batches, 1)

    def configure_optimizers(self) -> Any:
        """None: the Trainer asks the module itself."""

    def forward(self, x: Inputs, batch_idx: int = 0) -> Nested:
        """Predictions (B, ...) of what `collate` has made of items: probabilities of classes and labels, values."""
        who = f"{type(self.trained).__name__}.{'predict_step' if self.by_step else 'forward'}"
        given = self.trained.predict_step(x, batch_idx) if self.by_step else self._called(x)
        found = as_tensor(given, self.output, who)
        if self.scale is None and self.kind == "class" and is_one_hot(found):
            found = found.argmax(dim=1)  # before training no probabilities are that sure
        if self.by_step and self.falls_back and self.kind in ("class", "labels") and not found.is_floating_point():
            found = self._instead(x, found)
        return self._scored(found, who, x)

    def on_predict_start(self) -> None:
        """Lightning's hook: the module's own, as are those below."""
        self.trained.on_predict_start()

    def on_predict_end(self) -> None:
        """Lightning's hook."""
        self.trained.on_predict_end()

    def on_predict_epoch_start(self) -> None:
        """Lightning's hook."""
        self.trained.on_predict_epoch_start()

    def on_predict_epoch_end(self) -> None:
        """Lightning's hook."""
        self.trained.on_predict_epoch_end()

    def on_predict_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Lightning's hook, which is given what `collate` has made."""
        self.trained.on_predict_batch_start(batch.x, batch_idx, dataloader_idx)

    def on_predict_batch_end(self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Lightning's hook, likewise."""
        self.trained.on_predict_batch_end(outputs, batch.x, batch_idx, dataloader_idx)

    def predict_step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, Nested]:
        """Lightning's hook; the module's own is given the number of the batch."""
        self._at = batch_idx
        return super().predict_step(batch, batch_idx)

    def predictions(self, batch: Batch) -> Any:
        """Predictions (B, ...) of a batch."""
        return self.forward(batch.x, self._at)

    def _instead(self, x: Inputs, found: Tensor) -> Tensor:
        """What `forward` gives, where `predict_step` gives the classes themselves; else what that gave."""
        try:
            other = as_tensor(self._called(x), self.output, "forward")
        except Exception:  # it may take something else: what predict_step gives is refused then
            return found
        if not other.is_floating_point() or len(other) != len(found):
            return found
        if other.ndim == 2 and self.kind == "class" and not torch.equal(other.argmax(dim=1), found.reshape(-1)):
            return found  # it would not predict the same
        self.by_step = False
        return other

    def _called(self, x: Any) -> Any:
        """What `forward` gives of a batch without its target."""
        args, named = inputs_of(self.trained.forward, x, self.target)
        return self.trained(*args, **named)

    def _wide(self, x: Any) -> Scale | None:
        """What `forward` gives of far larger inputs, which no sigmoid gives; None where that does not tell."""
        given = inputs_of(self.trained.forward, x, self.target)
        for factor in (WIDE, -WIDE) if not self.by_step else ():
            try:
                args, named = widened(given, factor)
                found = as_tensor(self.trained(*args, **named), self.output, "forward")
            except Exception:  # it may take no such inputs
                return None
            if bool(((found < 0) | (found > 1)).any()):
                return "logits"
        return None

    def _scored(self, found: Tensor, who: str, x: Any) -> Tensor:
        found = found.detach()
        if self.kind not in ("class", "labels"):
            if isinstance(self.scored_like, Regression):
                k = self.scored_like.width
                if found.ndim == 2 and found.shape[1] == 1 and not self.scored_like.names:
                    found = found[:, 0]
                if found.shape[1:] not in ((), (k,)) or (found.ndim == 1 and self.scored_like.names):
                    raise ConfigError(f"model: {who} gives {tuple(found.shape)} where targets are {k} values a sample")
            return found.float() if found.dtype in (torch.float16, torch.bfloat16) else found
        c = len(self.scored_like.classes) if isinstance(self.scored_like, Classification) else None
        if not found.is_floating_point():
            raise ConfigError(
                f"model: {who} gives {tuple(found.shape)} of {str(found.dtype).removeprefix('torch.')}, the classes "
                "themselves; intervals, AUROC and loss need logits or probabilities (B, C): set model.call to "
                "forward, where that gives them"
            )
        found = found[:, None] if found.ndim == 1 else found
        one = c == 2 and found.shape[1:] == (1,)
        if c is not None and found.shape[1:] != (c,) and not one:
            raise ConfigError(
                f"model: {who} gives {tuple(found.shape)}, and the data has {c} classes, which need (B, {c}); set "
                "data.class_names to their names, or to how many the network knows"
            )
        each = one or c is None
        if self.scale is None:
            self.scale = scale_of(found, each) or (self._wide(x) if each else None)
            if self.scale is None:
                raise ConfigError(
                    f"model.predicts: {who} gives numbers from 0 to 1, which might be logits or probabilities; say "
                    f"which: module=lambda: AnyModule({type(self.trained).__name__}(…), predicts='probabilities')"
                )
        found = probabilities(found, self.scale, each)
        return torch.cat([1 - found, found], dim=1) if one else found

    def step(self, batch: Batch) -> Output:
        """Predictions and targets of a batch; the loss is none of ours."""
        preds = self.predictions(batch)
        return Output(torch.zeros(()), preds, batch.y)

    def demand_kind(self, samples: Samples) -> None:
        """Takes targets of any kind but boxes, spans and sequences, which no tensor predicts.

        Raises:
            ConfigError: for these.
        """
        if samples.kind in ("boxes", "spans", "sequence"):
            raise ConfigError(f"model: AnyModule scores no {samples.kind}; write a task of your own for them")

    def check(self, batch: Batch) -> None:
        """Predicts some samples, without gradient, to find a misfit of module, data and metrics before training.

        Raises:
            UserError: where the module does not take the batch, or predicts what the targets do not fit.
        """
        name, was_training, by_step = type(self.trained).__name__, self.trained.training, self.by_step
        self.eval()
        try:
            own: Any = self.trained.configure_callbacks()
            for callback in own if isinstance(own, list | tuple) else [own]:
                if isinstance(callback, ModelCheckpoint) and callback.dirpath is not None:
                    raise ConfigError(
                        f"model: {name}.configure_callbacks gives a ModelCheckpoint with dirpath {callback.dirpath}, "
                        "which folds would share; leave dirpath out"
                    )
            if self.is_late:
                return
            with torch.no_grad():
                out = self.step(batch)
            if not self.by_step:
                demand_unseen(inputs_of(self.trained.forward, batch.x, self.target), batch.y, name)
            n = len(out.preds) if isinstance(out.preds, Tensor) else 0
            if n != len(batch.rows):
                raise ConfigError(f"model: {name} predicts {n} samples of a batch of {len(batch.rows)}; give one each")
            demand_fits(self.given_metrics, self.for_given, out.preds, out.target)
        except UserError:
            raise
        except Exception as error:  # whatever the user's own module does
            how = "predict_step" if self.by_step else "forward"
            raise ConfigError(
                f"model: {name}.{how} does not predict what the data gives: {fault(error)}; give it a "
                "predict_step(batch, batch_idx) that returns predictions (B, …) of a batch"
            ) from error
        finally:
            self.trained.train(was_training)
        if by_step and not self.by_step:
            note_once(
                f"{name}.predict_step gives the classes themselves; scored are the probabilities that forward gives, "
                "of which they are the likeliest"
            )

    def metrics(self) -> MetricCollection:
        """Those of the task of ours that scores such targets; none where there is no such task."""
        return MetricCollection({}) if self.scored_like is None else self.scored_like.metrics()

    def details(self) -> MetricCollection:
        """Likewise, for the reports."""
        return MetricCollection({}) if self.scored_like is None else self.scored_like.details()

    def trivial(self, train: Nested, n: int) -> tuple[Nested, str] | None:
        """Likewise."""
        return None if self.scored_like is None else self.scored_like.trivial(train, n)

    def columns(self, preds: Nested) -> dict[str, Any]:
        """Likewise, of a prediction table."""
        return super().columns(preds) if self.scored_like is None else self.scored_like.columns(preds)

    def answer_columns(self, preds: Nested) -> dict[str, Any]:
        """Likewise, with names."""
        return super().answer_columns(preds) if self.scored_like is None else self.scored_like.answer_columns(preds)

    def target_columns(self, target: Nested) -> dict[str, Any]:
        """Likewise, of targets."""
        return super().target_columns(target) if self.scored_like is None else self.scored_like.target_columns(target)

    @property
    def target_names(self) -> tuple[str, ...]:
        """The names of several values or labels."""
        return () if self.scored_like is None else self.scored_like.target_names
