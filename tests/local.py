"""A world to send events to: the simulated AWS with both stacks deployed, until Ctrl-C.

    make local [PORT=5001] [SETTLE=5] [LISTEN=address] [NO_SAM=1]

Writes what clients need to local/ and prints the commands for each of the three ways in. Whatever is done
to an identity meanwhile, by whom and which way ever, is a line here.
"""

from .harness import terminal

terminal.ends_quietly()

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import platform  # noqa: E402
import socket  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

from .harness import containers  # noqa: E402
from .harness.plant import MEMBER, SECURITY, SIMULATION_PROFILE  # noqa: E402
from .harness.processes import ROOT, simulated_aws  # noqa: E402
from .harness.terminal import paint, say  # noqa: E402
from .harness.victims import Role, User  # noqa: E402
from .harness.world import World  # noqa: E402

LOCAL = ROOT / "local"
EXFILTRATION = "events/guardduty-exfiltration-iam-user-anomalous-behavior.json"
PUT = "events/put-events/compromised-user.json"
IMPORT = "events/batch-import-findings/iam-remediation-test-001.json"

DRILL_USER = json.loads((ROOT / "events" / "drill.json").read_text())["detail"]["user"]
PARTS = {"Responder": "responder", "Hygiene": "hygiene", "Restorer": "restorer", "Driller": "driller"}


def main():
    terminal.unwinds()
    parser = argparse.ArgumentParser(prog="make local")
    parser.add_argument("--port", type=int, default=5001)
    parser.add_argument("--settle", default="5", help="seconds that containment must be seen to hold")
    parser.add_argument("--listen", default="", help="another address to listen on, beside the loopback")
    parser.add_argument("--directory", type=lambda it: ROOT / it, default=LOCAL)
    parser.add_argument("--sam", action="store_true", help="with Docker, build for SAM and invoke it once")
    arguments = parser.parse_args()
    host, listen = containers.way_to_the_host(arguments.listen)
    for address in ["127.0.0.1", *listen]:
        must_be_free(address, arguments.port)
    with simulated_aws(arguments.port, listen) as url:
        world = World(url, member=MEMBER, security=SECURITY)
        try:
            functions = furnish(world, arguments.settle)
            write(arguments.directory, world, functions, f"http://{host}:{arguments.port}")
            explain(url, arguments)
            if arguments.sam and containers.docker_runs():
                run_sam(arguments.directory)
            follow(world)
        finally:
            world.close()


def must_be_free(address, port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as problem:
            sys.exit(f"Can't listen on {address}:{port}: {problem.strerror}. Choose another port: make local PORT=5002")


def furnish(world, settle):
    """Both stacks, whom the samples name, and the functions behind the rules; the functions by their names
    in the template."""
    world.deploy(response_plan=True, rotation=True, SettleSeconds=settle, DrillAccount=MEMBER, **SIMULATION_PROFILE)
    world.client("securityhub").enable_security_hub()
    world.control("hub-administrator", {"account": MEMBER, "administrator": SECURITY})
    User(world, name="alice", id="AIDACKCEVSQ6C2EXAMPLE", key="AKIAIOSFODNN7EXAMPLE")
    User(world, name="bob", id="AIDABOBBOBBOBBOBBOB22", groups=())
    User(world, name="backdoor", id="AIDABACKDOOR22EXAMPLE", groups=())
    User(world, name=DRILL_USER, path="/iam-responder-drill/", id="AIDADRILL2USER2EXAMPL", policies=["IAMReadOnlyAccess"], groups=())
    Role(world, name="app", id="AROADBQP57FF2AEXAMPLE")
    # CloudTrail tells of what anybody does but the administrator of the simulated AWS.
    Role(world, name="developer")
    # Before the functions listen, and what waits for one of them is taken away: only then is nothing done about it.
    for sample in sorted((ROOT / "events").glob("security-hub-[!v]*.json")):
        event = json.loads(sample.read_text())
        for number in range(len(event["detail"]["findings"])):
            world.finding(event, number)
    sqs = world.client("sqs", SECURITY)
    for url in sqs.list_queues()["QueueUrls"]:
        sqs.purge_queue(QueueUrl=url)
    return {name: world.connected(part=part) for name, part in PARTS.items()}


def write(directory, world, functions, endpoint):
    """For `sam local … --env-vars` the functions' variables, and for every client profiles to be somebody."""
    directory.mkdir(exist_ok=True)
    variables = {name: {**it.variables, "ENDPOINT_URL": endpoint} for name, it in functions.items()}
    (directory / "env.json").write_text(json.dumps(variables, indent=2) + "\n")
    profiles = {name.lower(): it.credentials for name, it in functions.items()}
    profiles |= {"member": administrator(MEMBER), "security": administrator(SECURITY)}
    profiles["alice"] = key_of(world, "alice")
    profiles["developer"] = session_of(world, "developer")
    credentials, config = [], []
    for name, fields in profiles.items():
        credentials += [f"[{name}]", *(f"{key.lower()} = {value}" for key, value in fields.items()), ""]
        config += [f"[profile {name}]", "region = us-east-1", ""]
    (directory / "credentials").write_text("\n".join(credentials))
    (directory / "config").write_text("\n".join(config))
    (directory / "env.sh").write_text(
        "# For the shell that talks to `make local`: no AWS account of yours is reachable from it.\n"
        f"export AWS_SHARED_CREDENTIALS_FILE='{directory}/credentials' AWS_CONFIG_FILE='{directory}/config'\n"
        "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN\n"
        f"export AWS_ENDPOINT_URL='{world.url}' AWS_PROFILE=security SAM_CLI_TELEMETRY=0 AWS_PAGER=\n"
        f"export FUNCTION={functions['Responder'].name} RESTORER={functions['Restorer'].name}\n"
        f"export PATH='{ROOT}/.venv/bin':\"$PATH\"\n"
    )


def administrator(account):
    return {"AWS_ACCESS_KEY_ID": f"SIMADMIN{account}", "AWS_SECRET_ACCESS_KEY": "any"}


def key_of(world, name):
    """Another key of the user, as a thief has it."""
    keys = world.iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    world.iam.delete_access_key(UserName=name, AccessKeyId=keys[-1]["AccessKeyId"])
    key = world.iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def session_of(world, role):
    arn = f"arn:aws:iam::{world.member}:role/{role}"
    session = world.client("sts").assume_role(RoleArn=arn, RoleSessionName="terminal")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }


def architecture():
    return "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"


def sam(verb, directory, *more):
    """The whole command, for the machine's own architecture."""
    name = directory.relative_to(ROOT) if directory.is_relative_to(ROOT) else directory
    return " ".join(["sam local", verb, *more, f"--env-vars {name}/env.json", f"--parameter-overrides Architecture={architecture()}"])


def explain(url, arguments):
    name = arguments.directory.relative_to(ROOT) if arguments.directory.is_relative_to(ROOT) else arguments.directory
    at = f"--endpoint-url {url}"
    say(paint("The simulated AWS runs until Ctrl-C, with both stacks: security account", "bold") + f" {SECURITY}, " + paint("member", "bold") + f" {MEMBER}.")
    say(f"Users alice and bob and role app can be contained. Containment must hold for {arguments.settle} s.\n")
    for title, commands in (
        ("In a second terminal, first:", [f". {name}/env.sh"]),
        (
            "How alice stands (her key works, and what she has):",
            [f"aws iam list-users {at} --profile alice --query 'Users[].UserName'", f"aws iam list-access-keys {at} --profile member --user-name alice"],
        ),
        ("1. EventBridge, by the template's own rules (no Docker):", [f'aws events put-events {at} --entries "$(events/fresh {PUT})"']),
        (
            "2. sam local invoke (Docker; `make sam` builds the function for it, minutes at first):",
            [
                "make sam",
                sam("invoke Responder", arguments.directory, f"-e {EXFILTRATION}", "--profile responder"),
                sam("invoke Restorer", arguments.directory, "-e events/command-restore-user.json", "--profile restorer"),
                sam("start-lambda", arguments.directory, "--profile responder"),
                f"aws lambda invoke --endpoint-url http://127.0.0.1:3001 --function-name Responder --payload fileb://{EXFILTRATION} /dev/stdout",
            ],
        ),
        (
            "3. aws lambda invoke (no Docker), and what else starts it:",
            [
                f"aws lambda invoke {at} --function-name $FUNCTION --payload fileb://{EXFILTRATION} /dev/stdout",
                f"aws lambda invoke {at} --function-name $RESTORER --payload fileb://events/command-restore-user.json /dev/stdout",
                f'aws securityhub batch-import-findings {at} --profile member --findings "$(events/fresh {IMPORT})"',
                f"aws iam create-user {at} --profile developer --user-name service-jmokoe",
            ],
        ),
    ):
        say(paint(title, "bold"))
        for command in commands:
            say(f"  {command}")
    say(f"\nThe whole of a rehearsal is docs/rehearse.sh. Without the rules, `--entries file://{PUT}` is the sample as it is.\n")


def run_sam(directory):
    """Once, as printed."""
    environment = {**os.environ, "AWS_SHARED_CREDENTIALS_FILE": f"{directory}/credentials", "AWS_CONFIG_FILE": f"{directory}/config"}
    environment["PATH"] = f"{ROOT}/.venv/bin:{environment['PATH']}"
    for command in ("make --no-print-directory sam", sam("invoke Responder", directory, f"-e {EXFILTRATION}", "--profile responder")):
        say(paint(f"$ {command}", "bold"))
        if subprocess.run(command, shell=True, cwd=ROOT, env=environment).returncode:
            say(paint("It failed; what it printed is above. The world goes on.", "red"))
            return
    say()


def follow(world):
    """Tells of every change to an identity."""
    last = max((call["seq"] for call in world.journal()), default=0)
    while True:
        time.sleep(0.5)
        calls = [call for call in world.journal() if call["seq"] > last]
        last = max((call["seq"] for call in calls), default=last)
        for call in calls:
            if call["action"].startswith("iam:") and not call["action"].startswith(("iam:Get", "iam:List")):
                told(call)


def told(call):
    parameters = call.get("params") or {}
    what = parameters.get("UserName") or parameters.get("RoleName") or parameters.get("GroupName") or ""
    detail = [value.rsplit("/", 1)[-1] for key, value in parameters.items() if key in ("PolicyArn", "AccessKeyId", "Status", "PolicyName")]
    outcome = "" if call["status"] == 200 else paint(f"  {call['decision']}", "red")
    who = (call["principal"] or "?").split(":", 5)[-1].removeprefix("assumed-role/").split("/")
    clock = time.strftime("%H:%M:%S", time.localtime(call["began"]))
    who = who[-1] if who[0] == "user" else who[0]
    say(f"{paint(clock, 'grey')}  {who:<24} {call['action']:<24} {what} {' '.join(detail)}{outcome}")


if __name__ == "__main__":
    main()
