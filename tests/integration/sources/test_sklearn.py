"""scikit-learn: pipelines of words, whole numbers and gaps answer in ONNX what they answer by themselves."""

import subprocess
import sys

import numpy as np
import onnx
import pandas as pd
import pytest
import xgboost as xgb
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectFromModel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from skops import io as skops

from onnxyard.errors import ArtifactCorruptError, UnsupportedModelError, UserCodeError
from onnxyard.sources.sklearn.source import Sklearn
from sources_tables import carry, store

ROWS = 600


def rows(seed):
    random = np.random.default_rng(seed)
    income = random.lognormal(10, 1, ROWS).astype(np.float32)
    income[random.random(ROWS) < 0.1] = np.nan
    return {
        "age": random.integers(18, 80, ROWS),
        "bmi": random.normal(27, 5, ROWS).astype(np.float32),
        "income": income,
        "kids": random.integers(0, 5, ROWS),
        "region": random.choice(np.array(["north", "south", "", "east"], dtype=object), ROWS),
    }


TRAIN, HELD_OUT = rows(0), rows(1)
HELD_OUT["region"][:5] = "nowhere"
FRAME, HELD_OUT_FRAME = pd.DataFrame(TRAIN), pd.DataFrame(HELD_OUT)
YES = ((TRAIN["age"] > 40) & (TRAIN["bmi"] > 25) | (TRAIN["region"] == "south")).astype(int)
GROUP = np.digitize(TRAIN["age"], [30, 50])
AMOUNT = YES + TRAIN["bmi"]
X, X_HELD_OUT = (
    np.stack([table["age"], table["bmi"], np.nan_to_num(table["income"]) / 1e4, table["kids"]], 1).astype(np.float32)
    for table in (TRAIN, HELD_OUT)
)


def mixed(last, *, kids="number"):
    numbers = ["age", "bmi", "income", *(["kids"] if kids == "number" else [])]
    filled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = make_pipeline(
        SimpleImputer(missing_values="", strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore")
    )
    parts = [("numbers", filled, numbers), ("words", words, ["region"])]
    if kids == "category":
        parts.append(("kids", OneHotEncoder(handle_unknown="ignore"), ["kids"]))
    return make_pipeline(ColumnTransformer(parts), last)


def same(made, *answers, rtol=1e-5):
    for name, answer in zip(made.wanted, answers, strict=True):
        wanted, given = made.wanted[name], made.given[name]
        assert (given.dtype, given.shape) == (wanted.dtype, wanted.shape)
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(wanted, answer, rtol=1e-6)
            np.testing.assert_allclose(given, wanted, rtol=rtol, atol=1e-5)
        else:
            np.testing.assert_array_equal(wanted, answer)
            np.testing.assert_array_equal(given, wanted)


@pytest.mark.parametrize("kids", ["number", "category"])
@pytest.mark.parametrize(
    "last",
    [
        LogisticRegression(max_iter=500),
        RandomForestClassifier(20, random_state=0),
        GradientBoostingClassifier(n_estimators=10, random_state=0),
        HistGradientBoostingClassifier(max_iter=10, random_state=0),
        xgb.XGBClassifier(n_estimators=10, n_jobs=1),
    ],
    ids=lambda last: type(last).__name__,
)
def test_words_whole_numbers_and_gaps(tmp_path, last, kids):
    pipeline = mixed(last, kids=kids).fit(FRAME, YES)
    made = carry(Sklearn(), pipeline, HELD_OUT, tmp_path, outputs=("label", "probabilities"))
    same(made, pipeline.predict(HELD_OUT_FRAME), pipeline.predict_proba(HELD_OUT_FRAME))
    assert [value.name for value in made.model.graph.input] == list(HELD_OUT)
    kinds = {value.name: value.type.tensor_type.elem_type for value in made.model.graph.input}
    assert kinds["region"] == onnx.TensorProto.STRING
    assert kinds["age"] == onnx.TensorProto.INT64


def test_every_estimator_is_told_its_columns_in_groups_too(tmp_path):
    pipeline = mixed(LogisticRegression(max_iter=500)).fit(FRAME, YES)
    grouped = {"numbers": np.stack([HELD_OUT["bmi"], HELD_OUT["income"]], axis=1), "kids": HELD_OUT["kids"][:, None]}
    grouped |= {name: HELD_OUT[name] for name in ("region", "age")}
    columns = {"numbers": ("bmi", "income")}
    made = carry(Sklearn(), pipeline, grouped, tmp_path, outputs=("a", "b"), columns=columns)
    same(made, pipeline.predict(HELD_OUT_FRAME), pipeline.predict_proba(HELD_OUT_FRAME))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize(
    "scaler",
    [StandardScaler(), StandardScaler(with_mean=False), MinMaxScaler(clip=True), MaxAbsScaler(), RobustScaler()],
    ids=str,
)
def test_no_value_takes_the_other_side_of_a_threshold_behind_a_scaler(tmp_path, scaler, kind):
    """XGBoost's thresholds are values of its training rows, so here every threshold is met exactly."""
    table = X.astype(kind)
    pipeline = make_pipeline(scaler, xgb.XGBRegressor(n_estimators=10, n_jobs=1)).fit(table, AMOUNT)
    made = carry(Sklearn(), pipeline, {"x": table}, tmp_path)
    same(made, pipeline.predict(table))


WORDS = np.array(["no", "maybe", "yes"], dtype=object)[GROUP]
ESTIMATORS = {
    "words as labels": (LogisticRegression(max_iter=500), WORDS, "predict_proba"),
    "scores of two": (SVC(), YES, "decision_function"),
    "scores of three": (SVC(), GROUP, "decision_function"),
    "linear scores": (LinearSVC(max_iter=5000), YES, "decision_function"),
    "a search": (GridSearchCV(LogisticRegression(max_iter=500), {"C": [1, 2]}, cv=2), YES, "predict_proba"),
    "outliers": (IsolationForest(n_estimators=10, random_state=0), None, "decision_function"),
    "clusters": (KMeans(3, n_init=2, random_state=0), None, "transform"),
    "a regression": (RandomForestRegressor(10, random_state=0), AMOUNT, ""),
    "several amounts": (LinearRegression(), np.stack([AMOUNT, X[:, 0]], axis=1), ""),
    "several models": (MultiOutputRegressor(Ridge()), np.stack([AMOUNT, X[:, 0]], axis=1), ""),
}


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.filterwarnings("ignore:Liblinear failed to converge")
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_an_estimator_on_an_array(tmp_path, name):
    model, target, second = ESTIMATORS[name]
    model = (model if name == "a search" else make_pipeline(StandardScaler(), model)).fit(X, target)
    outputs = ("first", "second") if second else ("first",)
    made = carry(Sklearn(), model, {"x": X_HELD_OUT}, tmp_path, outputs=outputs)
    same(made, model.predict(X_HELD_OUT), *([getattr(model, second)(X_HELD_OUT)] if second else []), rtol=1e-4)


@pytest.mark.parametrize(
    "model", [MultiOutputClassifier(LogisticRegression(max_iter=500)), RandomForestClassifier(5, random_state=0)]
)
def test_the_probabilities_of_several_targets_are_several_outputs(tmp_path, model):
    model.fit(X, np.stack([YES, GROUP], axis=1))
    made = carry(Sklearn(), model, {"x": X_HELD_OUT}, tmp_path, outputs=("labels", "yes", "group"))
    same(made, model.predict(X_HELD_OUT), *model.predict_proba(X_HELD_OUT))


@pytest.mark.parametrize("opset", [11, 15, 22])
def test_exactly_the_opset_that_is_asked_for(tmp_path, opset):
    pipeline = mixed(RandomForestClassifier(5, random_state=0)).fit(FRAME, YES)
    made = carry(Sklearn(), pipeline, HELD_OUT, tmp_path, outputs=("a", "b"), opset=opset)
    assert {entry.domain: entry.version for entry in made.model.opset_import}[""] == opset
    same(made, pipeline.predict(HELD_OUT_FRAME), pipeline.predict_proba(HELD_OUT_FRAME))


@pytest.mark.parametrize("opset", [23, 27])
def test_beyond_skl2onnx_the_graph_is_converted(tmp_path, opset):
    pipeline = mixed(HistGradientBoostingClassifier(max_iter=5, random_state=0)).fit(FRAME, YES)
    made = carry(Sklearn(), pipeline, HELD_OUT, tmp_path, outputs=("a", "b"), opset=opset, way=1)
    assert {entry.domain: entry.version for entry in made.model.opset_import}[""] == opset
    assert made.way.startswith("skl2onnx at opset 22, onnx version converter")
    same(made, pipeline.predict(HELD_OUT_FRAME), pipeline.predict_proba(HELD_OUT_FRAME))


@pytest.mark.parametrize("opset", [8, 23])
def test_the_reason_names_the_opsets_that_skl2onnx_gives(tmp_path, opset):
    with pytest.raises(UnsupportedModelError, match=f"skl2onnx does not give opset {opset}") as caught:
        carry(Sklearn(), LinearRegression().fit(X, AMOUNT), {"x": X}, tmp_path, opset=opset)
    assert "9 to 22" in caught.value.remedy


class Own(TransformerMixin, BaseEstimator):
    def fit(self, rows, targets=None):  # noqa: ARG002 - scikit-learn's own shape
        self.fitted_ = True
        return self

    def transform(self, rows):
        return rows


@pytest.mark.parametrize(
    ("model", "error", "told"),
    [
        (make_pipeline(StandardScaler(), Own(), Ridge()), UserCodeError, "holds .*Own, which would not be loaded"),
        (make_pipeline(FunctionTransformer(np.cbrt), Ridge()), UnsupportedModelError, r"pipeline\.steps\[0\] Func"),
        (make_pipeline(StandardScaler(), KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), Ridge()),
         UnsupportedModelError, r"pipeline\.steps\[1\] KBinsDiscretizer: onehot encoding not supported"),
        (TransformedTargetRegressor(Ridge()), UnsupportedModelError, "no converter for model TransformedTargetRegr"),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_is_told_with_its_step(tmp_path, model, error, told):
    model.fit(X, AMOUNT)
    with pytest.raises(error, match=told) as caught:
        carry(Sklearn(), model, {"x": X}, tmp_path)
    assert "preprocess" in caught.value.remedy


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values")
def test_what_converters_of_ours_refuse_is_told_with_its_step_and_remedy(tmp_path):
    empty = X.astype(np.float64)
    empty[:, 1] = np.nan
    imputed = make_pipeline(SimpleImputer(), Ridge()).fit(empty, AMOUNT)
    with pytest.raises(UnsupportedModelError, match=r"pipeline\.steps\[0\] SimpleImputer .* no value at all") as caught:
        carry(Sklearn(), imputed, {"x": empty}, tmp_path / "imputed")
    assert "keep_empty_features=True" in caught.value.remedy
    linear = make_pipeline(StandardScaler(), xgb.XGBRegressor(n_estimators=2, booster="gblinear")).fit(X, AMOUNT)
    with pytest.raises(UnsupportedModelError, match=r"pipeline\.steps\[1\] XGBRegressor cannot be converted") as caught:
        carry(Sklearn(), linear, {"x": X}, tmp_path / "linear")
    assert "skl2onnx" not in caught.value.remedy


def test_a_step_within_a_column_transformer_is_told(tmp_path):
    pipeline = mixed(Ridge())
    pipeline.steps[0][1].transformers[0][1].steps.append(("own", FunctionTransformer(np.cbrt)))
    pipeline.fit(FRAME, AMOUNT)
    with pytest.raises(UnsupportedModelError, match=r"pipeline\.steps\[0\]\.transformers_\[0\]\.steps\[2\] Function"):
        carry(Sklearn(), pipeline, HELD_OUT, tmp_path)


def test_train_must_give_a_fitted_estimator(tmp_path):
    with pytest.raises(UserCodeError, match="train returned a int, not a fitted scikit-learn estimator"):
        store(Sklearn(), 3, tmp_path)
    with pytest.raises(UserCodeError, match="Ridge that was not fitted"):
        store(Sklearn(), Ridge(), tmp_path)


def test_the_outputs_are_counted(tmp_path):
    model = make_pipeline(SelectFromModel(LogisticRegression()), LogisticRegression()).fit(X, YES)
    with pytest.raises(Exception, match="gives 2 outputs, the project names 1: y") as caught:
        carry(Sklearn(), model, {"x": X}, tmp_path)
    assert "probabilities" in caught.value.remedy


STORED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from sources_tables import store
import numpy as np, pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from onnxyard.sources.sklearn.source import Sklearn
random = np.random.default_rng(0)
frame = pd.DataFrame({"a": random.normal(size=90), "b": random.choice(["x", "y"], 90)})
parts = ColumnTransformer([("b", OneHotEncoder(), ["b"]), ("c", OrdinalEncoder(), ["b"])], remainder="passthrough")
model = make_pipeline(parts, RandomForestClassifier(3, random_state=0)).fit(frame, frame["a"] > 0)
store(Sklearn(), model, Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_the_same_estimator_is_the_same_bytes_in_another_process(tmp_path):
    here = str(next(path for path in sys.path if path.endswith("tests")))
    for name in ("one", "two"):
        subprocess.run([sys.executable, "-c", STORED, here, str(tmp_path / name)], check=True)
    one, two = ((tmp_path / name / "estimator.skops").read_bytes() for name in ("one", "two"))
    assert one == two


def test_nothing_is_unpickled_and_a_broken_file_is_told(tmp_path):
    store(Sklearn(), LinearRegression().fit(X, AMOUNT), tmp_path)
    stored = tmp_path / "estimator.skops"
    for content in (b"\x80\x04cos\nsystem\n", stored.read_bytes()[:200]):
        stored.write_bytes(content)
        with pytest.raises(ArtifactCorruptError):
            Sklearn().load(None, tmp_path)


def test_a_foreign_type_in_the_file_is_refused_by_name(tmp_path):
    skops.dump(make_pipeline(Own(), Ridge()).fit(X, AMOUNT), tmp_path / "estimator.skops")
    with pytest.raises(ArtifactCorruptError, match="Own"):
        Sklearn().load(None, tmp_path)


def test_whole_numbers_beyond_float32_find_their_category(tmp_path):
    codes = np.array([16_777_216, 16_777_217, 16_777_218] * 20)
    model = make_pipeline(ColumnTransformer([("code", OneHotEncoder(), ["code"])]), Ridge(alpha=1e-6))
    model.fit(pd.DataFrame({"code": codes}), codes - codes.min())
    made = carry(Sklearn(), model, {"code": codes}, tmp_path)
    same(made, model.predict(pd.DataFrame({"code": codes})), rtol=1e-4)


def test_an_ordinal_encoder_of_words(tmp_path):
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = make_pipeline(ColumnTransformer([("region", encoder, ["region"])]), Ridge())
    model.fit(FRAME[["region"]], AMOUNT)
    made = carry(Sklearn(), model, {"region": HELD_OUT["region"]}, tmp_path)
    same(made, model.predict(HELD_OUT_FRAME[["region"]]))
