"""A TCP proxy in front of the simulated AWS: counts connections, takes its time, and breaks those that
are idle."""

import contextlib
import socket
import threading
import time


class Proxy:
    def __init__(self, target, delay=0.0):
        """`delay`: seconds that a new connection and each request take, as over a long way."""
        self.target, self.delay = target, delay
        # When each was opened, and everything that was sent on it.
        self.opened, self.sent = [], []
        self._pairs, self._dropped = [], set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.opened.append(time.time())
                self.sent.append(b"")
                threading.Thread(target=self._connect, args=(client, len(self.sent) - 1), daemon=True).start()

    def _connect(self, client, number):
        # TCP's and TLS's greetings.
        time.sleep(2 * self.delay)
        server = socket.create_connection(self.target)
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (client, server)
        self._pairs.append(pair)
        threading.Thread(target=self._pump, args=(pair, server, client, 0, None), daemon=True).start()
        self._pump(pair, client, server, self.delay, number)

    def _pump(self, pair, source, sink, delay, number):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if pair in self._dropped:
                    continue
                if number is not None:
                    self.sent[number] += data
                time.sleep(delay)
                sink.sendall(data)
        if pair not in self._dropped:
            for each in pair:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def opened_for(self, text):
        """When the connections were opened on which that was sent."""
        return [opened for opened, sent in zip(self.opened, self.sent) if text.encode() in sent]

    def drop(self):
        """What is sent on a connection that is open now is never answered, and nobody says so."""
        self._dropped.update(self._pairs)

    def reset(self):
        """Every connection that is open now is reset."""
        pairs, self._pairs = self._pairs, []
        for client, server in pairs:
            if client.fileno() < 0:
                continue
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            for each in (client, server):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RD)
                each.close()

    def close(self):
        self._listener.close()
