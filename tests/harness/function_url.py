"""A Lambda Function URL on loopback: each request is an invocation, as Lambda makes it of one.

https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

import base64
import contextlib
import http.server
import itertools
import threading
import time


class FunctionUrl:
    """Serves functions that take one invocation at a time; a request waits for the first that is free."""

    def __init__(self, source="203.0.113.9"):
        self.free, self.lock = [], threading.Condition()
        self.source = source
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, *emulators):
        with self.lock:
            self.free.extend(emulators)
            self.lock.notify_all()
        return self

    @contextlib.contextmanager
    def emulator(self):
        with self.lock:
            self.lock.wait_for(lambda: self.free)
            emulator = self.free.pop()
        try:
            yield emulator
        finally:
            with self.lock:
                self.free.append(emulator)
                self.lock.notify()

    def invoke(self, method, path, headers, body=b"", source=None):
        """The function's answer; an error is Lambda's bare 502."""
        with self.emulator() as emulator:
            answer = emulator.invoke(event(method, path, headers, body, source or self.source))
        return answer if "statusCode" in answer else {"statusCode": 502, "headers": {}, "body": "Internal Server Error"}

    def _handler(self):
        url = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {}
                for name, value in self.headers.items():
                    headers[name.lower()] = f"{headers[name.lower()]},{value}" if name.lower() in headers else value
                answer = url.invoke(self.command, self.path, headers, body)
                data = (answer.get("body") or "").encode()
                self.send_response(answer["statusCode"])
                cookies = [("set-cookie", it) for it in answer.get("cookies") or []]
                for name, value in itertools.chain(answer["headers"].items(), cookies):
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer

            def do_HEAD(self):
                self.send_error(405)

            def log_message(self, *_):
                pass

        return Handler

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def event(method, target, headers, body=b"", source="203.0.113.9"):
    """What Lambda hands to the function."""
    path, _, query = target.partition("?")
    host = headers.get("host", "abc.lambda-url.us-east-1.on.aws")
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": host, **headers},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abc",
            "authentication": None,
            "domainName": host,
            "domainPrefix": "abc",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": source, "userAgent": headers.get("user-agent", "")},
            "requestId": "00000000-0000-4000-8000-000000000000",
            "routeKey": "$default",
            "stage": "$default",
            "time": "29/Nov/2026:01:00:00 +0000",
            "timeEpoch": int(time.time() * 1000),
        },
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
