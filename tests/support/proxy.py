"""A TCP proxy on loopback that can stop forwarding without a word, as a network does that swallows packets."""

import socket
import threading
from contextlib import suppress

BUFFER = 65_536


class Proxy:
    """Forwards to `port` until it is told otherwise; connections stay open whatever it does."""

    def __init__(self, port: int) -> None:
        self.target = port
        self._flows = threading.Event()  # clear: nothing that arrives goes on, and nobody is told
        self._flows.set()
        self._answer = b""  # in place of the server's answers
        self._ended = False
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow(self) -> None:
        """Forward nothing from now on. New connections are accepted by the kernel and never get an answer."""
        self._flows.clear()

    def answer(self, text: bytes) -> None:
        """Give this answer to whatever is sent, in the server's place, and close the connection."""
        self._answer = text

    def forward(self) -> None:
        """Go on, with what has piled up: TCP would send it again."""
        self._answer = b""
        self._flows.set()

    def cut(self) -> None:
        """Close the connections, as a server that ends."""
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Close everything."""
        self._ended = True
        self._flows.set()
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._ended:
                client = self._listener.accept()[0]
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._flows.wait()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as server, client:
            self._sockets += [client, server]
            threading.Thread(target=self._pump, args=(server, client), daemon=True).start()
            self._pump(client, server, answering=True)

    def _pump(self, source: socket.socket, sink: socket.socket, *, answering: bool = False) -> None:
        with suppress(OSError):
            while data := source.recv(BUFFER):
                self._flows.wait()
                if self._answer and answering:
                    source.sendall(self._answer)
                    return
                else:
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)
