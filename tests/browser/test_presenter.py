"""Two browsers at once: the presenter's and a student's."""

import pytest
from playwright.sync_api import expect

from tinymodel.runs import Run, list_runs

CODE = "Schlüssel-zum-Klassenzimmer"
SLOW = 60_000  # milliseconds


class Browser:
    """One person's browser: what it asks for and is told is kept, to be searched for the code."""

    def __init__(self, chromium, url: str):
        self.context = chromium.new_context(viewport=dict(width=1440, height=900))
        self.url, self.told, self.errors = url, [], []
        self.page = self.new_tab()

    def new_tab(self):
        page = self.context.new_page()
        page.on("request", lambda request: self.told.append(request.url))
        page.on("framenavigated", lambda frame: self.told.append(frame.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.told.append(message.text))
        page.on("websocket", self._listen)
        page.goto(self.url)
        return page

    def _listen(self, socket) -> None:
        for kind in ("framereceived", "framesent"):
            socket.on(kind, lambda frame: self.told.append(str(frame)))

    def press(self, name: str) -> None:
        button = self.page.get_by_role("button", name=name, exact=True)
        # Not the one that Streamlit shows in its header while a page is slow, which is called Stop too.
        button.and_(self.page.locator(":not([kind=header])")).first.click(timeout=SLOW)

    def go(self, address: str, title: str) -> None:
        self.page.goto(f"{self.url}/{address}")
        expect(self.page.get_by_role("heading", name=title, exact=True)).to_be_visible(timeout=SLOW)

    def reads(self, text: str) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=SLOW)

    def enter(self, code: str) -> None:
        field = self.page.get_by_label("Presenter code")
        if not field.is_visible():
            self.press("Presenter")
        field.fill(code)
        field.press("Enter")


@pytest.fixture
def room(monkeypatch, scored_run, chromium, request):
    """A server with a presenter code, and the browsers of the teacher, who has entered it, and of a student."""
    monkeypatch.setenv("TINYMODEL_PRESENTER_CODE", CODE)
    server = request.getfixturevalue("server")
    teacher, student = (Browser(chromium, server.url) for _ in range(2))
    teacher.enter("not this one")
    teacher.reads("That is not the code.")
    teacher.enter(CODE)
    teacher.reads("You are the presenter")
    yield teacher, student
    for browser in (teacher, student):
        where = [*browser.told, *(tab.content() for tab in browser.context.pages)]
        assert not [text for text in where if "Klassenzimmer" in text]
        assert not browser.errors
        browser.context.close()
    assert "Klassenzimmer" not in server.log.read_text(encoding="utf-8")
    assert "Traceback" not in server.log.read_text(encoding="utf-8")


def test_a_student_changes_nothing_and_reads_why(room):
    teacher, student = room
    teacher.go("train?run=new", "Train")
    epochs = teacher.page.get_by_label("Epochs", exact=True)
    epochs.fill("1000")  # as many as can be: it must not end meanwhile
    epochs.press("Enter")
    teacher.press("Start training")
    teacher.page.wait_for_url("**/train?run=six*", timeout=SLOW)
    (name,) = {run.name for run in list_runs()} - {"scored"}
    run = Run.open(name)

    student.go("train?run=new", "Train")
    student.press("Start training")
    student.reads(f"The presenter's run '{name}' is in training")
    student.go(f"train?run={name}", "Train")
    for action in ("Pause", "Stop"):
        student.press(action)
        student.reads(f"Only the presenter can {action.lower()} this training.")
        assert not run.requested() and run.status == "running"
    student.go("runs?runs=scored", "Runs")
    student.press("Delete")
    student.reads("Only the presenter can delete runs.")
    expect(student.page.get_by_role("dialog")).to_have_count(0)
    assert {run.name for run in list_runs()} == {"scored", name}

    second = teacher.new_tab()  # the role is the browser's, and outlives a reload
    expect(second.get_by_text("You are the presenter")).to_be_visible(timeout=SLOW)
    teacher.page.reload()
    teacher.press("Stop")
    expect(teacher.page.get_by_role("button", name="Resume")).to_be_visible(timeout=SLOW)
    assert run.status == "stopped"
    (cookie,) = [c for c in teacher.context.cookies() if "presenter" in c["name"]]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and cookie["expires"] == -1
    assert not [c for c in student.context.cookies() if "presenter" in c["name"]]

    teacher.press("You are the presenter")
    teacher.press("Leave the role")
    expect(teacher.page.get_by_role("button", name="Presenter", exact=True)).to_be_visible()
    second.reload()
    expect(second.get_by_role("button", name="Presenter", exact=True)).to_be_visible(timeout=SLOW)


def test_a_student_follows_the_teacher_through_the_pages_and_leaves(room):
    teacher, student = room
    student.go("data", "Data")
    teacher.page.get_by_text("Show my view to the class").click()
    student.reads("The presenter is showing a page to the class.")
    student.page.get_by_text("Follow the presenter").click()
    expect(student.page).to_have_url(f"{student.url}/", timeout=SLOW)
    student.page.evaluate("globalThis.before = 1")

    def follows(title: str, *parts: str) -> None:
        expect(teacher.page.get_by_role("heading", name=title, exact=True)).to_be_visible(
            timeout=SLOW
        )
        for part in parts:
            teacher.page.wait_for_url(f"**{part}**", timeout=SLOW)
        expect(student.page).to_have_url(teacher.page.url, timeout=SLOW)
        expect(student.page.get_by_role("heading", name=title, exact=True)).to_be_visible(
            timeout=SLOW
        )
        expect(student.page.get_by_text("You have left")).to_have_count(0)

    def open_page(name: str) -> None:
        teacher.page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()

    open_page("Network")
    teacher.page.get_by_text("Open the blocks: show every layer").click()
    follows("Network", "layers=true")  # a choice that is bound to the address goes along
    expect(student.page.get_by_label("Open the blocks: show every layer")).to_be_checked()
    teacher.page.get_by_text("Open the blocks: show every layer").click()
    expect(student.page.get_by_label("Open the blocks: show every layer")).not_to_be_checked(
        timeout=SLOW
    )
    open_page("Mistakes")
    teacher.page.locator("[data-testid=stMain] img").first.click(timeout=SLOW)
    follows("Mistakes", "image=")
    expect(student.page.get_by_role("dialog")).to_be_visible(timeout=SLOW)
    teacher.page.keyboard.press("Escape")
    expect(student.page.get_by_role("dialog")).to_have_count(0, timeout=SLOW)
    open_page("Confusion")
    follows("Confusion", "confusion")
    assert student.page.evaluate("globalThis.before")  # all of it without a reload

    student.page.get_by_test_id("stSidebarNav").get_by_role("link", name="Data").click()
    student.reads("You have left the presenter's view.")
    open_page("Network")
    teacher.page.wait_for_url("**/network**", timeout=SLOW)
    student.page.wait_for_timeout(2000)
    assert "/data" in student.page.url
    student.press("Go back")
    follows("Network", "network")
    teacher.page.get_by_text("Show my view to the class").click()
    expect(student.page.get_by_text("Follow the presenter")).to_have_count(0, timeout=SLOW)
    assert "/network" in student.page.url
