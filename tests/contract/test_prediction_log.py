"""One suite over the prediction logs; what only a file can do stands below."""

import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from onnxyard.errors import ArtifactCorruptError, ConflictError, StorageFullError
from onnxyard.ports.prediction_log import PredictionRecord
from onnxyard.predictions.sqlite_log import SqlitePredictionLog
from onnxyard.testing import InMemoryPredictionLog

START = datetime(2026, 11, 23, 12, tzinfo=UTC)


def record(number, *, rows=2, **changes):
    made = PredictionRecord(
        sequence=number,
        replica="yard-1/a",
        request_id=f"{number:032x}",
        client_id=None,
        endpoint="digits",
        model="digits",
        version=1,
        digest="d" * 64,
        role="champion",
        generation=1,
        at=START + timedelta(seconds=number),
        rows=rows,
        duration_us=250,
        columns={"width": [number + 0.25] * rows, "label": ["ü\x00"] * rows},
    )
    return replace(made, **changes)


@pytest.fixture(params=["memory", "sqlite"])
def log(request, tmp_path):
    if request.param == "memory":
        yield InMemoryPredictionLog()
        return
    opened = SqlitePredictionLog(tmp_path / "home" / "predictions.sqlite")
    yield opened
    opened.close()


def test_an_empty_log_has_no_window(log):
    assert log.window("digits", version=1, rows=10) is None
    assert log.count("digits") == 0


def test_a_window_is_the_latest_stretch_oldest_first(log):
    log.append([record(number) for number in range(1, 11)])
    window = log.window("digits", version=1, rows=5)
    assert window.rows == 6  # whole requests of two rows
    assert window.columns == {"width": [8.25, 8.25, 9.25, 9.25, 10.25, 10.25], "label": ["ü\x00"] * 6}
    assert (window.started_at, window.ended_at) == (START + timedelta(seconds=8), START + timedelta(seconds=10))
    assert window.missing == 0
    assert log.count("digits") == 10


def test_a_window_takes_all_there_is_where_that_is_less(log):
    log.append([record(1), record(2)])
    assert log.window("digits", version=1, rows=500).rows == 4


def test_nothing_at_or_before_a_position_comes_again(log):
    log.append([record(1), record(2)])
    seen = log.window("digits", version=1, rows=500)
    assert log.window("digits", version=1, rows=500, after=seen.last) is None
    log.append([record(3)])
    later = log.window("digits", version=1, rows=500, after=seen.last)
    assert later.columns["width"] == [3.25, 3.25]
    assert later.first > seen.last


def test_the_same_request_is_logged_once(log):
    log.append([record(1), record(1)])
    log.append([record(1), record(2)])
    assert log.count("digits") == 2


def test_endpoints_and_versions_do_not_mix(log):
    log.append([record(1), record(2, version=2), record(3, endpoint="other", replica="yard-1/b")])
    assert log.window("digits", version=2, rows=10).columns["width"] == [2.25, 2.25]
    assert log.count("other") == 1


def test_gaps_are_counted_per_replica(log):
    log.append([record(1), record(3), record(4, replica="yard-2/x"), record(7), record(5, replica="yard-2/x")])
    assert log.window("digits", version=1, rows=500).missing == 4  # 2, 4, 5 and 6 of yard-1


def test_another_version_in_between_is_no_gap(log):
    log.append([record(1), record(2, version=2), record(3)])
    assert log.window("digits", version=1, rows=500).missing == 0


def test_what_is_not_finite_survives(log):
    log.append([record(1, rows=1, columns={"x": [float("inf")]})])
    assert log.window("digits", version=1, rows=1).columns == {"x": [float("inf")]}


def test_reading_makes_no_file(tmp_path):
    path = tmp_path / "predictions.sqlite"
    assert SqlitePredictionLog(path).count("digits") == 0
    assert not path.exists()


def test_writers_of_several_threads_and_files_lose_nothing(tmp_path):
    path = tmp_path / "predictions.sqlite"
    logs = [SqlitePredictionLog(path) for _ in range(4)]

    def write(index):
        for number in range(1, 26):
            logs[index].append([record(number, replica=f"yard-{index}/a", request_id=f"{index}-{number}")])

    threads = [threading.Thread(target=write, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    window = logs[0].window("digits", version=1, rows=10_000)
    assert (window.rows, window.missing) == (200, 0)
    for log in logs:
        log.close()


def test_a_log_that_another_process_is_just_making_is_waited_for(tmp_path):
    path = tmp_path / "predictions.sqlite"
    maker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    maker.execute("BEGIN EXCLUSIVE")
    maker.execute("CREATE TABLE elsewhere (x)")
    log = SqlitePredictionLog(path)
    waiting = threading.Thread(target=lambda: log.append([record(1)]))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    maker.execute("COMMIT")
    maker.close()
    waiting.join(30)
    assert log.count("digits") == 1
    log.close()


def test_there_is_a_place_for_labels(tmp_path):
    path = tmp_path / "predictions.sqlite"
    log = SqlitePredictionLog(path)
    log.append([record(1)])
    log.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT request_id, label FROM predictions").fetchall() == [(f"{1:032x}", None)]
    connection.close()


def test_a_full_disk_is_told_and_nothing_is_half_written(tmp_path):
    log = SqlitePredictionLog(tmp_path / "predictions.sqlite")
    log.append([record(1)])
    [(pages,)] = log._connection.execute("PRAGMA page_count")
    log._connection.execute(f"PRAGMA max_page_count={pages}").fetchall()
    with pytest.raises(StorageFullError):
        log.append([record(number, columns={"x": [0.5] * 5000}) for number in range(2, 20)])
    assert log.count("digits") == 1
    log._connection.execute("PRAGMA max_page_count=100000").fetchall()
    log.append([record(2)])
    assert log.count("digits") == 2
    log.close()


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "predictions.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(ArtifactCorruptError, match="damaged") as caught:
        SqlitePredictionLog(path).count("digits")
    assert caught.value.where == str(path)


def test_a_newer_schema_is_left_alone(tmp_path):
    path = tmp_path / "predictions.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(ConflictError, match="99"):
        SqlitePredictionLog(path).append([record(1)])
