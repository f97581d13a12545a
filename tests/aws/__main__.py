"""python -m tests.aws [--port N]: serves the simulated AWS on loopback until it is stopped."""

import os

os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
os.environ["VALIDATE_LAMBDA_S3"] = "false"  # The function's code runs elsewhere; no bucket holds it.

import argparse
import signal
import sys

# moto answers each service on first use after a stall; these are what a response touches.
WARM = ("iam", "sts", "ssm", "ssmincidents", "securityhub", "sns", "sqs", "dynamodb")


def application():
    from . import control, dispatch, operations

    dispatch.install()
    operations.install()
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    moto = DomainDispatcherApplication(create_backend_app)
    for service in WARM:
        moto.app_instances[service] = create_backend_app(service)
    return control.Application(moto)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    # moto's own web server closes every connection after one answer; no client could keep one.
    # A slow call keeps its thread until it is through: enough of them for the tests of slowness.
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", arguments.port), application(), numthreads=160, request_queue_size=256)
    server.nodelay = True
    server.prepare()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"simulated AWS on http://127.0.0.1:{server.bind_addr[1]}", flush=True)
    try:
        server.serve()
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()


if __name__ == "__main__":
    main()
