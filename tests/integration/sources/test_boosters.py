"""XGBoost and LightGBM: every graph answers what the booster's own predict says, missing values included."""

import lightgbm as lgb
import numpy as np
import onnx
import pandas as pd
import pytest
import xgboost as xgb

from onnxyard.errors import ArtifactCorruptError, UnsupportedModelError, UserCodeError
from onnxyard.sources.lightgbm.source import LightGBM
from onnxyard.sources.xgboost.source import XGBoost
from sources_tables import carry, store

ROWS, COLUMNS = 600, 5
XGB = {"n_estimators": 12, "max_depth": 4, "n_jobs": 1}
LGB = {"n_estimators": 12, "num_leaves": 9, "n_jobs": 1, "verbose": -1}


def table(seed):
    random = np.random.default_rng(seed)
    values = random.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    values[:, 1] = np.round(values[:, 1] * 2)
    values[:, 2] = random.integers(0, 9, ROWS)
    values[random.random(values.shape) < 0.1] = np.nan
    return values


X, HELD_OUT = table(0), table(1)
SUM = np.nan_to_num(X[:, 0]) + 0.5 * np.nan_to_num(X[:, 1], nan=2) + 2 * np.isnan(X[:, 3]) + (X[:, 2] == 3)
NUMBER, AMOUNT, BINARY, CLASS = SUM, np.exp(SUM * 0.3), (SUM > 1).astype(int), np.digitize(SUM, [-0.5, 1, 2])
BOTH = np.stack([NUMBER, AMOUNT], axis=1)
WORDS = np.array(["low", "mid", "high", "top"])[CLASS]
ROUNDS = {"n_estimators": 80, "learning_rate": 0.5}
GROUPS = [10] * (ROWS // 10)

REGRESSORS = {
    "squared error": (lambda: xgb.XGBRegressor(**XGB), NUMBER),
    "base score": (lambda: xgb.XGBRegressor(**XGB, base_score=3.0), NUMBER),
    "poisson": (lambda: xgb.XGBRegressor(**XGB, objective="count:poisson"), AMOUNT),
    "logistic": (lambda: xgb.XGBRegressor(**XGB, objective="reg:logistic"), BINARY * 0.9 + 0.05),
    "dart": (lambda: xgb.XGBRegressor(**XGB, booster="dart", rate_drop=0.3), NUMBER),
    "random forest": (lambda: xgb.XGBRFRegressor(**XGB), NUMBER),
    "two targets": (lambda: xgb.XGBRegressor(**XGB), BOTH),
    "trees of two targets": (lambda: xgb.XGBRegressor(**XGB, multi_strategy="multi_output_tree"), BOTH),
    "leaves": (lambda: lgb.LGBMRegressor(**LGB), NUMBER),
    "fair": (lambda: lgb.LGBMRegressor(**LGB, objective="fair"), NUMBER),
    "gamma": (lambda: lgb.LGBMRegressor(**LGB, objective="gamma"), AMOUNT),
    "square root": (lambda: lgb.LGBMRegressor(**LGB, reg_sqrt=True), AMOUNT),
    "cross entropy": (lambda: lgb.LGBMRegressor(**LGB, objective="cross_entropy"), BINARY * 0.9 + 0.05),
    "cross entropy lambda": (lambda: lgb.LGBMRegressor(**LGB, objective="cross_entropy_lambda"), BINARY * 0.9),
    "bagged forest": (
        lambda: lgb.LGBMRegressor(**LGB, boosting_type="rf", bagging_freq=1, bagging_fraction=0.7),
        NUMBER,
    ),
    "no gaps known": (lambda: lgb.LGBMRegressor(**LGB, use_missing=False), NUMBER),
}
CLASSIFIERS = {
    "binary": (lambda: xgb.XGBClassifier(**XGB), BINARY),
    "classes": (lambda: xgb.XGBClassifier(**XGB), CLASS),
    "softmax": (lambda: xgb.XGBClassifier(**XGB, objective="multi:softmax"), CLASS),
    "hinge": (lambda: xgb.XGBClassifier(**XGB, objective="binary:hinge"), BINARY),
    "labels": (lambda: xgb.XGBClassifier(**XGB), np.stack([BINARY, CLASS > 1], axis=1)),
    "leaves": (lambda: lgb.LGBMClassifier(**LGB), BINARY),
    "steep": (lambda: lgb.LGBMClassifier(**LGB, sigmoid=2.0), BINARY),
    "words": (lambda: lgb.LGBMClassifier(**LGB), WORDS),
    "one against all": (lambda: lgb.LGBMClassifier(**LGB, objective="multiclassova"), CLASS),
}


def source_of(model):
    return XGBoost() if type(model).__module__.startswith("xgboost") else LightGBM()


def same(one, other):
    assert one.keys() == other.keys()
    for name, wanted in one.items():
        given = other[name]
        assert (given.dtype, given.shape) == (wanted.dtype, wanted.shape)
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(given, wanted, rtol=2e-6, atol=2e-6)
        else:
            np.testing.assert_array_equal(given, wanted)


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regressor(tmp_path, name):
    make, target = REGRESSORS[name]
    model = make().fit(X, target)
    made = carry(source_of(model), model, {"x": HELD_OUT}, tmp_path)
    np.testing.assert_allclose(made.wanted["y"], model.predict(HELD_OUT), rtol=1e-6)
    same(made.wanted, made.given)


def test_rows_that_lie_on_the_thresholds(tmp_path):
    """XGBoost's thresholds are values of its training rows."""
    model = xgb.XGBRegressor(**XGB).fit(X, NUMBER)
    made = carry(XGBoost(), model, {"x": X}, tmp_path)
    same(made.wanted, made.given)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier(tmp_path, name):
    make, target = CLASSIFIERS[name]
    model = make().fit(X, target)
    made = carry(source_of(model), model, {"x": HELD_OUT}, tmp_path, outputs=("label", "probabilities"))
    np.testing.assert_array_equal(made.wanted["label"], model.predict(HELD_OUT))
    np.testing.assert_allclose(made.wanted["probabilities"], model.predict_proba(HELD_OUT), rtol=1e-6)
    same(made.wanted, made.given)


@pytest.mark.parametrize("parallel", [1, 3])
def test_early_stopping_keeps_the_best_rounds(tmp_path, parallel):
    model = xgb.XGBRegressor(**ROUNDS, num_parallel_tree=parallel, early_stopping_rounds=2, n_jobs=1)
    model.fit(X, NUMBER, eval_set=[(HELD_OUT, NUMBER)], verbose=False)
    made = carry(XGBoost(), model, {"x": HELD_OUT}, tmp_path)
    np.testing.assert_allclose(made.wanted["y"], model.predict(HELD_OUT), rtol=1e-6)
    same(made.wanted, made.given)


@pytest.mark.parametrize(
    "make",
    [
        lambda: xgb.train({"objective": "binary:logistic", "nthread": 1}, xgb.DMatrix(X, BINARY), 8),
        lambda: xgb.train({"objective": "multi:softmax", "num_class": 4, "nthread": 1}, xgb.DMatrix(X, CLASS), 8),
        lambda: lgb.train({"objective": "multiclass", "num_class": 4, "verbose": -1}, lgb.Dataset(X, CLASS), 8),
        lambda: xgb.XGBRanker(**XGB).fit(X, CLASS, qid=np.repeat(np.arange(ROWS // 10), 10)),
        lambda: lgb.LGBMRanker(**LGB).fit(X, CLASS, group=GROUPS),
    ],
    ids=["booster", "softmax booster", "leaves", "ranker", "ranker of leaves"],
)
def test_boosters_and_rankers(tmp_path, make):
    model = make()
    made = carry(source_of(model), model, {"x": HELD_OUT}, tmp_path)
    data = xgb.DMatrix(HELD_OUT) if isinstance(model, xgb.Booster) else HELD_OUT
    np.testing.assert_allclose(made.wanted["y"], model.predict(data), rtol=1e-6)
    same(made.wanted, made.given)


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("single", [1, 100])
def test_categories_missing_and_unseen_ones_too(tmp_path, seen, single):
    rows = HELD_OUT if seen else np.where(np.arange(COLUMNS) == 2, HELD_OUT + 5, HELD_OUT).astype(np.float32)
    types = ["q", "q", "c", "q", "q"]
    boosted = xgb.XGBRegressor(**XGB, enable_categorical=True, feature_types=types, max_cat_to_onehot=single)
    grown = lgb.LGBMRegressor(**LGB, max_cat_to_onehot=single, min_data_per_group=5, cat_smooth=1)
    boosted.fit(X, NUMBER)
    grown.fit(X, NUMBER, categorical_feature=[2])
    for number, model in enumerate((boosted, grown)):
        made = carry(source_of(model), model, {"x": rows}, tmp_path / str(number))
        [ensemble] = [node for node in made.model.graph.node if node.op_type == "TreeEnsembleRegressor"]
        assert "BRANCH_EQ" in str(ensemble)
        np.testing.assert_allclose(made.wanted["y"], model.predict(rows), rtol=1e-6)
        same(made.wanted, made.given)


def test_float64_columns_are_compared_as_float64_where_lightgbm_does(tmp_path):
    exact = np.linspace(1.0, 1.0 + 1e-6, ROWS).reshape(-1, 1)
    model = lgb.LGBMRegressor(**LGB).fit(exact, np.sign(np.sin(np.arange(ROWS) / 40)))
    made = carry(LightGBM(), model, {"x": exact}, tmp_path)
    assert {entry.domain: entry.version for entry in made.model.opset_import}["ai.onnx.ml"] == 3
    same(made.wanted, made.given)


def test_named_columns_may_come_in_any_order(tmp_path):
    names = ["mean radius", "b", "c", "d", "e"]
    frame = pd.DataFrame(X, columns=names)
    inputs = {name: HELD_OUT[:, at] for at, name in reversed(list(enumerate(names)))}
    columns = {"mean radius": ("mean radius",)}
    for number, model in enumerate((xgb.XGBRegressor(**XGB), lgb.LGBMRegressor(**LGB))):
        model.fit(frame, NUMBER)
        made = carry(source_of(model), model, inputs, tmp_path / str(number), columns=columns)
        np.testing.assert_allclose(made.wanted["y"], model.predict(pd.DataFrame(HELD_OUT, columns=names)), rtol=1e-6)
        same(made.wanted, made.given)


@pytest.mark.parametrize("opset", [9, 13, 18, 27])
def test_exactly_the_opset_that_is_asked_for(tmp_path, opset):
    model = xgb.XGBClassifier(**XGB).fit(X, CLASS)
    made = carry(XGBoost(), model, {"x": HELD_OUT}, tmp_path, outputs=("a", "b"), opset=opset)
    assert {entry.domain: entry.version for entry in made.model.opset_import} == {"": opset, "ai.onnx.ml": 1}
    same(made.wanted, made.given)


@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (lambda: xgb.XGBRegressor(n_estimators=3, booster="gblinear").fit(np.nan_to_num(X), NUMBER), None, "gblinear"),
        (lambda: xgb.XGBRegressor(**XGB, missing=-1).fit(X, NUMBER), UserCodeError, "takes -1 for a missing value"),
        (lambda: xgb.XGBRegressor(**XGB), UserCodeError, "XGBRegressor that was not fitted"),
        (lambda: lgb.LGBMRegressor(**LGB), UserCodeError, "LGBMRegressor that was not fitted"),
        (lambda: lgb.LGBMRegressor(**LGB, linear_tree=True).fit(np.nan_to_num(X), NUMBER), None, "linear models"),
        (lambda: lgb.LGBMRegressor(**LGB, zero_as_missing=True).fit(X, NUMBER), None, "Zeros count as missing"),
    ],
)
def test_what_onnx_cannot_hold_is_refused_by_name(tmp_path, make, error, told):
    model = make()
    with pytest.raises(error or UnsupportedModelError, match=told):
        carry(source_of(model), model, {"x": HELD_OUT}, tmp_path)


@pytest.mark.parametrize("opset", [7, 8])
def test_below_nine_the_graph_is_converted(tmp_path, opset):
    for number, model in enumerate((xgb.XGBClassifier(**XGB), lgb.LGBMClassifier(**LGB))):
        model.fit(X, CLASS)
        made = carry(
            source_of(model), model, {"x": HELD_OUT}, tmp_path / str(number), outputs=("a", "b"), opset=opset, way=1
        )
        assert {entry.domain: entry.version for entry in made.model.opset_import} == {"": opset, "ai.onnx.ml": 1}
        same(made.wanted, made.given)


def test_the_reason_names_the_opsets_that_trees_are_written_at(tmp_path):
    model = xgb.XGBRegressor(**XGB).fit(X, NUMBER)
    with pytest.raises(UnsupportedModelError, match="Onnxyard's writer of trees does not give opset 8") as caught:
        carry(XGBoost(), model, {"x": HELD_OUT}, tmp_path, opset=8)
    assert "9 to 27" in caught.value.remedy


def test_train_must_give_a_booster(tmp_path):
    for source, other in ((XGBoost(), "a fitted XGBClassifier"), (LightGBM(), "a fitted LGBMClassifier")):
        with pytest.raises(UserCodeError, match=f"train returned a dict, not {other}"):
            store(source, {}, tmp_path)


@pytest.mark.parametrize("make", [lambda: xgb.XGBClassifier(**XGB), lambda: lgb.LGBMClassifier(**LGB)])
def test_the_same_booster_is_the_same_bytes_and_a_broken_one_is_told(tmp_path, make):
    for name in ("one", "two"):
        model = make().fit(X, CLASS)
        store(source_of(model), model, tmp_path / name)
    source = source_of(model)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert [(tmp_path / "one" / name).read_bytes() for name in files] == [
        (tmp_path / "two" / name).read_bytes() for name in files
    ]
    stored = next(path for path in (tmp_path / "one").iterdir() if path.suffix != ".json")
    stored.write_bytes(stored.read_bytes()[:100])
    with pytest.raises(ArtifactCorruptError):
        source.load(None, tmp_path / "one")


def test_the_graph_is_the_same_bytes(tmp_path):
    model = xgb.XGBClassifier(**XGB).fit(X, CLASS)
    made = [carry(XGBoost(), model, {"x": X}, tmp_path / str(n), outputs=("a", "b")).model for n in (1, 2)]
    assert made[0].SerializeToString(deterministic=True) == made[1].SerializeToString(deterministic=True)
    assert all(onnx.defs.has(node.op_type, node.domain) for node in made[0].graph.node)
