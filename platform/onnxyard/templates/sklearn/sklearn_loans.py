"""Will a loan be paid back? A table as banks have it, of words, whole numbers, amounts and gaps; and its pipeline."""

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Report, Targets, Tensors

WORDS = ["purpose", "housing", "job"]
NUMBERS = ["age", "months", "income", "amount", "balance"]


def data(config: Config) -> Splits:
    """4,000 loans that a seeded generator made up: no real people. One input [rows] for each column.

    About one job in ten and one balance in seven is missing: the empty text, and NaN.
    """
    random = np.random.default_rng(config["seed"])
    rows = config["rows"]
    age = random.integers(19, 75, rows)
    months = random.choice([6, 12, 18, 24, 36, 48, 60], rows)
    job = random.choice(["unskilled", "skilled", "self-employed", "management", "retired"], rows)
    income = random.lognormal(7.6 + 0.3 * (job == "management") - 0.2 * (job == "unskilled"), 0.4)
    amount = random.lognormal(8.2, 0.7, rows)
    balance = random.normal(800 + 0.3 * income, 1500)
    housing = random.choice(["own", "rent", "free"], rows, p=[0.6, 0.3, 0.1])
    purpose = random.choice(["car", "furniture", "education", "business", "repairs"], rows)
    burden = amount / months / income
    score = 2.2 - 9.0 * burden + 0.0006 * balance + 0.9 * (housing == "own") - 1.0 * (purpose == "business")
    score += 0.02 * (age - 40) - 1.2 * (job == "unskilled")
    paid = (score + random.logistic(0.0, 0.4, rows) > 0).astype(np.int64)
    job = np.where(random.random(rows) < 0.1, "", job)
    balance = np.where(random.random(rows) < 0.15, np.nan, balance)
    amounts = {"income": income, "amount": amount, "balance": balance}
    return Splits(
        train=Split(
            {
                "purpose": purpose,
                "housing": housing,
                "job": job,
                "age": age,
                "months": months,
                **{name: values.round(2).astype(np.float32) for name, values in amounts.items()},
            },
            paid,
        )
    )


def train(splits: Splits, config: Config, report: Report) -> Pipeline:
    """Fill gaps, encode words, scale numbers, grow a forest. Its columns are the inputs, by name."""
    loans = pd.DataFrame(splits.train.inputs)
    words = make_pipeline(
        SimpleImputer(missing_values="", strategy="constant", fill_value="unknown"),
        OneHotEncoder(handle_unknown="ignore"),
    )
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    pipeline = make_pipeline(
        ColumnTransformer([("words", words, WORDS), ("numbers", numbers, NUMBERS)]),
        RandomForestClassifier(config["trees"], max_depth=config["depth"], random_state=config["seed"], n_jobs=1),
    )
    pipeline.fit(loans, splits.train.targets)
    probabilities = pipeline.predict_proba(pd.DataFrame(splits.validation.inputs))
    report(0, metrics(splits.validation.targets, {"probabilities": probabilities}))
    return pipeline


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    """How good the model's outputs are; larger is better. The Brier skill is 0 for who always tells the mean share."""
    wrong = outputs["probabilities"][:, 1] - np.asarray(targets)
    return {
        "skill": float(1.0 - np.mean(wrong**2) / np.var(targets)),
        "accuracy": float(np.mean(np.abs(wrong) < 0.5)),
    }
