"""``@task.train_model``: a function that fits a model, with everything around it done by the package."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import determine_kwargs
from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.metrics import find
from airflow_mlops_provider.core.names import check_model_name
from airflow_mlops_provider.core.specs import Split, Task, TrainSettings
from airflow_mlops_provider.hooks.data import open_data
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.model_events import model_outlet
from airflow_mlops_provider.operators.train_model import emit_version, split_of
from airflow_mlops_provider.operators.train_once import Training, train_once

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.bases.decorator import TaskDecorator

INJECTED = ("X", "y")


class TrainModelDecoratedOperator(DecoratedOperator, MLOpsOperator):
    """Call a function with the training rows and track the fitted estimator that it returns.

    The function has parameters ``X`` (pandas.DataFrame of the features: float64, and object of str) and ``y`` (array),
    which the task fills with the training rows; all others are passed by keyword when it is called in the DAG. What it
    returns is judged on held-out rows it never saw, logged, saved and registered like a model of
    :class:`~airflow_mlops_provider.operators.train_model.TrainModelOperator`, whose parameters of the same names mean
    the same here. Preparing the columns is the function's part: return a pipeline.

    Parameters
    ----------
    model_name, data, target : see TrainModelOperator
        Templated.
    task, positive_class, features, drop_columns, split, metric, seed : see TrainModelOperator
    reference_sample_rows, trusted_types, allow_pickle, force_new : see TrainModelOperator
        Folds, class weights and preprocessing belong to the function.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`.

    Notes
    -----
    XCom: as of :class:`~airflow_mlops_provider.operators.train_model.TrainModelOperator`. The asset event is the same,
    too.

    Examples
    --------
    >>> from airflow.sdk import task
    >>> @task.train_model(model_name="churn", data="/customers/labelled.parquet", target="churn")
    ... def fit(X, y, depth):
    ...     from sklearn.tree import DecisionTreeClassifier
    ...
    ...     return DecisionTreeClassifier(max_depth=depth).fit(X[["tenure"]], y)
    """

    custom_operator_name: ClassVar[str] = "@task.train_model"
    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *MLOpsOperator.template_fields,
        "model_name",
        "data",
        "target",
    )

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        model_name: str,
        data: Any,
        target: str,
        task: Task | None = None,
        positive_class: Any = None,
        features: Sequence[str] | None = None,
        drop_columns: Sequence[str] = (),
        split: Split | Mapping[str, Any] | None = None,
        metric: str | None = None,
        seed: int = 0,
        reference_sample_rows: int = 0,
        trusted_types: Sequence[str] = (),
        allow_pickle: bool = False,
        force_new: bool = False,
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        missing = [name for name in INJECTED if name not in inspect.signature(python_callable).parameters]
        if missing:
            raise InputError(
                f"The function {python_callable.__name__!r} of @task.train_model must have the parameters X and y, "
                f"the training rows; it lacks {', '.join(missing)}."
            )
        if op_args or any(op_kwargs and op_kwargs.get(name) is not None for name in INJECTED):
            raise InputError(
                f"Pass arguments to {python_callable.__name__!r} by keyword: @task.train_model fills X and y itself."
            )
        super().__init__(
            python_callable=python_callable, op_kwargs={**dict.fromkeys(INJECTED), **(op_kwargs or {})}, **kwargs
        )
        self.model_name = model_name
        self.data = data
        self.target = target
        if metric is not None:
            find(metric, task=task)
        self.settings = TrainSettings(
            task=task,
            positive_class=positive_class,
            features=features,
            drop_columns=drop_columns,
            split=split_of(split),
            metric=metric,
            folds=0,
            seed=seed,
            reference_sample_rows=reference_sample_rows,
        )
        self.trusted_types = tuple(trusted_types)
        self.allow_pickle = allow_pickle
        self.force_new = force_new
        self.outlet = model_outlet(model_name)
        self.outlets = [*self.outlets, self.outlet]

    def execute(self, context: Context) -> Any:
        """Run the task; the returned object is its XCom."""
        # Not DecoratedOperator.execute, which treats the return value as the function's.
        return MLOpsOperator.execute(self, context)

    def perform(self, context: Context) -> dict[str, Any]:
        """Call the function, judge what it returns, log and register it."""
        from airflow_mlops_provider.training.train import train_by

        check_model_name(self.model_name)

        def fit(X: Any, y: Any) -> Any:
            given = {**context, **self.op_kwargs, "X": X, "y": y}
            return self.python_callable(**determine_kwargs(self.python_callable, self.op_args, given))

        with open_data(self.render_data(self.data, context)) as source:
            training = Training(
                mlflow_conn_id=self.mlflow_conn_id,
                experiment_name=self.experiment_name,
                model_name=self.model_name,
                operator=self.custom_operator_name,
                fingerprint=source.fingerprint(),
                settings=self.settings,
                identity={"target": self.target, "function": _source_of(self.python_callable), **self.op_kwargs},
                trusted_types=self.trusted_types,
                allow_pickle=self.allow_pickle,
                force_new=self.force_new,
            )
            result = train_once(
                context,
                training,
                lambda: train_by(
                    fit,
                    source.to_table(),
                    target=self.target,
                    name=self.python_callable.__name__,
                    settings=self.settings,
                    log=self.log.info,
                ),
            )
        emit_version(context, self.outlet, result)
        return result


def _source_of(function: Callable[..., Any]) -> str:
    """Return the function's source, or its name when it has none, as in an interactive session."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return function.__qualname__


def train_model_task(
    python_callable: Callable[..., Any] | None = None, multiple_outputs: bool | None = None, **kwargs: Any
) -> TaskDecorator:
    """Turn a function into a task that trains, tracks and registers a model.

    Parameters
    ----------
    python_callable : callable
        Has parameters ``X`` and ``y`` and returns a fitted scikit-learn estimator.
    multiple_outputs : bool, optional
        Push each key of the result as an XCom of its own.
    **kwargs
        Of :class:`TrainModelDecoratedOperator`.
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=TrainModelDecoratedOperator,
        **kwargs,
    )
