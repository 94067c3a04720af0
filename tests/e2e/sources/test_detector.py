"""The detector template: images in, boxes out, letterbox and suppression in the graph."""

import numpy as np
import pytest

from live import live

pytestmark = pytest.mark.slow


def test_images_of_any_size_go_in_and_boxes_of_that_image_come_out(tmp_path):
    with live("detector", tmp_path) as endpoint:
        raw = endpoint.rows(3)
        expected = endpoint.by_framework(raw)
        assert expected["count"].sum() > 0
        for given in (raw, {"image": np.repeat(np.repeat(raw["image"][:1], 2, axis=1), 2, axis=2)}):
            answer, expected = endpoint.ask(given), endpoint.by_framework(given)
            assert answer.keys() == expected.keys() == {"boxes", "scores", "classes", "count"}
            for name, values in expected.items():
                np.testing.assert_allclose(answer[name], values, atol=1e-2, err_msg=name)
        targets = endpoint.project.functions().data().test.take(3).targets
        found = endpoint.ask(raw)
        for row, objects in enumerate(targets):
            for box in objects[:, :4]:
                middle = (box[:2] + box[2:]) / 2
                boxes = found["boxes"][row, : found["count"][row]]
                assert ((boxes[:, :2] < middle) & (middle < boxes[:, 2:])).all(axis=1).any(), (row, box)
