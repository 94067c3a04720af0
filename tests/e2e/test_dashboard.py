"""The dashboard in a real browser, over a real registry and store."""

from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx
import pytest

from loopback import served
from onnxyard import errors
from onnxyard.bootstrap import Yard
from onnxyard_dashboard.app import create_app
from onnxyard_dashboard.faults import STATUS, status_of
from sample_home import add_report, fill_home, settings_of

XSS = "<img src=x onerror=window.hacked=1>"
REPORT = "<!doctype html><body><h1 id=x>seen</h1><script>document.getElementById('x').textContent = 'ran'</script>"
DRAWN = ".scatter[data-drawn]"


@pytest.fixture(scope="module")
def serve():
    """Run an application on a free loopback port; its URL."""
    with ExitStack() as running:
        yield lambda app: running.enter_context(served(app))


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dashboard")
    return fill_home(folder / "home", folder / "scratch", reason=XSS)


@pytest.fixture(scope="module")
def url(sample, serve):
    return serve(create_app(sample.yard, mlflow_url="http://127.0.0.1:5000/", prefect_url="http://127.0.0.1:4200"))


@dataclass
class Visit:
    page: object
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
def visit(browser):
    """Open a page and gather what the browser complains of: console errors, exceptions, policy violations."""
    contexts = []

    def go(url, *, width=1280, dark=False):
        scheme = "dark" if dark else "light"
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        seen = Visit(context.new_page())
        seen.page.on("console", lambda m: seen.complaints.append(m.text) if m.type in {"error", "warning"} else None)
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.goto(url)
        return seen

    yield go
    for context in contexts:
        context.close()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False)])
def test_the_page_loads_without_a_complaint_and_fits(visit, url, width, dark):
    seen = visit(url, width=width, dark=dark)
    seen.page.wait_for_selector(DRAWN)
    seen.page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
    assert seen.complaints == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width


def test_it_says_what_is_live(visit, url):
    page = visit(url).page
    text = page.locator(".endpoint").inner_text()
    for fact in ("digits@3", "CPUExecutionProvider", "onnxruntime 1.32.0", "int8", "serving", "ada@yard"):
        assert fact in text
    assert "Golden set: 3 of 32 rows differ" in text
    assert "silent" in text


def test_the_scatter_is_drawn_with_the_chosen_one_marked(visit, url):
    page = visit(url).page
    page.wait_for_selector(DRAWN)
    points = page.locator(".scatter .points path")
    assert points.count() == 4  # what was timed and scored: fp32, onnxslim, the chosen one, int8-qdq
    labels = page.locator(".scatter .textpoint").all_text_contents()
    assert {"fp32", "fp32 precision=bf16", "int8-qdq"} <= {label.strip() for label in labels}
    fills = points.evaluate_all("marks => marks.map(m => getComputedStyle(m).fill)")
    assert fills[0] == fills[1] == fills[3] != fills[2]
    assert page.locator(".scatter .lines path").count() == 1  # the Pareto front
    assert page.locator(".scatter .xerror").count() == page.locator(".scatter .yerror").count() == 4


def test_candidates_are_told_with_intervals_ties_and_why_one_was_chosen(visit, url):
    page = visit(url).page
    assert "0.392 [0.377, 0.412] times fp32's median latency" in page.locator(".reason").inner_text()
    chosen = page.locator("tr.chosen").inner_text()
    for fact in ("fp32 · openvino precision=bf16", "chosen", "drop ≤ 0.004", "0.0546]", "0.392\n[0.377", "31 MB"):
        assert fact in chosen
    assert "tie" in page.locator(".candidates tr", has_text="onnxslim").inner_text()
    emulated = page.locator(".candidates tr", has_text="QNN").locator("td").all_inner_texts()
    assert [text.split("\n")[0] for text in emulated[2:4]] == ["–", "–"]  # noqa: RUF001 - likewise: no speed


def test_what_failed_is_there_with_its_text(visit, url):
    page = visit(url).page
    fold = page.locator(".fold", has_text="3 that did not come to the end")
    assert not page.locator(".unmeasured").is_visible()
    fold.locator("summary").click()
    told = fold.inner_text()
    for fact in ("stopped", "refused", "failed", "0 of 3 nodes", "ValueError: <Conv> with 'auto_pad' & group=2"):
        assert fact in told


def test_gates_show_value_threshold_and_outcome(visit, url):
    page = visit(url).page
    rejected = page.locator(".version", has_text="rejected")
    assert "3 of 4 gates" in rejected.inner_text()
    rejected.locator("summary").click()
    row = rejected.locator("tr", has_text="quality:accuracy").inner_text()
    assert "0.9028" in row
    assert "0.93" in row
    assert "failed" in row


def test_names_and_reasons_are_text_and_nothing_else(visit, tmp_path, serve):
    evil = fill_home(
        tmp_path / "home", tmp_path / "scratch", model=XSS, reason="</script><script>window.hacked=2</script>"
    )
    seen = visit(serve(create_app(evil.yard, mlflow_url="http://127.0.0.1:5000")))
    seen.page.wait_for_selector(DRAWN)
    assert seen.page.evaluate("window.hacked") is None
    assert seen.complaints == []
    assert XSS in seen.page.locator(".endpoint h3").inner_text()
    assert seen.page.locator("main img").count() == 0


def test_the_report_opens_sealed_off(visit, url):
    seen = visit(url)
    page = seen.page
    page.locator(".endpoint > details > summary").click()
    page.locator(".windows a").first.click()
    page.wait_for_url("**/reports/*")
    frame = page.frame_locator("iframe")
    assert frame.locator("h1").inner_text() == "Report 11"
    assert page.locator("iframe").get_attribute("sandbox") == "allow-scripts"
    assert seen.complaints == []


def test_a_report_runs_its_scripts_but_reaches_nothing(visit, sample, url, tmp_path):
    digest = add_report(sample.yard, tmp_path, REPORT).digest
    page = visit(f"{url}/reports/{digest}").page
    assert page.frame_locator("iframe").locator("h1").inner_text() == "ran"
    reach = "async () => { try { await fetch('/'); return 'reached' } catch { return 'sealed' } }"
    frame = page.frame(url=f"**/reports/{digest}/document")
    assert frame.evaluate(reach) == "sealed"
    assert frame.evaluate("window.origin") == "null"


def test_every_bar_of_the_strip_leads_to_its_report(visit, url, sample):
    page = visit(url).page
    links = page.locator(".strip a").evaluate_all("found => found.map(a => a.getAttribute('href'))")
    assert links == [f"/reports/{digest}" for digest in sample.reports]


def test_the_tools_are_linked(visit, url):
    page = visit(url).page
    assert page.locator("nav a").evaluate_all("found => found.map(a => a.href)") == [
        "http://127.0.0.1:5000/",
        "http://127.0.0.1:4200/",
    ]


def test_an_empty_home_says_what_to_do(visit, tmp_path, serve):
    seen = visit(serve(create_app(Yard(settings_of(tmp_path / "home")))))
    assert "onnxyard run" in seen.page.locator("main").inner_text()
    assert seen.complaints == []


def test_only_reports_leave_the_store(sample, url):
    with sample.yard.unit_of_work() as work:
        model = work.versions.get("digits", 3).models[0].artifact.digest
    for digest in (model, "0" * 64, "x", "..%2f..%2fregistry.sqlite"):
        assert httpx.get(f"{url}/reports/{digest}").status_code == 404
        assert httpx.get(f"{url}/reports/{digest}/document").status_code == 404


def test_headers(url):
    page = httpx.get(url)
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-store"
    script = next(line.split('"')[1] for line in page.text.splitlines() if "plotly" in line)
    plotly = httpx.get(url + script)
    assert plotly.headers["content-encoding"] == "gzip"
    assert "immutable" in plotly.headers["cache-control"]
    assert int(plotly.headers["content-length"]) < 1_500_000


def test_a_registry_that_does_not_answer_is_a_page_that_says_so(tmp_path, serve):
    yard = Yard(settings_of(tmp_path, "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2"))
    response = httpx.get(serve(create_app(yard)))
    assert response.status_code == 503
    assert "Service unreachable" in response.text
    assert response.headers["retry-after"]


def test_a_defect_leaks_nothing(serve):
    class Broken:
        @property
        def unit_of_work(self):
            raise ZeroDivisionError("a secret")

    response = httpx.get(serve(create_app(Broken())))
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "content-security-policy" in response.headers


def tree(kind):
    return [each for child in kind.__subclasses__() for each in (child, *tree(child))]


@pytest.mark.parametrize("kind", [k for k in tree(errors.OnnxyardError) if k.__module__ == errors.__name__])
def test_every_error_of_the_tree_has_its_status(kind):
    assert any(parent in STATUS for parent in kind.__mro__)
    assert status_of(kind("x")) >= 400
