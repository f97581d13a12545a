"""What faces the internet, by HTTP: a click in Slack and a report with the form, from the request to what the
responder does about it, and everything that must come to nothing."""

import concurrent.futures
import json
import time

import pytest
from botocore.exceptions import ClientError

from .harness.browser import running
from .harness.ledger import DUE, Table
from .harness.people import DANA, EVE, KEY_PARAMETER, SECRET_PARAMETER, SIGNING_PARAMETER, TEAM, FormDoor, SlackDoor, generated, put, request_of
from .harness.requests import ask, command, iam_writes, item, wake_up, word
from .harness.victims import Role, User, allowed
from .test_stolen_sessions import of_function

# As Debian's program `argon2` writes it.
PASSWORD = "password"
HASH = "$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHRzb21lc2FsdA$r4Oo1wGvZA95Ee2ql0BxTjPMLtEb2RJx3pJ/l+PU2ts"


def slack(world, mode="approve", count=1, approvers=f"{DANA},{EVE}", identities="", **parameters):
    """Both functions, and the rule that wakes the responder."""
    door = SlackDoor(world, approvers, identities)
    world.deploy(Mode=mode, **door.parameters, **parameters)
    return door.open(count), world.connected()


def form(world, secret=None, mode="enforce", **parameters):
    door = FormDoor(world, secret)
    world.deploy(Mode=mode, **door.parameters, **parameters)
    return door.open(), world.connected()


def woken(world):
    """What the front told the bus."""
    return [it for it in world.journal() if it["action"] == "events:PutEvents"]


def parameter_reads(world):
    return [it for it in world.journal() if it["action"] == "ssm:GetParameter"]


def test_a_click_contains(world):
    door, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    assert user.key_works()
    assert door.click(request) == 200
    world.deliveries()
    assert not user.key_works() and user.is_denied() and word(world, request) == "done"
    contained = world.alerts()[-1]
    assert "dana (Slack U0DANA)" in contained["Message"]
    # Who comes second changes nothing, and neither does a replay.
    writes = len(iam_writes(world))
    assert door.click(request, "decline", user=EVE) == 200 and door.click(request) == 200
    world.deliveries()
    assert item(world, request)["decision"]["S"] == "approve" and "dana" in item(world, request)["decided_by"]["S"]
    assert len(iam_writes(world)) == writes and len(woken(world)) == 1


def test_a_declined_request_stays_declined(world):
    door, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    assert door.click(request, "decline") == 200
    world.deliveries()
    assert door.click(request, user=EVE) == 200
    world.deliveries()
    assert word(world, request) == "declined" and user.key_works() and iam_writes(world) == []
    assert "DECLINED" in world.alerts()[-1]["Subject"]


def test_who_may_not_decide_decides_nothing_and_is_told_no_reason(world):
    door, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    before = item(world, request)
    dana = door.payload(request)["user"]
    for changes, status in (
        ({"user": "U0MALLORY"}, 403),
        ({"team": {"id": "T0OTHERS"}}, 403),
        ({"team": None}, 403),
        ({"api_app_id": "A0OTHER"}, 403),
        ({"secret": generated()}, 401),
        ({"at": time.time() - 400}, 401),
        ({"at": time.time() + 400}, 401),
        ({"plan_hash": "0" * 64}, 403),
        ({"plan_hash": "0" * 63}, 403),
    ):
        assert door.click(request, **changes) == status, changes
    # A guest of a shared channel, and somebody whose workspace is not said.
    for guest in ({**dana, "team_id": "T0OTHERS"}, {key: value for key, value in dana.items() if key != "team_id"}):
        headers, body = door.signed({**door.payload(request), "user": guest})
        assert door.send("POST", "/slack/interactions", headers, body)[::2] == (403, "")
    headers, body = door.signed(door.payload(request))
    for path, method, status in (("/", "POST", 404), ("/slack/interactions", "GET", 405)):
        assert door.send(method, path, headers, body)[::2] == (status, "")
    twice = {**headers, "x-slack-signature": f"{headers['x-slack-signature']},{headers['x-slack-signature']}"}
    assert door.send("POST", "/slack/interactions", twice, body)[::2] == (401, "")
    assert door.send("POST", "/slack/interactions", headers, body + b"x")[::2] == (401, "")
    assert item(world, request) == before and woken(world) == [] and user.key_works()
    # The neighbour that sees something.
    assert door.click(request) == 200


def test_a_request_that_is_not_there_is_not_made_by_a_click(world):
    door, _ = slack(world)
    assert door.click("a" * 26, plan_hash="0" * 64) == 403
    assert Table(world).items("request#") == [] and woken(world) == []


def test_nobody_decides_about_themselves(world):
    identities = f"{DANA}=arn:aws:iam::{world.member}:user/alice"
    door, responder = slack(world, identities=identities)
    user = User(world)
    request = ask(world, responder, user)
    for decision in ("approve", "decline"):
        assert door.click(request, decision) == 403
    assert "decision" not in item(world, request) and woken(world) == []
    # Written by a thief of the endpoint's role, it is not carried out.
    Table(world).change(
        item(world, request),
        "SET decision = :approve, decided_by = :by, decided_at = :now, approvers = :them",
        approve={"S": "approve"}, by={"S": "dana"}, now={"N": str(int(time.time() * 1000))}, them={"SS": [f"slack:{TEAM}/{DANA}"]},
    )
    responder.invoke(wake_up(world, request))
    assert word(world, request) == "failed" and user.key_works() and iam_writes(world) == []
    other = ask(world, responder, user)
    assert door.click(other, user=EVE) == 200
    world.deliveries()
    assert not user.key_works()


def test_an_expired_request_can_not_be_approved(world):
    door, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    Table(world).change(item(world, request), "SET expires_at = :past", past={"N": "1"})
    assert door.click(request) == 403
    assert "decision" not in item(world, request) and woken(world) == [] and user.key_works()


def test_two_approvers_are_two_persons(world):
    door, responder = slack(world, ApprovalsRequired="compromised-credential=2")
    user = User(world)
    request = ask(world, responder, user)
    assert door.click(request) == 200
    # Not to contain: to say in the message that one more is needed.
    assert len(woken(world)) == 1
    assert door.click(request) == 200 and len(woken(world)) == 1
    world.deliveries()
    assert user.key_works() and item(world, request)["still_needed"]["N"] == "1"
    assert door.click(request, user=EVE) == 200
    world.deliveries()
    assert not user.key_works()


def test_of_32_concurrent_clicks_one_wins(world):
    door, responder = slack(world, count=4)
    user = User(world)
    request = ask(world, responder, user)
    clicks = [(word_, who) for word_ in ("approve", "decline") for who in (DANA, EVE)] * 8
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda it: door.click(request, *it), clicks))
    assert answers == [200] * 32
    world.deliveries()
    decision = item(world, request)["decision"]["S"]
    assert len(woken(world)) == 1
    assert user.key_works() == (decision == "decline")


def test_a_click_that_woke_nobody_is_found(world):
    """As if the function had died between the decision and the event."""
    door, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    world.fault("events:PutEvents", "InternalException", status=500)
    assert door.click(request) == 200
    assert user.key_works() and item(world, request)["decision"]["S"] == "approve"
    responder.invoke(DUE)
    assert not user.key_works() and word(world, request) == "done"


@pytest.mark.seconds(3)
def test_a_click_is_answered_in_time_whatever_hangs(world):
    door, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    door.click(request, user="U0MALLORY")
    world.fault("dynamodb:UpdateItem", hold=True)
    began = time.monotonic()
    status = door.click(request)
    took = time.monotonic() - began
    world.release()
    assert status == 503 and took < 3, took
    assert user.key_works()


def test_a_new_signing_secret_is_used_at_once_and_a_flood_reads_none(world):
    door, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    for _ in range(20):
        assert door.click(request, secret=generated()) == 401
    assert len(parameter_reads(world)) == 2
    # A process that has the old one, and was not refused a moment ago.
    door.open()
    assert door.click(request, user="U0MALLORY") == 403
    former, door.secret = door.secret, generated()
    put(world, SIGNING_PARAMETER, f"{door.secret},{former}")
    assert door.click(request) == 200
    world.deliveries()
    assert not user.key_works()
    assert door.secret not in door.logged() and former not in door.logged()


def test_a_click_signed_with_a_secret_that_was_replaced_decides_nothing(world):
    """Also where the function still has it, and was refused a moment ago."""
    door, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    assert door.click("a" * 26, plan_hash="0" * 64) == 403
    former, door.secret = door.secret, generated()
    put(world, SIGNING_PARAMETER, door.secret)
    assert door.click(request, secret=former) == 401
    assert "decision" not in item(world, request) and user.key_works()
    assert door.click(request) == 200


def test_a_password_that_was_replaced_lets_nobody_in_and_a_link_of_a_replaced_key_shows_nothing(world):
    door, _ = form(world)
    User(world)
    location = door.report()
    former, door.password = door.password, generated()
    put(world, SECRET_PARAMETER, door.password)
    assert door.page(password=former)[0] == 401 and door.page()[0] == 200
    put(world, KEY_PARAMETER, generated())
    assert door.send("GET", location)[0] == 404


def test_where_the_secret_can_not_be_read_nobody_is_let_in(world):
    door, responder = slack(world)
    request = ask(world, responder, User(world))
    assert door.click("a" * 26, plan_hash="0" * 64) == 403
    world.fault("ssm:GetParameter", "InternalServerError", status=500)
    assert door.click(request) == 503 and "decision" not in item(world, request)


def test_without_its_secret_nothing_is_accepted(world):
    door, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    for bad in ("x", "not-a-secret-but-long-enough"):
        put(world, SIGNING_PARAMETER, bad)
        assert door.open().click(request, secret=bad) == 503
    world.client("ssm", world.security).delete_parameter(Name=SIGNING_PARAMETER)
    assert door.open().click(request) == 503
    assert "decision" not in item(world, request) and user.key_works()


def test_a_report_goes_to_a_person_and_its_state_is_followed(world):
    door = FormDoor(world)
    clicks = SlackDoor(world)
    world.deploy(Mode="enforce", **door.parameters, **clicks.parameters)
    door.open()
    clicks.open()
    world.connected()
    user = User(world)
    location = door.report(access_key=user.keys[0]["AccessKeyId"])
    world.deliveries()
    request = request_of(location)
    assert door.state(location).startswith("Waiting for approval") and user.key_works() and iam_writes(world) == []
    [alert] = world.alerts()
    assert "I pushed my key to GitHub" in alert["Message"] and request in alert["Message"]
    assert clicks.click(request) == 200
    world.deliveries()
    assert not user.key_works()
    state = door.state(location)
    assert state.startswith("Contained at") and "dana (Slack U0DANA)" in state


def test_a_person_with_a_browser_reports_and_follows_it_to_contained(world):
    """On a phone, without JavaScript, against the function itself."""
    with running() as browser:
        door, responder = form(world)
        user = User(world)
        credentials = {"username": "report", "password": door.password}
        page = browser.new_context(http_credentials=credentials, java_script_enabled=False, viewport={"width": 375, "height": 700}).new_page()
        page.goto(door.front.url)
        page.locator("[name=account]").select_option(world.member)
        page.locator("[name=access-key]").fill(user.keys[0]["AccessKeyId"])
        page.locator("[name=text]").fill("I pushed my key")
        page.get_by_role("button", name="Report").click()
        world.deliveries()
        page.get_by_role("link", name="Look again").click()
        assert "Waiting for approval" in page.get_by_role("status").inner_text()
        [request] = [it["id"]["S"] for it in Table(world).items("request#") if "plan_hash" in it]
        command(responder, "approve", request.removeprefix("request#"), by="Eve")
        page.get_by_role("link", name="Look again").click()
        assert "Contained at" in page.get_by_role("status").inner_text() and not user.key_works()


def test_a_report_is_decided_by_command_too(world):
    door, responder = form(world)
    user = User(world)
    location = door.report(access_key=user.keys[0]["AccessKeyId"])
    world.deliveries()
    command(responder, "decline", request_of(location), by="Eve")
    assert door.state(location).startswith("Declined by Eve") and user.key_works()
    # The next one about the same is a request of its own.
    again = door.report(access_key=user.keys[0]["AccessKeyId"])
    world.deliveries()
    assert request_of(again) != request_of(location) and door.state(again).startswith("Waiting")
    command(responder, "approve", request_of(again), by="Eve")
    assert door.state(again).startswith("Contained at") and not user.key_works()


def test_reports_about_the_same_key_are_one_request(world):
    door, _ = form(world)
    user = User(world)
    key = user.keys[0]["AccessKeyId"]
    first, second = door.report(access_key=key), door.report(access_key=key, user="")
    world.deliveries()
    assert item(world, request_of(second))["joined"]["S"] == request_of(first)
    assert door.state(first) == door.state(second)
    assert [it["Subject"].split(":")[0] for it in world.alerts()] == ["Compromised credential", "REPORTED AGAIN, waits for approval"]


def test_a_report_that_joins_a_finding_shows_how_far_that_is(world):
    door, responder = form(world, mode="approve")
    user = User(world)
    asked = ask(world, responder, user)
    location = door.report(access_key=user.keys[0]["AccessKeyId"])
    world.deliveries()
    assert request_of(location) != asked and door.state(location).startswith("Waiting for approval")
    command(responder, "approve", asked, by="Eve")
    assert door.state(location).startswith("Contained at")


def test_the_sessions_of_a_role_can_be_reported(world):
    door, _ = form(world)
    Role(world, name="app")
    location = door.report(user="", role="app")
    world.deliveries()
    assert door.state(location).startswith("Waiting for approval")


def test_whom_nobody_finds_is_told_and_shown(world):
    door, _ = form(world)
    location = door.report(user="nobody")
    world.deliveries()
    assert door.state(location).startswith("Could not be asked")
    assert len(world.alerts()) == 1 and iam_writes(world) == []


def test_a_report_that_woke_nobody_is_found(world):
    door, responder = form(world)
    user = User(world)
    world.fault("events:PutEvents", "InternalException", status=500)
    location = door.report(access_key=user.keys[0]["AccessKeyId"])
    assert door.state(location) == "Received"
    table = Table(world)
    [report] = table.items("report#")
    # Found within two minutes: not before half a minute, in which whoever was woken has it.
    assert int(report["unread_since"]["N"]) <= time.time() * 1000
    responder.invoke(DUE)
    assert door.state(location) == "Received"
    table.change(report, "SET unread_since = :ago", ago={"N": str(int(time.time() * 1000) - 30_000)})
    responder.invoke(DUE)
    assert door.state(location).startswith("Waiting for approval")


def test_what_can_not_be_kept_is_no_report(world):
    door, _ = form(world)
    page = door.page()[2]
    world.fault("dynamodb:PutItem", "AccessDeniedException", status=400)
    status, _, body = door.submit(text="a story that stays")
    assert status == 503 and "a story that stays" in body and "name=\"token\"" in page
    assert Table(world).items("report#") == []


def test_nobody_reports_without_the_password_or_from_another_page(world):
    door, _ = form(world)
    assert door.send("GET", "/")[0] == 401
    assert door.page(password=generated())[0] == 401 and door.page(user="admin")[0] == 401
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert door.submit(headers=headers)[0] == 403
    assert door.submit(token="1.2.3")[0] == 403
    assert door.submit(account="1")[0] == 422
    assert Table(world).items("report#") == [] and woken(world) == []
    assert door.send("GET", "/state/" + "a" * 26 + ".9999999999." + "0" * 32)[0] == 404


def test_a_password_is_locked_out_and_the_right_browser_is_not(world):
    door, _ = form(world, secret=HASH)
    door.password = PASSWORD
    status, headers, _ = door.page()
    assert status == 200 and "__Host-device=" in headers["set-cookie"]
    known = {"cookie": headers["set-cookie"].split(";")[0]}
    answers = [door.page(password="wrong") for _ in range(12)]
    limited = [it for it in answers if it[0] == 429]
    assert limited and all(1 <= int(it[1]["retry-after"]) <= 60 for it in limited)
    assert {it[0] for it in answers} == {401, 429}
    assert door.send("GET", "/", {**door.login(), **known})[0] == 200
    [of_network] = [it for it in Table(world).items("lockout#203.0.113.0/24")][-1:]
    assert int(of_network["tries"]["N"]) >= 6 and "expires" in of_network


def test_a_new_password_is_used_at_once(world):
    door, _ = form(world)
    assert door.page()[0] == 200
    former, door.password = door.password, generated()
    put(world, door.parameters["FormSecretParameter"], door.password)
    assert door.page()[0] == 200
    assert door.page(password=former)[0] == 401
    for secret in (former, door.password):
        assert secret not in door.logged()


def test_a_pasted_secret_key_is_nowhere(world):
    door, _ = form(world)
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    status, _, body = door.submit(text=f"my key is {secret}")
    assert status != 303 and secret not in body and "[secret removed]" in body
    assert secret not in json.dumps(Table(world).items()) and secret not in door.logged()


def refused(call, *arguments, **named):
    with pytest.raises(ClientError) as error:
        call(*arguments, **named)
    assert error.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "AuthorizationError"), error.value


SECURITY = ("events", "dynamodb", "ssm", "sts", "iam", "sns", "lambda", "securityhub", "sqs")


@pytest.mark.parametrize("role", ["iam-responder-form", "iam-responder-slack"])
def test_a_thief_of_a_role_that_faces_the_internet_reaches_nobody(world, role):
    forms, clicks = FormDoor(world), SlackDoor(world)
    world.deploy(Mode="approve", **forms.parameters, **clicks.parameters)
    responder, user = world.responder(), User(world)
    request = ask(world, responder, user)
    table = Table(world)
    stolen = {service: of_function(world, role, service) for service in SECURITY}
    member = f"arn:aws:iam::{world.member}:role/SecurityRemediationRole"
    refused(stolen["sts"].assume_role, RoleArn=member, RoleSessionName="thief", ExternalId="an-external-id-of-the-tests")
    assert not allowed(stolen["iam"].list_users)
    refused(stolen["sns"].publish, TopicArn=world.topic, Message="x")
    refused(stolen["lambda"].invoke, FunctionName="iam-responder", Payload=b"{}")
    refused(stolen["dynamodb"].scan, TableName=table.name)
    refused(stolen["ssm"].get_parameter, Name="/iam-responder/slack-token")

    def update(key, expression, **values):
        values = {f":{name}": value for name, value in values.items()}
        stolen["dynamodb"].update_item(
            TableName=table.name, Key={"id": {"S": key}}, UpdateExpression=expression, ExpressionAttributeValues=values
        )

    keys = [it["id"]["S"] for it in table.items()]
    for key in [it for it in keys if not it.startswith("request#")] + ["lock#x", "record#x", "due#x", "asked#x", "breaker#x", "suspects#x"]:
        refused(stolen["dynamodb"].get_item, TableName=table.name, Key={"id": {"S": key}})
        refused(update, key, "SET decision = :x", x={"S": "approve"})
        refused(stolen["dynamodb"].put_item, TableName=table.name, Item={"id": {"S": key}})
    mine = f"request#{request}"
    # Whole, a request is for nobody here: whom it is about and what is planned.
    refused(stolen["dynamodb"].get_item, TableName=table.name, Key={"id": {"S": mine}})
    refused(stolen["dynamodb"].get_item, TableName=table.name, Key={"id": {"S": mine}}, ProjectionExpression="finding")
    for attribute in ("finding", "target_id", "plan_words", "plan_kinds", "sealed", "struck", "verdict", "ended_as", "ended_at", "due_bucket", "holder", "needed", "expires"):
        refused(update, mine, f"SET {attribute} = :x", x={"S": "x"})
    refused(stolen["events"].put_events, Entries=[{"Source": "custom.iam-responder.drill", "DetailType": "Drill", "Detail": "{}"}])
    refused(stolen["events"].put_events, Entries=[{"Source": "iam-responder.front", "DetailType": "Other", "Detail": "{}"}])
    stolen["events"].put_events(Entries=[{"Source": "iam-responder.front", "DetailType": "Request", "Detail": json.dumps({"request": request})}])


def test_a_flood_at_the_form_touches_no_responder(world):
    door, responder = form(world, mode="enforce")
    user = User(world)

    def bad(n):
        kind = ("GET", "/") if n % 3 else ("POST", "/")
        return door.send(*kind, door.login(password=generated()) if n % 2 else {}, b"x" * (n % 200))[0]

    before = len(world.journal())
    answers = {bad(n) for n in range(200)}
    assert answers <= {400, 401, 403, 429}
    calls = {it["action"] for it in world.journal()[before:]}
    assert calls <= {"dynamodb:UpdateItem", "ssm:GetParameter"} and len(parameter_reads(world)) <= 4
    assert all(it["id"]["S"].startswith("lockout#") for it in Table(world).items())
    [report] = responder.invoke(world.event("guardduty-exfiltration-iam-user-anomalous-behavior", user))["reports"]
    assert report["verdict"] == "Contained" and report["round_trips"]["first_barrier"] <= 3
