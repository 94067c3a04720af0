"""Swaps under load: not one failed or mixed answer."""

import threading

import numpy as np

from serving_home import scaled

from .conftest import answering, open_client

SWAPS = 20
CLIENTS = 2
TIMEOUT_SECONDS = 30


class Caller(threading.Thread):
    """Asks without a pause, and checks that each answer is that of the version it names."""

    def __init__(self, url, stop):
        super().__init__()
        self._url = url
        self._stop_asking = stop
        self.generations = []
        self.wrong = []

    def run(self):
        random = np.random.default_rng(self.native_id)
        with open_client(self._url) as client:
            while not self._stop_asking.is_set():
                x = random.normal(size=(2, 4)).astype(np.float32)
                status, _, document = client.infer("scale", x)
                if status != 200:
                    self.wrong.append(document)
                    continue
                version = int(document["model_version"])
                self.generations.append(document["parameters"]["generation"])
                scores = np.array(document["outputs"][0]["data"], dtype=np.float32).reshape(2, 4)
                if not np.array_equal(scores, scaled(x, version)):
                    self.wrong.append(document)


def test_no_request_fails_or_gets_a_mixed_answer_across_swaps(home):
    home.add_scaled(1)
    home.add_scaled(2)
    home.promote("scale", 1)
    stop = threading.Event()
    with answering(home, poll_seconds=0.02) as (replica, url):
        callers = [Caller(url, stop) for _ in range(CLIENTS)]
        for caller in callers:
            caller.start()
        deadline = threading.Event()
        endpoint = replica.endpoints.get("scale")
        for swap in range(SWAPS):
            generation = home.promote("scale", 2 - swap % 2)
            waited = 0.0
            while endpoint.serving().generation != generation and waited < TIMEOUT_SECONDS:
                deadline.wait(0.02)
                waited += 0.02
            assert endpoint.serving().generation == generation
        stop.set()
        for caller in callers:
            caller.join(TIMEOUT_SECONDS)
    for caller in callers:
        assert caller.wrong == []
        assert len(set(caller.generations)) > SWAPS / 2  # it really saw the swaps
        assert caller.generations == sorted(caller.generations)  # and never an older version again
    answered = sum(len(caller.generations) for caller in callers)
    logged = replica._log.count("scale")
    replica._log.close()
    assert logged == answered
