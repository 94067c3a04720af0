"""How far diabetes will have progressed in a year, from ten measurements of a patient: boosted trees by LightGBM."""

import numpy as np
from lightgbm import LGBMRegressor, early_stopping
from sklearn.datasets import load_diabetes

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Report, Targets, Tensors


def data(config: Config) -> Splits:
    """442 patients (they come with scikit-learn), in the units they were measured in: years, kg/m², mmHg, mg/dl.

    The test split takes more rows than usual: with so few patients, gates could prove little otherwise.
    """
    patients, progression = load_diabetes(return_X_y=True, scaled=False)
    order = np.random.default_rng(config["seed"]).permutation(len(patients))
    patients, progression = patients[order].astype(np.float32), progression[order]
    ends = {"train": (0, 222), "validation": (222, 262), "calibration": (262, 282), "test": (282, 442)}
    return Splits(**{name: Split({"patient": patients[a:b]}, progression[a:b]) for name, (a, b) in ends.items()})


def train(splits: Splits, config: Config, report: Report) -> LGBMRegressor:
    """Boost until the validation split gets no better. The second column, sex, is a category."""
    model = LGBMRegressor(
        n_estimators=config["rounds"],
        num_leaves=config["leaves"],
        learning_rate=config["learning_rate"],
        min_child_samples=15,
        random_state=config["seed"],
        n_jobs=1,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
    model.fit(
        splits.train.inputs["patient"],
        splits.train.targets,
        eval_X=splits.validation.inputs["patient"],
        eval_y=splits.validation.targets,
        categorical_feature=[1],
        callbacks=[early_stopping(20, verbose=False)],
    )
    for step, loss in enumerate(model.evals_result_["valid_0"]["l2"]):
        report(step, {"squared_error": loss})
    return model


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    """How good the model's outputs are; larger is better. The mean progression of all patients is 152."""
    wrong = outputs["progression"] - np.asarray(targets)
    return {"r2": float(1.0 - np.mean(wrong**2) / np.var(targets)), "nearness": float(-np.mean(np.abs(wrong)))}
