"""How a response runs and what the ledger remembers, as an attacker or a colleague who will be blamed reads it.
Each test is named after what should hold."""

import concurrent.futures
import copy
import json
import threading
import time

from .harness.ledger import Table, about, until
from .harness.victims import LONG_AGO, Role, User
from .test_lease import killed, restoring, while_running, wrote

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
HUB = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"
CUSTOM_ACTION = "security-hub-custom-action-contain-identity"
OVERPRIVILEGED = "security-hub-simulation-administrator-access"
KEY_ONLY = "health-risk-credentials-exposed-key-only"
UNUSED = "security-hub-iam-8-unused-credentials"
CREATED = "cloudtrail-create-user"
ROLE = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
SUCCESS = ("Contained", "SuspectsOpen")
DUE = {"command": "due"}


def reports(answer):
    assert "reports" in answer, answer
    return answer["reports"]


def denied(user):
    return "AWSDenyAll" in user.state()["policies"]


def without_id(finding):
    """As products report it that know a name only."""
    for resource in finding["Resources"]:
        for details in resource["Details"].values():
            details.pop("UserId", None)
            details.pop("PrincipalId", None)
    return finding


def logged(responder):
    return [json.loads(line["report"]) for line in responder.log_lines() if "report" in line]


# One event, several findings.


def test_a_finding_about_a_former_namesake_does_not_silence_the_real_one_of_the_same_event(world):
    world.deploy()
    user = User(world)
    event = world.event(CUSTOM_ACTION, user)
    [real] = [without_id(it) for it in event["detail"]["findings"]]
    former = copy.deepcopy(real)
    former |= {"Id": real["Id"] + "-former", "LastObservedAt": "2019-05-01T00:00:00.000Z"}
    former["Severity"] = {"Label": "CRITICAL"}
    event["detail"]["findings"] = [former, real]
    for n in range(2):
        world.finding(event, n)
    answer = world.responder().invoke(event)
    print([(it["finding_id"][-12:], it["verdict"], it["reason"]) for it in reports(answer)])
    assert denied(user) and not user.key_works()


def test_a_finding_about_a_key_that_is_gone_does_not_silence_the_one_about_the_key_in_use(world):
    world.deploy()
    user = User(world)
    event = world.event(HUB, user)
    [real] = [without_id(it) for it in event["detail"]["findings"]]
    gone = json.loads(json.dumps(real).replace(user.keys[0]["AccessKeyId"], "AKIAI44QH8DHBEXAMPLE"))
    gone |= {"Id": real["Id"] + "0", "Severity": {"Label": "CRITICAL"}}
    event["detail"]["findings"] = [gone, real]
    event["detail-type"] = "Security Hub Findings - Custom Action"
    event["resources"] = [f"arn:aws:securityhub:us-east-1:{world.security}:action/custom/ContainIdentity"]
    for n in range(2):
        world.finding(event, n)
    answer = world.responder().invoke(event)
    print([(it["finding_id"][-12:], it["verdict"], it["reason"]) for it in reports(answer)])
    assert denied(user) and not user.key_works()


def test_what_a_restore_knew_does_not_silence_what_happened_since_in_the_same_event(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(HUB, user)
    finding = event["detail"]["findings"][0]
    world.finding(event)
    assert reports(responder.invoke(event))[0]["verdict"] in SUCCESS
    command = {"command": "restore", "account": world.member, "user": "alice", "reason": "a drill", "by": "Dana"}
    assert world.responder(part="restorer").invoke(command)["restore"]["verdict"] == "Restored"
    since = {**copy.deepcopy(finding), "Id": finding["Id"] + "0", "LastObservedAt": "2099-01-01T00:00:00.000Z"}
    old = {**copy.deepcopy(finding), "Severity": {"Label": "CRITICAL"}}
    event["detail"]["findings"] = [old, since]
    world.finding(event, 1)
    answer = responder.invoke(event)
    print([(it["finding_id"][-12:], it["verdict"], it["reason"]) for it in reports(answer)])
    assert denied(user)


def test_the_name_of_one_finding_and_the_id_of_another_do_not_contain_a_namesake(world):
    """Alone, the compromise is refused: it is about a user of that name who is gone."""
    world.deploy(TrustedProducts="product/aws/*,product/*/default")
    user = User(world)
    former = world.event("security-hub-guardduty-exfiltration-iam-user-anomalous-behavior-arn-of-user", user)
    [finding] = [without_id(it) for it in former["detail"]["findings"]]
    finding["LastObservedAt"] = "2019-05-01T00:00:00.000Z"
    responder = world.responder()
    world.finding(former)
    [alone] = reports(responder.invoke(former))
    assert alone["verdict"] == "Refused" and "namesake" in alone["reason"] and not denied(user)
    state = world.event(OVERPRIVILEGED, user)
    world.finding(state)
    former["detail"]["findings"] = [finding, *state["detail"]["findings"]]
    answer = responder.invoke(former)
    print([(it["playbook"], it["verdict"], it["reason"]) for it in reports(answer)])
    assert not denied(user), "the namesake is quarantined for what the former user did"


def test_a_finding_about_a_former_namesake_is_not_answered_with_another_ones_verdict(world):
    world.deploy()
    user = User(world)
    event = world.event(HUB, user)
    [real] = event["detail"]["findings"]
    former = world.event("security-hub-guardduty-exfiltration-iam-user-anomalous-behavior-arn-of-user", user)
    [former] = [without_id(it) for it in former["detail"]["findings"]]
    former |= {"Id": real["Id"] + "0", "LastObservedAt": "2019-05-01T00:00:00.000Z"}
    event["detail"]["findings"] = [real, former]
    world.finding(event)
    marked = world.finding(event, 1)
    answer = world.responder().invoke(event)
    found = {it["finding_id"]: it["verdict"] for it in reports(answer)}
    print(found, marked()["Workflow"], marked()["Note"]["Text"])
    assert found[former["Id"]] == "Refused"
    assert marked()["Workflow"]["Status"] == "NEW"


def test_a_playbook_that_only_observes_does_not_silence_an_enforced_one_of_the_same_event(world):
    world.deploy(TrustedProducts="product/aws/*,product/*/default", PlaybookModes="compromised-credential=observe")
    user, responder = User(world), world.responder()
    event, other = world.event(HUB, user), world.event(OVERPRIVILEGED, user)
    event["detail"]["findings"] += other["detail"]["findings"]
    for n in range(2):
        world.finding(event, n)
    answer = responder.invoke(event)
    print([(it["playbook"], it["verdict"]) for it in reports(answer)], user.state()["policies"])
    assert "AdministratorAccess" not in user.state()["policies"]


# The breaker.


def test_one_identity_by_name_and_by_key_is_one_principal_of_the_hour(world):
    world.deploy(MaxContainmentsPerHour="1,20")
    user, responder = User(world), world.responder()
    assert reports(responder.invoke(world.event(EXFILTRATION, user)))[0]["verdict"] in SUCCESS
    [by_key] = reports(responder.invoke(world.event(KEY_ONLY, user)))
    print(by_key["verdict"], by_key["reason"])
    assert by_key["verdict"] in SUCCESS


# The ledger fails.


def test_no_verdict_is_better_than_an_open_suspect_that_the_ledger_could_not_tell_of(world):
    world.deploy()
    user, responder = User(world), world.responder()
    hub = world.event(HUB, user)
    finding = world.finding(hub)
    world.iam.create_user(UserName="svc-backup")
    [first] = reports(responder.invoke(world.event(EXFILTRATION, user)))
    assert first["verdict"] == "SuspectsOpen"
    world.iam.delete_user(UserName="svc-backup")
    world.alerts()
    world.fault("dynamodb:UpdateItem", "AccessDenied", status=400)
    answer = responder.invoke(hub)
    report = logged(responder)[-1]
    alerts = [it["Subject"] for it in world.alerts()]
    print(answer, report["verdict"], report["reason"], alerts, finding()["Workflow"])
    assert report["verdict"] != "Contained"
    assert finding()["Workflow"]["Status"] == "NEW"


# A restore and who comes by another name.


def test_a_finding_by_key_that_is_no_news_to_a_restore_leaves_no_deny_behind(world):
    world.deploy()
    user, responder = User(world), world.responder()
    responder.invoke(world.event(EXFILTRATION, user))
    command = {"command": "restore", "account": world.member, "user": "alice", "reason": "a drill", "by": "Dana"}
    # The restore reads twice: what there is to do, and what came of it.
    world.fault("iam:ListMFADevices", delay_ms=4_000, after=1, times=1)
    lifted = wrote(world, "iam:UntagUser")
    with while_running(world.responder(part="restorer"), command, lifted) as restore:
        time.sleep(1)
        [report] = reports(responder.invoke(world.event(KEY_ONLY, user)))
    print(report["verdict"], report["reason"], restore[0].get("restore", restore[0]), user.state()["policies"])
    table = Table(world)
    for _ in range(2):
        table.pass_time()
        print([(it["verdict"], it["reason"]) for it in reports(responder.invoke(DUE))])
    again = world.responder(part="restorer").invoke(command)
    print(again, user.state()["policies"])
    assert restore[0]["restore"]["verdict"] == "Restored"
    assert not denied(user), "restored, and denied everything, and no restore takes it back"


# Killed.


def test_a_response_beside_a_busy_lease_that_is_killed_is_taken_up(world):
    """Nobody tries a command again."""
    world.deploy()
    user = User(world)
    unused = world.event(UNUSED, user)
    world.finding(unused)
    with while_running(world.responder(part="hygiene", SETTLE_SECONDS="9"), unused, wrote(world, "iam:TagUser")) as first:
        world.fault("sts:AssumeRole", delay_ms=3_000, times=1)
        contain = {"command": "contain", "account": world.member, "user": "alice"}
        # It has asked for the lease, and learnt that another has it.
        refused = lambda: [it for it in world.journal() if it["action"] == "dynamodb:UpdateItem" and it["status"] == 400]  # noqa: E731
        killed(world, contain, refused)
    assert first[0]["reports"][0]["verdict"] == "Contained", first
    table, responder = Table(world), world.responder()
    for _ in range(2):
        table.pass_time()
        print([(it["playbook"], it["verdict"]) for it in reports(responder.invoke(DUE))])
    assert denied(user)


def test_lesser_news_does_not_erase_a_killed_response_from_what_is_due(world):
    """Nobody tries a command again."""
    world.deploy()
    user = User(world)
    table = Table(world)
    world.fault("iam:GetUser", delay_ms=1_500, times=1)
    killed(world, {"command": "contain", "account": world.member, "user": "alice"}, lambda: table.items("lock#"))
    assert user.key_works()
    table.pass_time()
    unused = world.event(UNUSED, user)
    world.finding(unused)
    assert reports(world.responder(part="hygiene").invoke(unused))[0]["verdict"] == "Contained"
    responder = world.responder()
    table.pass_time()
    print([(it["playbook"], it["verdict"]) for it in reports(responder.invoke(DUE))])
    assert denied(user)


# Left with somebody.


def test_new_sessions_of_a_revoked_role_are_not_swallowed_by_an_older_finding_under_way(world):
    world.deploy()
    role, responder, second = Role(world), world.responder(), world.responder()
    event = world.event(ROLE, role=role)
    assert reports(responder.invoke(event))[0]["verdict"] == "Contained"
    newer = copy.deepcopy(event)
    newer["detail"]["service"]["eventLastSeen"] = "2099-01-01T00:00:00.000Z"
    world.fault("iam:ListRoles", delay_ms=3_000, times=1)
    struck = lambda: any("struck_id" in it for it in Table(world).items("lock#"))  # noqa: E731
    with while_running(responder, event, struck) as first:
        [report] = reports(second.invoke(newer))
        assert report["verdict"] == "InProgress", report
    assert reports(first[0])[0]["verdict"] == "Contained"
    table = Table(world)
    table.pass_time()
    print([(it["verdict"], it["reason"]) for it in reports(responder.invoke(DUE))])
    record = table.item("record#")
    print(record["verdict"], record["suspects"], table.due())
    assert "new-sessions" in record["suspects"]["M"]


# Of one event.


def test_identities_that_can_not_be_struck_hold_no_other_up_for_long(world):
    """An attacker who calls IAM in a loop throttles an account."""
    elsewhere = str(int(world.member) + 1)
    world.deploy(members=(elsewhere,))
    users = [User(world, name=f"user-{n}", groups=(), policies=()) for n in range(8)]
    there = world.client("iam", elsewhere)
    created = there.create_user(UserName="victim")["User"]
    world.identify(account=elsewhere, user="victim", created=LONG_AGO)
    event = world.event(CUSTOM_ACTION, users[0])
    [sample] = event["detail"]["findings"]
    text = json.dumps(sample)
    findings = [json.loads(text.replace(users[0].id, it.id).replace("alice", it.name)) for it in users]
    findings.append(json.loads(text.replace(users[0].id, created["UserId"]).replace("alice", "victim").replace(world.member, elsewhere)))
    event["detail"]["findings"] = [{**it, "Id": f"{it['Id']}-{n}"} for n, it in enumerate(findings)]
    world.control("throttle", {"account": world.member, "per_second": 0})
    responder = world.responder(timeout=60)
    attached = lambda: [it["PolicyName"] for it in there.list_attached_user_policies(UserName="victim")["AttachedPolicies"]]  # noqa: E731
    began = time.monotonic()
    thread = threading.Thread(target=responder.invoke, args=[event], daemon=True)
    thread.start()
    while time.monotonic() - began < 50 and "AWSDenyAll" not in attached():
        time.sleep(0.2)
    took = time.monotonic() - began
    thread.join(60)
    print(f"struck after {took:.1f} s")
    assert took < 21, took


# What was seen to hold.


def test_what_was_undone_after_it_held_is_not_called_contained_until_it_has_held_again(world):
    """The attacker strips it an hour later; the copy of the finding strikes again, and is killed."""
    world.deploy()
    user = User(world)
    event = world.event(EXFILTRATION, user)
    assert reports(world.responder().invoke(event))[0]["verdict"] == "Contained"
    world.iam.detach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    world.fault("iam:ListGroupsForUser", delay_ms=3_000, times=1)
    killed(world, event, lambda: denied(user))
    Table(world).pass_time()
    responder, began = world.responder(SETTLE_SECONDS="4"), time.monotonic()
    [report] = reports(responder.invoke(event))
    took = time.monotonic() - began
    print(f"{took:.1f} s", report["verdict"], report["reason"])
    assert took > 4 or report["verdict"] not in SUCCESS


def test_a_fight_that_was_handed_on_is_held_for_the_settle_time(world):
    """The next invocation finds the deny in place, as the one before it has just put it."""
    world.deploy()
    user = User(world)
    event = world.event(EXFILTRATION, user)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    world.responder().invoke(event)
    [finding] = Table(world).due()
    relay = {"group": {"lead": finding, "others": []}, "holder": "it", "number": 1, "reversals": ["was undone: the deny"]}
    responder, began = world.responder(SETTLE_SECONDS="4"), time.monotonic()
    [report] = reports(responder.invoke({"continue": relay}))
    took = time.monotonic() - began
    print(f"{took:.1f} s", report["verdict"], report["reason"], report["reversals"])
    assert took > 4 or report["verdict"] not in SUCCESS


def test_a_restore_ends_what_began_before_it_by_another_name(world):
    world.deploy()
    user, responder = User(world), world.responder()
    responder.invoke(world.event(EXFILTRATION, user))
    command = {"command": "restore", "account": world.member, "user": "alice", "reason": "a drill", "by": "Dana"}
    world.fault("iam:GetAccessKeyLastUsed", delay_ms=3_500, times=1)
    begun = lambda: Table(world).items(f"lock#{world.member}#key/")  # noqa: E731
    with while_running(responder, world.event(KEY_ONLY, user), begun) as first:
        restored = world.responder(part="restorer").invoke(command)["restore"]
        assert restored["verdict"] == "Restored" and not denied(user)
    print([(it["verdict"], it["reason"]) for it in reports(first[0])])
    assert not denied(user), "contained again for behaviour from before the restore"


# A throttled account.


def test_keys_that_iam_throttles_are_asked_for_again(world):
    world.deploy()
    user, responder = User(world), world.responder()
    # What the SDK tries by itself, and once more.
    world.fault("iam:ListAccessKeys", "Throttling", status=400, times=6)
    answer = responder.invoke(world.event(KEY_ONLY, user))
    print(answer.get("errorMessage"), [(it["verdict"], it["reason"]) for it in logged(responder)])
    assert denied(user) and not user.key_works()


# A fight outlasts its invocation.


def test_a_fight_about_a_created_user_that_outlasts_an_invocation_goes_on_in_another(world):
    world.deploy(SettleSeconds="3")
    user = User(world, name="backdoor", groups=())
    hygiene, over = world.responder(part="hygiene", timeout=18), threading.Event()

    def fight():
        while not over.wait(0.4):
            if denied(user):
                world.iam.detach_user_policy(UserName=user.name, PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")

    attacker = threading.Thread(target=fight)
    attacker.start()
    answer = hygiene.invoke(world.event(CREATED, user))
    over.set()
    attacker.join()
    handed = [it for it in world.journal() if it["action"] == "lambda:InvokeFunction"]
    print(answer, len(handed), [(it["verdict"], it["reason"]) for it in logged(hygiene)])
    assert handed, "nobody looks until the queue shows the message again, six minutes later"


# What a later try owes.


def test_a_finding_that_waited_is_marked_once_people_were_told(world):
    world.deploy(SettleSeconds="4")
    user, responder, second = User(world), world.responder(), world.responder()
    hub = world.event(HUB, user)
    hub["detail"]["findings"][0]["Id"] += "0"  # Another finding about the same.
    finding = world.finding(hub)
    event = world.event(EXFILTRATION, user)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    with while_running(responder, event, wrote(world, "iam:TagUser")) as first:
        assert reports(second.invoke(hub))[0]["verdict"] == "InProgress"
    assert first[0]["errorType"] == "ResponseIncomplete"
    assert reports(responder.invoke(event))[0]["verdict"] == "Contained"  # Lambda's second try.
    table = Table(world)
    for _ in range(2):
        table.pass_time()
        print([(it["finding_id"][-12:], it["verdict"]) for it in reports(responder.invoke(DUE))])
    print(len(world.alerts()), finding()["Workflow"], table.due())
    assert finding()["Workflow"]["Status"] == "NOTIFIED"


def test_an_alert_that_every_try_lost_is_not_forgotten_for_a_copy_that_waited(world):
    """The copy in Security Hub has the same ID: what waits and what is undelivered are one item."""
    world.deploy()
    user, responder, second = User(world), world.responder(), world.responder()
    event, hub = world.event(EXFILTRATION, user), world.event(HUB, user)
    event["detail"]["arn"] = hub["detail"]["findings"][0]["Id"]
    world.finding(hub)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=3)
    for _ in range(2):
        assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    world.fault("iam:ListRoles", delay_ms=3_000, times=1)
    struck = lambda: any("struck_id" in it for it in Table(world).items("lock#"))  # noqa: E731
    with while_running(responder, event, struck) as third:
        assert reports(second.invoke(hub))[0]["verdict"] == "InProgress"
    assert third[0]["errorType"] == "ResponseIncomplete"
    table = Table(world)
    for _ in range(2):
        table.pass_time()
        print([(it["finding_id"][-12:], it["verdict"]) for it in reports(responder.invoke(DUE))])
    assert len(world.alerts()) == 1


def test_every_finding_of_an_event_is_marked_once_people_were_told(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(CUSTOM_ACTION, user)
    [one] = event["detail"]["findings"]
    event["detail"]["findings"] = [{**one, "Id": f"{one['Id']}-{n}"} for n in range(2)]
    findings = [world.finding(event, n) for n in range(2)]
    world.fault("sns:Publish", "AuthorizationError", status=403, times=3)
    for _ in range(3):  # Lambda tries twice more.
        assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    table = Table(world)
    table.pass_time()
    responder.invoke(DUE)
    print(len(world.alerts()), [it()["Workflow"]["Status"] for it in findings], table.due())
    assert [it()["Workflow"]["Status"] for it in findings] == ["NOTIFIED"] * 2


def test_what_a_source_updated_while_we_responded_is_acted_on(world):
    """GuardDuty and Security Hub take minutes; our note is from the end of the response."""
    world.deploy()
    user, responder = User(world), world.responder()
    ago = lambda seconds: time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - seconds))  # noqa: E731
    event = world.event(HUB, user)
    [imported] = event["detail"]["findings"]
    imported |= {"UpdatedAt": ago(300), "LastObservedAt": ago(420)}
    finding = world.finding(event)
    world.fault("iam:AttachUserPolicy", "AccessDenied", status=403)
    assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    assert logged(responder)[-1]["verdict"] == "NotContained" and not denied(user)
    # The next import: GuardDuty saw more after the first one, and before our note.
    imported |= {"UpdatedAt": ago(60), "LastObservedAt": ago(90), "Note": json.loads(json.dumps(finding()["Note"], default=str))}
    answer = responder.invoke(event)
    print(imported["Note"], imported["UpdatedAt"], answer)
    assert answer.get("ignored") in (None, [])


# The list of what is due.


def test_what_is_only_observed_now_stands_before_nothing_else_that_is_due(world):
    world.deploy()
    user, other = User(world), User(world, name="bob", groups=())
    unused = world.event(UNUSED, user)
    world.finding(unused)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=2)
    assert world.responder(part="hygiene").invoke(unused)["errorType"] == "ResponseIncomplete"
    table = Table(world)
    waiting = table.item("due#")
    for n in range(50):
        table.client.put_item(TableName=table.name, Item={**waiting, "id": {"S": f"{waiting['id']['S']}{n}"}, "due_at": {"N": "0"}})
    responder = world.responder(PLAYBOOK_MODES="unused-user=observe")
    assert responder.invoke(about(world, EXFILTRATION, other))["errorType"] == "ResponseIncomplete"
    for item in table.items("due#"):
        if item["threat"]["S"] == "compromised-credential":
            table.change(item, "SET due_at = :one", one={"N": "1"})
    for _ in range(3):
        print([(it["playbook"], it["verdict"]) for it in reports(responder.invoke(DUE))])
    alerts = world.alerts()
    assert len(alerts) == 1, "people never learn of the compromise"


def test_a_deferred_finding_is_dropped_after_a_day_also_while_there_is_no_room(world):
    world.deploy(MaxContainmentsPerHour="1,20")
    responder, table = world.responder(), Table(world)
    assert reports(responder.invoke(world.event(EXFILTRATION, User(world))))[0]["verdict"] in SUCCESS
    for name, severity in (("bob", 7), ("carol", 9)):
        event = about(world, EXFILTRATION, User(world, name=name, groups=()))
        event["detail"]["severity"] = severity
        assert reports(responder.invoke(event))[0]["verdict"] == "Deferred"
    old = next(it for it in table.items("due#") if "bob" in it["target"]["S"])
    table.change(old, "SET since = :old", old={"N": str(int(old["since"]["N"]) - 25 * 3_600_000)})
    world.alerts()
    print([(it["principal"]["name"], it["verdict"]) for it in reports(responder.invoke(DUE))])
    assert any("DROPPED" in it["Subject"] for it in world.alerts())


# Whom a name leads to later.


def test_who_takes_a_name_while_others_of_the_event_are_struck_is_left_alone(world):
    """Between the look at the identity and the first full read is the wait for all others of the event."""
    world.deploy(TrustedProducts="product/*/default")
    alice, bob = User(world, groups=()), User(world, name="bob", groups=())
    event = world.event(OVERPRIVILEGED, alice)
    [one] = event["detail"]["findings"]
    other = json.loads(json.dumps(one).replace(alice.id, bob.id).replace("alice", "bob"))
    event["detail"]["findings"] = [one, {**other, "Id": other["Id"] + "-bob"}]
    for n in range(2):
        world.finding(event, n)
    world.fault("iam:GetUser", delay_ms=4_000, after=1, times=1)
    with while_running(world.responder(), event, wrote(world, "iam:UpdateAccessKey")) as answers:
        world.iam.update_user(UserName="alice", NewUserName="alice-renamed")
        namesake = world.iam.create_user(UserName="alice")["User"]
        key = world.iam.create_access_key(UserName="alice")["AccessKey"]["AccessKeyId"]
        world.iam.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    state = world.iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    attached = [it["PolicyName"] for it in world.iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]]
    print(namesake["UserId"], state[0]["Status"], attached, world.iam.list_user_tags(UserName="alice")["Tags"])
    print(answers)
    assert [(it["AccessKeyId"], it["Status"]) for it in state] == [(key, "Active")] and attached == ["ReadOnlyAccess"]


def test_a_restore_is_known_by_every_name_that_a_finding_may_use(world):
    world.deploy()
    user, responder = User(world), world.responder()
    untyped = world.event("security-hub-v2-guardduty-exfiltration-iam-user-anomalous-behavior-name-without-type", user)
    responder.invoke(world.event(EXFILTRATION, user))
    command = {"command": "restore", "account": world.member, "user": "alice", "reason": "a drill", "by": "Dana"}
    assert world.responder(part="restorer").invoke(command)["restore"]["verdict"] == "Restored"
    answer = responder.invoke(untyped)
    print([(it["verdict"], it["reason"]) for it in reports(answer)] if "reports" in answer else answer)
    assert not denied(user), "contained again for behaviour from before the restore"


def test_what_can_not_be_contained_is_told_once(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event("guardduty-exfiltration-iam-user-anomalous-behavior-federated", user)
    verdicts = [[(it["verdict"], it["reason"]) for it in responder.invoke(event).get("reports", [])] for _ in range(3)]
    alerts = [it["Subject"] for it in world.alerts()]
    print(verdicts, alerts)
    assert len(alerts) == 1


def test_whoever_waits_for_room_is_looked_at_while_others_fight(world):
    """Sixteen are held side by side; of a seventeenth nobody knows whether it held."""
    world.deploy(SettleSeconds="3", MaxContainmentsPerHour="1000,1000")
    users = [User(world, name=f"user-{n}", groups=(), policies=()) for n in range(17)]
    event = world.event(CUSTOM_ACTION, users[0])
    [sample] = event["detail"]["findings"]
    text = json.dumps(sample)
    findings = [json.loads(text.replace(users[0].id, it.id).replace("alice", it.name)) for it in users]
    event["detail"]["findings"] = [{**it, "Id": f"{it['Id']}-{n}"} for n, it in enumerate(findings)]
    over = threading.Event()

    def fight():
        while not over.wait(0.2):
            for user in users:
                if denied(user):
                    world.iam.detach_user_policy(UserName=user.name, PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")

    attacker = threading.Thread(target=fight)
    attacker.start()
    responder = world.responder(timeout=40)
    answer = responder.invoke(event)
    over.set()
    attacker.join()
    attached = [it["params"]["UserName"] for it in world.journal() if it["action"] == "iam:AttachUserPolicy"]
    counts = sorted((attached.count(it.name), it.name) for it in users)
    handed = [it for it in world.journal() if it["action"] == "lambda:InvokeFunction"]
    print(counts, len(handed), str(answer)[:600])
    assert counts[0][0] > 1, f"{counts[0][1]} was struck once, undone, and not looked at again"
