"""The report as a page in a real browser: on a phone, on paper, to a screen reader, and full of what an intruder wrote."""

import json

import pytest

from .harness.browser import DESK, PHONE, axe_finds, fits, picture, running
from .harness.intrusion import intrude, make_trail, prepare
from .harness.processes import ROOT
from .harness.victims import User

HOSTILE = "<img src=x onerror=\"pwned=1\"><script>pwned=1</script>'\"></title></style><svg onload=pwned=1>&lt;b&gt;](http://evil.example)|`"


@pytest.fixture(scope="module")
def browser():
    with running() as it:
        yield it


@pytest.fixture
def visit(browser):
    """Opens a page's text; what it complains of, asks for or loads fails the test."""
    contexts, said = [], []

    def open_(html, width=PHONE, scheme="light"):
        context = browser.new_context(viewport=width, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda it: said.append(it.text))
        page.on("dialog", lambda it: (said.append(it.message), it.dismiss()))
        page.on("request", lambda it: said.append(it.url) if it.url != address else None)
        address = "https://report.example/"
        page.route(address, lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8"))
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not said, said


def report(world):
    answer = world.responder(part="investigator").invoke({"command": "report", "account": world.member, "user": "alice"})
    return answer["evidence"]


@pytest.fixture
def intruded(world):
    world.deploy()
    user, trail = User(world), make_trail(world)
    prepare(world)
    intrude(world, user, trail)
    world.responder().invoke(world.event("guardduty-exfiltration-iam-user-anomalous-behavior", user))
    return report(world)


def strange_event(user, number):
    """As nothing but an intruder's program could write it, and as nobody must trust that it can't be."""
    return {
        "eventID": f"{number}{HOSTILE}",
        "eventSource": f"iam.amazonaws.com{HOSTILE}" if number else "iam.amazonaws.com",
        "eventName": f"CreateUser{HOSTILE}" if number else "CreateUser",
        "awsRegion": f"us-east-1{HOSTILE}",
        "sourceIPAddress": HOSTILE,
        "userAgent": HOSTILE,
        "readOnly": False,
        "userIdentity": {"type": "IAMUser", "userName": "alice", "principalId": user.id, "arn": f"{user.arn}{HOSTILE}", "accessKeyId": f"AKIA{HOSTILE}"},
        "requestParameters": {"userName": HOSTILE, "roleArn": f"arn:aws:iam::1:role/{HOSTILE}"},
        "responseElements": {
            "user": {"userId": f"AIDA{HOSTILE}", "userName": HOSTILE},
            "credentials": {"accessKeyId": f"ASIA{HOSTILE}"},
            "assumedRoleUser": {"arn": f"arn:aws:sts::1:assumed-role/x/{HOSTILE}"},
        },
        **({"errorCode": HOSTILE, "responseElements": None} if number == 2 else {}),
    }


@pytest.mark.seconds(15)
def test_what_an_intruder_wrote_is_shown_as_text(world, visit):
    world.deploy()
    user = User(world)
    policy = {"Effect": "Allow", "Action": "iam:*", "Resource": "*", "Condition": {"StringEquals": {f"aws:RequestTag/{HOSTILE}": HOSTILE}}}
    world.iam.put_user_policy(UserName="alice", PolicyName="bucket", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [policy]}))
    for it in ("AdministratorAccess", "IAMFullAccess", "AmazonS3FullAccess"):
        world.iam.detach_user_policy(UserName="alice", PolicyArn=f"arn:aws:iam::aws:policy/{it}")
    world.control("history", {"account": world.member, "region": "us-east-1", "events": [strange_event(user, it) for it in range(3)]})
    evidence = report(world)
    page = visit(evidence["html"])
    assert page.evaluate("typeof pwned") == "undefined"
    elements = page.evaluate("[...new Set([...document.querySelectorAll('*')].map(it => it.localName))].sort()")
    known = {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "a", "strong", "ol", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert set(elements) <= known | {"pre", "code", "nav", "footer", "svg", "text", "line", "circle"}, elements
    # Nothing but these stands in an attribute, and none of it is theirs.
    attributes = page.evaluate("[...document.querySelectorAll('*')].flatMap(it => [...it.attributes].map(it => it.name + '=' + it.value))")
    assert not [it for it in attributes if "pwned" in it or it.startswith("on") or "evil" in it]
    text = page.locator("body").inner_text()
    assert text.count("onerror=\"pwned=1\"") > 15 and "</title></style>" in text and "&lt;b&gt;" in text
    assert fits(page)
    picture(page, "report-hostile")


@pytest.mark.seconds(15)
def test_the_report_can_be_read_by_anybody_anywhere(intruded, visit):
    for width, scheme in ((PHONE, "light"), (PHONE, "dark"), (DESK, "light")):
        page = visit(intruded["html"], width, scheme)
        assert axe_finds(page) == []
        assert fits(page)
        picture(page, f"report-{'phone' if width is PHONE else 'desk'}-{scheme}")
    # On a phone each cell says its column; the chart's text is as large as it is written.
    page = visit(intruded["html"], PHONE)
    cell = page.locator("#left ~ table td").first
    assert "Time" in cell.evaluate("it => getComputedStyle(it, '::before').content")
    assert page.locator("svg").bounding_box()["width"] > 300
    circles = page.locator("svg circle").count()
    assert circles == len(intruded["report"]["did"]["timeline"]) > 5
    # On paper: black on white, and no list of sections.
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]") == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert not page.locator("nav").is_visible()


def test_the_three_forms_say_the_same(intruded, visit):
    page = visit(intruded["html"], DESK)
    text, found = page.locator("main").inner_text(), intruded["report"]
    titles = [it.inner_text() for it in page.locator("h2").all()]
    assert titles == [it[3:] for it in intruded["markdown"].splitlines() if it.startswith("## ")] and len(titles) == 14
    for each in [*found["summary"], *(it["event"] for it in found["left"]), *(it["evidence"] for it in found["did"]["timeline"])]:
        assert each in text, each
    requests = [it["detail"] for it in found["containment"]["actions"] if "request" in it["detail"]]
    assert requests and all(it[:200] in text for it in requests)
    assert found["athena_query"].splitlines()[1].strip() in text and intruded["sha256"] in page.locator("footer").inner_text()
    assert "198[.]51[.]100[.]7" in text and found["indicators"]["addresses"] == ["198.51.100.7"]


def test_the_example_in_the_docs_has_what_reports_have_now(intruded, visit):
    kept = visit((ROOT / "docs" / "example-report.html").read_text(), DESK)
    sections = kept.evaluate("[...document.querySelectorAll('h2')].map(it => it.id)")
    now = visit(intruded["html"], DESK).evaluate("[...document.querySelectorAll('h2')].map(it => it.id)")
    assert sections == now, "run `python -m tests.report_demo --docs`"
    example = json.loads((ROOT / "docs" / "example-report.json").read_text())
    assert sorted(example) == sorted(intruded["report"]), "run `python -m tests.report_demo --docs`"
    assert example["containment"]["verdict"] in ("Contained", "SuspectsOpen") and example["risk"]["level"] == "critical"
