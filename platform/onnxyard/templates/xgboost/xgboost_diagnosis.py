"""Breast-cancer diagnosis from 30 named measurements, some of them not taken: boosted trees by XGBoost."""

import numpy as np
from sklearn.datasets import load_breast_cancer
from xgboost import XGBClassifier

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Report, Targets, Tensors


def data(config: Config) -> Splits:
    """569 cell samples (they come with scikit-learn); 0 is malignant, 1 benign. A tenth of the values is blotted out.

    XGBoost learns at each branch which side a missing value takes.
    """
    samples, diagnosis = load_breast_cancer(return_X_y=True)
    samples = samples.astype(np.float32)
    samples[np.random.default_rng(config["seed"]).random(samples.shape) < config["missing"]] = np.nan
    return Splits(train=Split({"features": samples}, diagnosis))


def train(splits: Splits, config: Config, report: Report) -> XGBClassifier:
    """Boost until the validation split gets no better."""
    model = XGBClassifier(
        n_estimators=config["rounds"],
        max_depth=config["depth"],
        learning_rate=config["learning_rate"],
        early_stopping_rounds=20,
        eval_metric="logloss",
        random_state=config["seed"],
        n_jobs=1,
    )
    held_out = (splits.validation.inputs["features"], splits.validation.targets)
    model.fit(splits.train.inputs["features"], splits.train.targets, eval_set=[held_out], verbose=False)
    for step, loss in enumerate(model.evals_result()["validation_0"]["logloss"]):
        report(step, {"logloss": loss})
    return model


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    """How good the model's outputs are; larger is better."""
    return {"accuracy": float(np.mean(outputs["diagnosis"] == targets))}
