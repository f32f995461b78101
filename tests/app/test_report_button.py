"""The report of a run is made on request and then downloaded, on Train and on Runs."""

import pytest

from tinymodel import jobs
from tinymodel.run_writer import RunWriter

LABEL = "Report to hand in"


@pytest.fixture(autouse=True)
def no_job():
    yield
    jobs.stop_all()


def open_page(app, page: str, **query):
    app.run()
    app.switch_page(f"views/{page}.py")
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def labels(app) -> list[str]:
    return [button.label for button in app.button]


@pytest.mark.parametrize(("page", "query"), [("train", "run"), ("runs", "runs")])
def test_the_report_is_made_and_then_offered(app, scored_run, page, query):
    open_page(app, page, **{query: scored_run.name})
    next(button for button in app.button if button.label == LABEL).click().run()
    (job,) = [job for key, job in jobs._jobs.items() if key[:2] == ("report", str(scored_run.folder))]  # fmt: skip
    assert job.wait(60).state == "done", job.error
    app.run()
    assert not app.exception and LABEL not in labels(app)
    assert "Download the report" in [item.label for item in app.get("download_button")]
    assert job.result.startswith("<!doctype html>") and "heat map" in job.result


def test_there_is_none_without_weights_or_while_it_trains(app, scored_run):
    assert LABEL in labels(open_page(app, "train", run=scored_run.name))
    writer = RunWriter.reopen(scored_run.name)
    writer.update(status="running")
    assert LABEL not in labels(app.run())
    writer.update(status="finished")
    writer.close()
    (scored_run.folder / "best.pt").unlink()
    assert LABEL not in labels(app.run())


def test_a_report_that_fails_says_why_and_can_be_tried_again(app, scored_run, monkeypatch):
    from tinymodel.errors import UserError

    def fail(run, report):
        raise UserError("The tables are damaged.")

    monkeypatch.setattr("tinymodel.report.write_report", fail)
    open_page(app, "train", run=scored_run.name)
    next(button for button in app.button if button.label == LABEL).click().run()
    for job in list(jobs._jobs.values()):
        job.wait(20)
    app.run()
    assert "The tables are damaged." in [error.value for error in app.error]
    assert LABEL in labels(app)
