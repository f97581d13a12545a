"""A long way to AWS: a proxy that adds a fixed delay to each request and two more to each new connection, and
keeps what was sent and when. It reads whole requests, so that one that comes in two packets is late once."""

import asyncio
import contextlib
import dataclasses
import re
import threading
import time
from urllib.parse import urlparse


# The version of IAM's API, which its requests name.
IAM = "2010-05-08"


@dataclasses.dataclass
class Request:
    action: str
    user: str
    is_iam: bool
    # When it came, and when its answer went back.
    began: float
    ended: float
    status: int
    connection: int


def action_of(head, body):
    """What is asked for, by AWS's three ways to say it; `HEAD` for what only opens a connection."""
    if head.startswith("HEAD "):
        return "HEAD"
    target = re.search(r"(?im)^x-amz-target: *(\S+)", head)
    form = re.search(r"(?:^|&)Action=(\w+)", body)
    return target.group(1).split(".")[-1] if target else form.group(1) if form else " ".join(head.split()[:2])


async def message(reader):
    """The head and the body of one HTTP message; none at the end of the stream."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None, b""
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    if re.search(rb"(?im)^transfer-encoding: *chunked", head):
        body = b""
        while not body.endswith(b"0\r\n\r\n"):
            body += await reader.readuntil(b"\r\n")
        return head, body
    return head, await reader.readexactly(int(length.group(1))) if length else b""


class Proxy:
    def __init__(self, url):
        address = urlparse(url)
        self.target, self.delay = (address.hostname, address.port), 0.0
        self.requests, self.connections, self._tasks = [], 0, set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256, limit=2**21))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def begin(self):
        """From now on, nothing was sent."""
        self.requests, self.connections = [], 0

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        number = self.connections
        # Cancelled when the proxy is closed.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # TCP's and TLS's greetings.
            await asyncio.sleep(2 * self.delay)
            upstream, to_upstream = await asyncio.open_connection(*self.target, limit=2**21)
            try:
                while True:
                    head, body = await self._next(reader, upstream)
                    if head is None:
                        break
                    began = time.time()
                    await asyncio.sleep(self.delay)
                    to_upstream.write(head + body)
                    answer_head, answer_body = await message(upstream)
                    if answer_head is None:
                        break
                    text, form = head.decode("latin-1"), body.decode("latin-1")
                    user = re.search(r"(?:^|&)UserName=([^&]+)", form)
                    status = int(answer_head.split()[1])
                    if text.startswith("HEAD "):
                        answer_body = b""
                    name, is_iam = user.group(1) if user else "", f"Version={IAM}" in form
                    self.requests.append(Request(action_of(text, form), name, is_iam, began, time.time(), status, number))
                    writer.write(answer_head + answer_body)
                    await writer.drain()
            finally:
                to_upstream.close()
        writer.close()
        self._tasks.discard(asyncio.current_task())

    @staticmethod
    async def _next(reader, upstream):
        """The next request; none where the other side gave the idle connection up, which is for the client to see."""
        given_up, request = asyncio.ensure_future(upstream.read(1)), asyncio.ensure_future(message(reader))
        try:
            done, _ = await asyncio.wait({given_up, request}, return_when=asyncio.FIRST_COMPLETED)
            return (None, b"") if given_up in done else request.result()
        finally:
            given_up.cancel()
            request.cancel()

    def close(self):
        async def end():
            self._server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)


def depths(requests):
    """Of each request, one more than the deepest that had been answered before it came."""
    found = []
    for request in sorted(requests, key=lambda it: it.began):
        earlier = [depth for other, depth in found if other.ended <= request.began]
        found.append((request, 1 + max(earlier, default=0)))
    return found
