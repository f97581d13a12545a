"""The report form in a real browser: for a person on a phone, with a keyboard, with a screen reader, without JavaScript."""

import base64
import json
import urllib.error
import urllib.request

import pytest

from .harness.browser import DESK, PHONE, axe_finds, fits, picture, running, serving

SECRET = "5f2b8c1d9e0a47638b4c2d1e0f9a8b7c"
PASTED = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ACCOUNTS = ("111122223333=Shop", "444455556666=Payments")
KEY = "AKIAIOSFODNN7EXAMPLE"


@pytest.fixture(scope="module")
def browser():
    with running() as it:
        yield it


@pytest.fixture(scope="module")
def pages():
    with serving(SECRET, *ACCOUNTS) as it:
        yield it


@pytest.fixture
def visit(browser, pages):
    """A window of somebody who knows the password; what the page complains of fails the test."""
    contexts, said = [], []

    def open_(at=None, user="report", password=SECRET, width=DESK, script=True, path="/"):
        credentials = {"username": user, "password": password} if user else None
        context = browser.new_context(http_credentials=credentials, java_script_enabled=script, viewport=width)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda it: said.append(it.text) if it.type == "error" else None)
        page.status = page.goto((at or pages) + path).status
        return page

    yield open_
    for context in contexts:
        context.close()
    # Chromium tells of each answer that is no success.
    said = [it for it in said if "status of 4" not in it and "status of 503" not in it]
    assert not said, said


def report(page, **fields):
    fields = {"account": "111122223333", "access-key": KEY, "text": "pushed to GitHub", **fields}
    for name, value in fields.items():
        field = page.locator(f"[name={name}]")
        field.select_option(value) if name == "account" else field.fill(value)
    with page.expect_navigation() as gone:
        page.get_by_role("button", name="Report").click()
    return gone.value


def reports(pages):
    with urllib.request.urlopen(f"{pages}/_sim/reports") as answer:
        return json.load(answer)


def say(pages, state):
    post(f"{pages}/_sim/state/{state}")


def status(pages, password):
    """Without a browser, which takes a second."""
    authorization = base64.b64encode(f"report:{password}".encode()).decode()
    try:
        with urllib.request.urlopen(urllib.request.Request(pages, headers={"Authorization": f"Basic {authorization}"})) as answer:
            return answer.status
    except urllib.error.HTTPError as answer:
        return answer.code


def post(url):
    urllib.request.urlopen(urllib.request.Request(url, method="POST")).close()


@pytest.mark.parametrize("script", [True, False], ids=["with-javascript", "without-javascript"])
@pytest.mark.parametrize("width", [DESK, PHONE], ids=["desk", "phone"])
def test_a_report_is_sent_and_its_state_followed(visit, pages, width, script):
    say(pages, "reported")
    before = len(reports(pages))
    page = visit(width=width, script=script)
    report(page, user="alice")
    assert "/state/" in page.url and "Received" in page.locator("[role=status]").inner_text()
    [kept] = reports(pages)[before:]
    assert "alice" in kept and KEY in kept and "127.0.0.0/24" in kept
    for state, says in [("waiting", "Waiting for approval, until 20"), ("approved", "Approved by Dana"), ("contained", "Contained at 20")]:
        say(pages, state)
        page.get_by_role("link", name="Look again").click()
        assert says in page.locator("[role=status]").inner_text()


@pytest.mark.parametrize("state", ["reported", "waiting", "approved", "contained", "suspects-open", "not-contained", "declined", "expired", "failed"])
def test_every_state_can_be_read_by_anybody(visit, pages, state):
    page = visit(width=PHONE)
    report(page)
    say(pages, state)
    page.reload()
    assert axe_finds(page) == []
    assert fits(page)
    assert ("that was seen to hold" in page.content()) == (state == "contained")
    picture(page, f"state-{state}")


MISTAKES = {
    "no account": ({"account": ""}, ["account"]),
    "two accounts": ({"other-account": "777788889999"}, ["other-account"]),
    "no account ID": ({"account": "", "other-account": "7777-8888-9999"}, ["other-account"]),
    "nobody": ({"access-key": ""}, ["user"]),
    "no user name": ({"user": "team/alice"}, ["user"]),
    "a key as a name": ({"user": KEY, "access-key": ""}, ["user"]),
    "no key": ({"access-key": "AKIA123"}, ["access-key"]),
    "a temporary key": ({"access-key": "ASIAIOSFODNN7EXAMPLE"}, ["access-key"]),
    "a role too": ({"role": "Admin"}, ["role"]),
    "no role name": ({"role": "Ad min", "access-key": ""}, ["role"]),
    "no text": ({"text": ""}, ["text"]),
    "a secret": ({"text": f"key {KEY} {PASTED}"}, ["text"]),
    "a long text": ({"text": "x" * 501}, ["text"]),
    "everything": ({"account": "", "user": "al ice", "access-key": "x", "role": "a b", "text": ""}, ["account", "user", "access-key", "role", "text"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_stands_beside_its_field_and_what_was_typed_is_kept(visit, pages, mistake):
    fields, wrong = MISTAKES[mistake]
    before = len(reports(pages))
    page = visit(width=PHONE)
    assert report(page, **fields).status == 422
    assert len(reports(pages)) == before
    invalid = page.locator("[aria-invalid=true]")
    assert [it.get_attribute("name") for it in invalid.all()] == wrong
    for name in wrong:
        field = page.locator(f"[name={name}]")
        beside = page.locator(f"#{name}-wrong")
        assert f"{page.locator(f'label[for={name}]').inner_text()}: " in page.locator(f".summary a[href='#{name}']").inner_text()
        assert beside.get_attribute("id") in field.get_attribute("aria-describedby").split()
        # Between the label and the field: nothing stands in between that belongs to another.
        assert 0 <= field.bounding_box()["y"] - beside.bounding_box()["y"] < 150
        page.locator(f".summary a[href='#{name}']").click()
        assert page.evaluate("document.activeElement.name || location.hash") in (name, f"#{name}")
    for name, value in {"account": "111122223333", "access-key": KEY, **fields}.items():
        if PASTED not in value:
            assert page.locator(f"[name={name}]").input_value() == value
    assert PASTED not in page.content()
    assert page.title().startswith("Not sent")
    assert axe_finds(page) == []
    assert fits(page)
    picture(page, f"mistake-{mistake}")


@pytest.mark.parametrize("field", ["other-account", "user", "access-key", "role", "text"])
def test_a_secret_is_recognised_in_every_field(visit, pages, field):
    """A field that cut it short would hide what it is."""
    page = visit()
    before = len(reports(pages))
    page.locator("[name=account]").select_option("111122223333")
    page.locator(f"[name={field}]").focus()
    page.keyboard.insert_text(PASTED)
    with page.expect_navigation() as gone:
        page.get_by_role("button", name="Report").click()
    assert gone.value.status == 422
    assert PASTED[:12] not in page.content() and "make a new one" in page.locator(f"#{field}-wrong").inner_text()
    assert len(reports(pages)) == before


@pytest.mark.parametrize("width", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_can_be_read_by_anybody(visit, width, theme):
    page = visit(width=width)
    page.emulate_media(color_scheme=theme)
    assert axe_finds(page) == []
    assert fits(page)
    picture(page, f"form-{'phone' if width is PHONE else 'desk'}-{theme}")



def test_a_report_needs_no_mouse(visit, pages):
    page = visit()
    before = len(reports(pages))
    seen = []
    for typed in ("Shop", "", "alice", "", "", "pushed to GitHub"):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.name"))
        page.keyboard.type(typed)
    assert seen == ["account", "other-account", "user", "access-key", "role", "text"]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "submit"
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "/state/" in page.url and len(reports(pages)) == before + 1


def test_a_mistake_is_where_reading_begins(visit):
    page = visit()
    report(page, **{"access-key": ""})
    assert page.evaluate("document.activeElement.className") == "summary"


def test_what_was_typed_outlives_a_failure(visit):
    page = visit()
    assert report(page, text="the ledger is down").status == 503
    assert page.locator("[name=access-key]").input_value() == KEY
    assert axe_finds(page) == []
    picture(page, "unavailable")


def test_another_page_can_not_send_the_form(visit, pages, browser):
    """As somebody who is logged in: the browser sends the password along."""
    page = visit()
    before = len(reports(pages))
    token = page.locator("[name=token]").get_attribute("value")
    fields = "".join(f"<input name={name} value='{value}'>" for name, value in {"token": token, "account": "111122223333", "access-key": KEY, "text": "x"}.items())
    page.route("http://evil.example/", lambda route: route.fulfill(body=f"<form method=post action='{pages}/'>{fields}<button>go", content_type="text/html"))
    page.goto("http://evil.example/")
    with page.expect_navigation() as gone:
        page.get_by_role("button").click()
    assert gone.value.status == 403 and len(reports(pages)) == before
    assert axe_finds(page) == []


def test_without_the_password_there_is_nothing_to_see(visit):
    page = visit(password="wrong")
    assert page.status == 401 and page.locator("form").count() == 0
    assert axe_finds(page) == []


def test_too_many_tries_wait_and_do_not_lock_out_who_knows_the_secret(visit):
    with serving(SECRET) as pages:
        post(f"{pages}/_sim/stop")
        assert [status(pages, "wrong") for _ in range(7)] == [401] * 5 + [429] * 2
        page = visit(pages)
        # Where no accounts are configured, its ID is typed.
        assert page.status == 200 and page.locator("select").count() == 0


def test_a_chosen_password_lets_in_and_the_browser_is_known(visit):
    hashed = "$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHRzb21lc2FsdA$r4Oo1wGvZA95Ee2ql0BxTjPMLtEb2RJx3pJ/l+PU2ts"
    with serving(hashed, *ACCOUNTS) as pages:
        post(f"{pages}/_sim/stop")
        page = visit(pages, password="password")
        assert page.status == 200
        [cookie] = page.context.cookies()
        assert cookie["name"] == "__Host-device" and cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Strict"
        assert [status(pages, "wrong") for _ in range(6)] == [401] * 5 + [429]
        assert status(pages, "password") == 429
        assert page.reload().status == 200


def test_the_address_of_a_state_is_told_to_nobody(visit):
    page = visit()
    report(page)
    sent = []
    page.on("request", lambda it: sent.append(it.headers.get("referer")))
    page.get_by_role("link", name="Report another credential").click()
    assert sent and sent[0] is None


def test_nothing_is_fetched_from_anywhere(visit, pages):
    fetched = []
    page = visit()
    page.on("request", lambda it: fetched.append(it.url))
    page.reload()
    assert {it.removeprefix(pages) for it in fetched} <= {"/", "/favicon.ico"}


def test_a_link_that_is_made_up_shows_nothing(pages):
    for path in ("/state/abcdefghijklmnopqrstuvwxyz.9999999999." + "0" * 32, "/state/x", "/wp-login.php"):
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(pages + path)
        assert answer.value.code == 404 and answer.value.headers["cache-control"] == "no-store"
