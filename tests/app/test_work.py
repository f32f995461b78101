"""Results that belong to one browser session."""

from streamlit.testing.v1 import AppTest

from tinymodel import jobs


def page() -> None:
    import streamlit as st
    from components.work import result_of_mine

    asked = ("lessons", st.session_state.get("photograph", "first"))
    st.write(result_of_mine(asked, lambda report: f"of {asked[1]}", label="Teach", quick=True))


def test_what_is_mine_is_in_no_job_even_if_its_tab_is_closed_before_it_is_read(monkeypatch):
    made, submit = [], jobs.submit
    monkeypatch.setattr(jobs, "submit", lambda *a, **b: made.append(submit(*a, **b)) or made[-1])
    one, other = (AppTest.from_function(page) for _ in range(2))
    for tab in (one, other):
        assert tab.run().markdown[0].value == "of first"
    assert len({job.key for job in made}) == 2  # nothing is shared
    assert all(job.state == "done" and job.result is None for job in made)
    assert not any(jobs.find(job.key) for job in made)

    count = len(made)
    assert one.run().markdown[0].value == "of first"
    assert len(made) == count  # kept by the session
    for name in ("second", "first"):  # the latest alone is kept
        one.session_state["photograph"] = name
        assert one.run().markdown[0].value == f"of {name}"
    assert len(made) == count + 2
