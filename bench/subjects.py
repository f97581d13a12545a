"""Who is compared: how each is started under the runtime emulator, with which rights, and how large its package is."""

import json
import pathlib
import tempfile
import zipfile

from tests.harness.processes import ROOT, Emulator

BENCH = ROOT / "bench"
RELEASE = ROOT / "target" / "release" / "iam-responder"
BASELINE = BENCH / ".venv" / "bin" / "python"
CUSTODIAN = BENCH / "custodian" / ".venv" / "bin" / "python"
TIMEOUT = 300
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]}
# What a function of Python's is made of, beside its own files. Installers stay out of a package.
LEFT_OUT = ("pip", "setuptools", "wheel", "_distutils_hack", "pkg_resources", "distutils-precedence.pth")


class Responder:
    """The release binary, with the role and the variables of the template."""

    name, words = "iam-responder", "iam-responder"
    updates_finding = True

    def __init__(self, world, binary=RELEASE, **changes):
        self.world, self.binary, self.changes = world, binary, changes

    def start(self, url):
        function, variables, credentials = self.world.function()
        environment = {**variables, **credentials, "AWS_REGION": self.world.region, "ENDPOINT_URL": url, **self.changes}
        environment["AWS_LAMBDA_FUNCTION_NAME"] = function["FunctionName"]
        return Emulator(environment, TIMEOUT, binary=self.binary, level="info")

    def package(self):
        return {"zip": zipped([(self.binary, "bootstrap")])}


class Baseline:
    """`bench/baseline`, under AWS's own runtime client, with the same role, external ID and table."""

    name, words = "baseline", "boto3 by hand"
    updates_finding = True

    def __init__(self, world):
        self.world = world

    def start(self, url):
        _, variables, credentials = self.world.function()
        kept = ("EXTERNAL_ID", "REMEDIATION_ROLE_NAME", "LEDGER_TABLE", "ALERT_TOPIC_ARN")
        environment = {**{name: variables.get(name, "SecurityRemediationRole") for name in kept}, **python(self.world, url), **credentials}
        return Emulator(environment, TIMEOUT, BASELINE, ("-m", "awslambdaric", "responder.handler"), BENCH / "baseline", "info")

    def package(self):
        own = [(BENCH / "baseline" / "responder.py", "responder.py")]
        return {"own": zipped(own), "zip": zipped(own + packages(BASELINE))}


class Custodian:
    """Cloud Custodian's own handler with `bench/custodian/policy.json`, inside the member account: there it needs to
    take no other role."""

    name, words = "custodian", "Cloud Custodian"
    updates_finding = False

    def __init__(self, world):
        self.world = world
        iam = world.iam
        role = iam.create_role(RoleName="custodian", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        world.identify(role="custodian", created="2020-01-01T00:00:00")
        iam.attach_role_policy(RoleName="custodian", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        self.credentials = world.control("role-credentials", {"role_arn": role, "region": world.region})
        self.topic = world.client("sns").create_topic(Name="custodian")["TopicArn"]
        world.client("securityhub").enable_security_hub()
        self.folder = tempfile.TemporaryDirectory()
        self.files = pathlib.Path(self.folder.name)
        policy = (BENCH / "custodian" / "policy.json").read_text().replace("ALERT_TOPIC_ARN", self.topic)
        options = {"account_id": world.member, "region": world.region, "output_dir": "/tmp", "metrics_enabled": False}
        config = {"execution-options": options, **json.loads(policy)}
        (self.files / "config.json").write_text(json.dumps(config))
        (self.files / "custodian_policy.py").write_bytes((BENCH / "custodian" / "custodian_policy.py").read_bytes())

    def start(self, url):
        environment = {**python(self.world, url), **self.credentials}
        return Emulator(environment, TIMEOUT, CUSTODIAN, ("-m", "awslambdaric", "custodian_policy.run"), self.files, "info")

    def package(self):
        return {"zip": zipped(packages(CUSTODIAN))}


def python(world, url):
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": world.region,
        "AWS_DEFAULT_REGION": world.region,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
    }


def packages(interpreter):
    [site] = (interpreter.parent.parent / "lib").glob("python3*/site-packages")
    files = [it for it in site.rglob("*") if it.is_file() and "__pycache__" not in it.parts]
    return [(it, it.relative_to(site)) for it in files if it.relative_to(site).parts[0].split("-")[0] not in LEFT_OUT]


def zipped(files):
    """How many bytes these files are in a zip, as Lambda takes them."""
    with tempfile.TemporaryFile() as packed:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for path, name in files:
                archive.write(path, name)
        return packed.tell()
