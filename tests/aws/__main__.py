"""python -m tests.aws [--port N] [--listen ADDRESS]: serves the simulated AWS until it is stopped, on the
loopback, and on the given addresses too: a container reaches those of its bridge."""

import os

os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
os.environ["VALIDATE_LAMBDA_S3"] = "false"  # The function's code runs elsewhere; no bucket holds it.

import argparse
import signal
import sys
import threading

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
    parser.add_argument("--listen", action="append", default=[])
    arguments = parser.parse_args()
    # moto's own web server closes every connection after one answer; no client could keep one.
    # A slow call keeps its thread until it is through: enough of them for the tests of slowness.
    from cheroot.wsgi import Server

    served, port = application(), arguments.port
    servers = []
    for address in ["127.0.0.1", *arguments.listen]:
        servers.append(Server((address, port), served, numthreads=160, request_queue_size=256))
        servers[-1].nodelay = True
        # Its default keeps ten open, of all clients together: whoever counts connections would count those.
        servers[-1].keep_alive_conn_limit = None
        servers[-1].prepare()
        port = servers[-1].bind_addr[1]
    os.environ["MOTO_PORT"] = str(port)  # Where state machines call functions.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"simulated AWS on http://127.0.0.1:{port}", flush=True)
    for server in servers[1:]:
        threading.Thread(target=server.serve, daemon=True).start()
    try:
        servers[0].serve()
    except KeyboardInterrupt:
        pass
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    main()
