"""What happens to an identity while the function is at it, and an attacker who undoes it.

The journal of the simulated AWS has every call with its time, so that what is shown is what was done, by
whom, and not what anybody says of it.
"""

import threading
import time

from botocore.exceptions import ClientError

from .terminal import live, paint, settled

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
READS = ("iam:Get", "iam:List", "iam:Simulate")
# One line for what somebody did at about the same time.
TOGETHER = 0.4
WORDS = {
    ("iam:AttachUserPolicy", None): "attaches",
    ("iam:DetachUserPolicy", None): "detaches",
    ("iam:UpdateAccessKey", "Active"): "activates a key",
    ("iam:UpdateAccessKey", "Inactive"): "deactivates a key",
    ("iam:TagUser", None): "tags",
    ("iam:PutUserPermissionsBoundary", None): "sets the boundary",
    ("iam:DeleteUserPermissionsBoundary", None): "deletes the boundary",
}


class Fight(threading.Thread):
    """Somebody with the user's keys: detaches the deny and activates the keys, twice a second."""

    def __init__(self, world, user, lag, every=0.5):
        super().__init__(daemon=True)
        self.user, self.every = user, every
        self.sessions = [user.session(key=number) for number in range(len(user.keys))]
        self.over = threading.Event()
        world.control("lag", {"account": world.member, "low": lag[0], "high": lag[1]})

    def run(self):
        name = self.user.name
        while not self.over.wait(self.every):
            for iam in self.sessions:
                denied = self.attempt(iam.detach_user_policy, UserName=name, PolicyArn=DENY_ALL)
                for key in self.user.keys:
                    self.attempt(iam.update_access_key, UserName=name, AccessKeyId=key["AccessKeyId"], Status="Active")
                if denied:
                    break

    @staticmethod
    def attempt(call, **parameters):
        try:
            call(**parameters)
            return True
        except ClientError:
            return False


class Watch:
    """Looks at the journal again and again, and tells of it."""

    def __init__(self, world, settle, told):
        self.world, self.settle, self.told = world, settle, told
        self.began, self.last = time.time(), max((call["seq"] for call in world.journal()), default=0)
        self.first = self.changed = None
        self.undone = self.refused = 0
        # What the attacker did, and what the responder answered.
        self.theirs, self.ours = [], []

    def look(self):
        calls = [call for call in self.world.journal() if call["seq"] > self.last]
        self.last = max((call["seq"] for call in calls), default=self.last)
        for call in calls:
            if call["action"].startswith("iam:") and not call["action"].startswith(READS):
                self.change(call)
        if self.ours and time.time() - self.changed > TOGETHER:
            self.tell()
        self.show()

    def change(self, call):
        is_ours = "/Security" in call["principal"]
        if call["status"] != 200:
            self.refused += not is_ours and "NoSuchEntity" not in (call["error"] or "")
            return
        if is_ours and self.first is None:
            self.first = call["ended"]
        if not is_ours:
            if self.first is None:  # There was nothing to undo yet.
                return
            if self.ours:
                self.tell()
            self.undone += not self.theirs
        (self.ours if is_ours else self.theirs).append(call)
        self.changed = call["ended"]

    def tell(self):
        if self.told and self.ours:
            at = (self.theirs or self.ours)[0]["began"] - self.began
            live("")
            if self.theirs:
                after = max(self.ours[0]["ended"] - self.theirs[0]["ended"], 0)
                line = paint(f"attacker {done(self.theirs)}", "red") + paint(f"; put back {after:.1f} s later", "green")
            else:
                line = paint(f"responder {done(self.ours)}", "green")
            settled(f"  {at:5.1f} s  {line}")
        self.theirs, self.ours = [], []

    def show(self):
        now = time.time() - self.began
        if self.first is None:
            live(f"  {now:5.1f} s")
        else:
            refused = f", attacker refused {self.refused} times" if self.told else ""
            live(f"  {now:5.1f} s  has held {time.time() - self.changed:.0f} s of {self.settle:.0f} s, undone {self.undone} times{refused}")

    def last_word(self):
        self.tell()
        live("")
        if self.first is not None:
            refused = f", attacker refused {self.refused} times" if self.told else ""
            settled(f"   In place {self.first - self.began:.1f} s after the event, undone {self.undone} times{refused}.")


def done(calls):
    """In words, each kind once."""
    counted = {}
    for call in calls:
        words = in_words(call)
        counted[words] = counted.get(words, 0) + 1
    return ", ".join(words if count == 1 else words.replace("a key", f"{count} keys") for words, count in counted.items())


def in_words(call):
    parameters = call.get("params") or {}
    policy = (parameters.get("PolicyArn") or parameters.get("PolicyName") or "").rsplit("/", 1)[-1]
    words = WORDS.get((call["action"], parameters.get("Status"))) or WORDS.get((call["action"], None))
    return f"{words or call['action']} {policy}".strip()
