"""The first report after a containment is there within a minute, however much CloudTrail has."""

import datetime as dt
import re
import time

import pytest

from .harness.intrusion import happened
from .harness.victims import User
from .test_report import EXFILTRATION

# Each of more events than two calls a second of fifty each can read in the forty seconds that there are.
BUSY = ("us-east-1", "eu-west-1", "ap-south-1")
EVENTS = 4_500


def first_alert(world, until):
    while time.monotonic() < until:
        told = [it for it in world.alerts() if it["Subject"].startswith("Evidence: ")]
        if told:
            return told[0]
        time.sleep(0.3)
    raise AssertionError("no report was told")


@pytest.mark.seconds(45)
def test_people_hear_of_the_first_report_within_a_minute_of_the_containment_and_of_what_it_did_not_look_at(world):
    world.deploy(Evidence="true")
    user = User(world)
    user.session().create_user(UserName="mallory")
    for region in BUSY:
        happened(world, user, "CreateTags", count=EVENTS, source="ec2.amazonaws.com", is_read=False, region=region)
    world.connected(part="investigator")
    [contained] = world.responder().invoke(world.event(EXFILTRATION, user))["reports"]
    assert contained["verdict"] in ("Contained", "SuspectsOpen"), contained
    alert = first_alert(world, time.monotonic() + 70)
    held = dt.datetime.fromisoformat(re.search(r"read at (\S+?Z)", alert["Message"])[1])
    took = (dt.datetime.fromisoformat(alert["Timestamp"]) - held).total_seconds()
    # It used the time that it has, and no more.
    assert 35 < took < 60, took
    lines = alert["Message"].splitlines()
    assert "not everything that it did could be looked up" in lines[1], lines
    cut = re.search(r"CloudTrail not read to the end in ([^;]*);", lines[4])
    assert cut and set(BUSY) <= set(cut[1].split(", ")), lines
    # What was planted before all of that is found by what was asked of IAM alone.
    assert lines[4].startswith("Left behind: 1 suspects"), lines[4]
    # All the time was used, in each of the regions: two calls a second are answered, and no more.
    looks = [it for it in world.journal() if it["action"] == "cloudtrail:LookupEvents" and it["status"] == 200]
    for region in BUSY:
        answered = [it for it in looks if it["region"] == region]
        assert 30 < len(answered) <= 2 * 42, (region, len(answered))
