"""Of one event: a group says who is looked at together, never who somebody is. Each finding is answered for the
identity that it means itself, and nobody is left out or unwatched for what the others do."""

import copy
import json
import threading
import time

from .harness.victims import LONG_AGO, User, stripped
from .test_lease import while_running, wrote

HUB = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"
CUSTOM_ACTION = "security-hub-custom-action-contain-identity"
OVERPRIVILEGED = "security-hub-simulation-administrator-access"
SUCCESS = ("Contained", "SuspectsOpen")


def verdicts(answer):
    return {it["finding_id"]: it["verdict"] for it in answer["reports"]}


def without_id(finding):
    """As products report it that know a name only."""
    for resource in finding["Resources"]:
        for details in resource["Details"].values():
            details.pop("UserId", None)
            details.pop("PrincipalId", None)
    return finding


def of_former(world, user):
    """A finding about whoever bore the name before."""
    event = world.event(f"{HUB}-arn-of-user", user)
    [finding] = [without_id(it) for it in event["detail"]["findings"]]
    return finding | {"Id": finding["Id"] + "-former", "LastObservedAt": "2019-05-01T00:00:00.000Z"}


def about_each(world, users):
    """A custom action about each of them."""
    event = world.event(CUSTOM_ACTION, users[0])
    [sample] = event["detail"]["findings"]
    text = json.dumps(sample)
    findings = [json.loads(text.replace(users[0].id, it.id).replace("alice", it.name)) for it in users]
    event["detail"]["findings"] = [{**it, "Id": f"{it['Id']}-{n}"} for n, it in enumerate(findings)]
    return event


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
    found = verdicts(world.responder().invoke(event))
    assert found[former["Id"]] == "Refused" and found[real["Id"]] in SUCCESS
    assert user.is_denied() and not user.key_works()


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
    found = verdicts(world.responder().invoke(event))
    assert found[gone["Id"]] == "Refused" and found[real["Id"]] in SUCCESS
    assert user.is_denied() and not user.key_works()


def test_what_a_restore_knew_does_not_silence_what_happened_since_in_the_same_event(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(HUB, user)
    finding = event["detail"]["findings"][0]
    world.finding(event)
    assert responder.invoke(event)["reports"][0]["verdict"] in SUCCESS
    command = world.restore_command()
    assert world.responder(part="restorer").invoke(command)["restore"]["verdict"] == "Restored"
    since = {**copy.deepcopy(finding), "Id": finding["Id"] + "0", "LastObservedAt": "2099-01-01T00:00:00.000Z"}
    old = {**copy.deepcopy(finding), "Severity": {"Label": "CRITICAL"}}
    event["detail"]["findings"] = [old, since]
    world.finding(event, 1)
    found = verdicts(responder.invoke(event))
    assert found[old["Id"]] == "Refused" and found[since["Id"]] in SUCCESS and user.is_denied()


def test_one_finding_lends_no_other_its_id(world):
    """Alone, the compromise is refused: it is about a user of that name who is gone."""
    world.deploy(TrustedProducts="product/aws/*,product/*/default")
    user = User(world)
    state = world.event(OVERPRIVILEGED, user)
    world.finding(state)
    former = of_former(world, user)
    state["detail"]["findings"].append(former)
    world.finding(state, 1)
    found = verdicts(world.responder().invoke(state))
    assert found.pop(former["Id"]) == "Refused" and list(found.values())[0] in SUCCESS
    assert not user.is_denied(), "the namesake is quarantined for what the former user did"
    assert user.state()["policies"] == []


def test_a_finding_about_a_former_namesake_does_not_get_another_ones_verdict(world):
    world.deploy()
    user = User(world)
    event = world.event(HUB, user)
    former = of_former(world, user)
    event["detail"]["findings"].append(former)
    world.finding(event)
    marked = world.finding(event, 1)
    found = verdicts(world.responder().invoke(event))
    assert found[former["Id"]] == "Refused"
    assert marked()["Workflow"]["Status"] == "NEW"
    assert len(world.alerts()) == 2


def test_a_playbook_that_only_observes_does_not_silence_an_enforced_one_of_the_same_event(world):
    world.deploy(TrustedProducts="product/aws/*,product/*/default", PlaybookModes="compromised-credential=observe")
    user, responder = User(world), world.responder()
    event, other = world.event(HUB, user), world.event(OVERPRIVILEGED, user)
    event["detail"]["findings"] += other["detail"]["findings"]
    for n in range(2):
        world.finding(event, n)
    assert sorted(verdicts(responder.invoke(event)).values()) == ["Contained", "Observed"]
    assert "AdministratorAccess" not in user.state()["policies"]


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
        world.iam.create_user(UserName="alice")
        key = world.iam.create_access_key(UserName="alice")["AccessKey"]["AccessKeyId"]
        world.iam.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    state = world.iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    attached = [it["PolicyName"] for it in world.iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]]
    assert world.iam.list_user_tags(UserName="alice")["Tags"] == []
    [report] = [it for it in answers[0]["reports"] if it["principal"]["id"] == alice.id]
    assert report["principal"]["name"] == "alice-renamed" and report["verdict"] == "Contained", report
    assert [(it["AccessKeyId"], it["Status"]) for it in state] == [(key, "Active")] and attached == ["ReadOnlyAccess"]


def test_identities_that_can_not_be_struck_hold_no_other_up_for_long(world):
    """An attacker who calls IAM in a loop throttles an account."""
    elsewhere = str(int(world.member) + 1)
    world.deploy(members=(elsewhere,))
    users = [User(world, name=f"user-{n}", groups=(), policies=()) for n in range(8)]
    there = world.client("iam", elsewhere)
    created = there.create_user(UserName="victim")["User"]
    world.identify(account=elsewhere, user="victim", created=LONG_AGO)
    event = about_each(world, users)
    text = json.dumps(event["detail"]["findings"][0]).replace(users[0].id, created["UserId"])
    text = text.replace("user-0", "victim").replace(world.member, elsewhere)
    event["detail"]["findings"].append({**json.loads(text), "Id": "arn:aws:securityhub:elsewhere"})
    world.control("throttle", {"account": world.member, "per_second": 0})
    responder = world.responder(timeout=30)
    attached = lambda: [it["PolicyName"] for it in there.list_attached_user_policies(UserName="victim")["AttachedPolicies"]]  # noqa: E731
    began = time.monotonic()
    thread = threading.Thread(target=responder.invoke, args=[event], daemon=True)
    thread.start()
    while time.monotonic() - began < 20 and "AWSDenyAll" not in attached():
        time.sleep(0.2)
    took = time.monotonic() - began
    world.control("throttle", {"account": world.member, "per_second": 1_000})
    thread.join(60)
    assert took < 12, took


def test_whoever_waits_for_room_is_looked_at_while_others_fight(world):
    """Sixteen are held side by side; of a seventeenth nobody knows whether it held."""
    world.deploy(SettleSeconds="3", MaxContainmentsPerHour="1000,1000")
    users = [User(world, name=f"user-{n}", groups=(), policies=()) for n in range(17)]
    event = about_each(world, users)
    responder = world.responder(timeout=25)
    with stripped(*users, every=0.2):
        responder.invoke(event)
    looks = [(it["params"]["UserName"], it["began"]) for it in world.journal() if it["action"] == "iam:ListAttachedUserPolicies"]

    def gap(name):
        times = sorted(began for user, began in looks if user == name)
        return max(later - earlier for earlier, later in zip(times, times[1:]))

    gaps = sorted((gap(it.name), it.name) for it in users)
    # On a busy machine everybody is looked at less often.
    assert gaps[-1][0] < max(3, 3 * gaps[len(gaps) // 2][0]), f"{gaps[-1][1]} was struck, undone, and not looked at for {gaps[-1][0]:.0f} s"


def test_who_takes_a_name_before_the_last_look_is_left_alone(world):
    world.deploy()
    user = User(world)
    # The snapshot is saved last of what the response writes before its last look.
    world.fault("dynamodb:UpdateItem", delay_ms=1_100, after=5, times=1)
    with while_running(world.responder(), world.event("guardduty-exfiltration-iam-user-anomalous-behavior", user), wrote(world, "iam:TagUser")):
        world.iam.update_user(UserName="alice", NewUserName="alice-renamed")
        world.iam.create_user(UserName="alice")
        world.iam.create_access_key(UserName="alice")
    [key] = world.iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    assert key["Status"] == "Active"
