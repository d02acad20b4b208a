"""HTTP with those alone who get to the point."""

from collections import Counter
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from pipeline.serving import queueing

PATIENCE = 10  # seconds for the head of a request to arrive, and for some of an answer to be taken
CONNECTIONS = 500  # at a time, half of them from one address; each takes a file descriptor, of which many have 1024
GOODBYE = 2  # seconds for what is being answered when the process is ended


class Impatient(H11Protocol):
    """Uvicorn's HTTP, but a connection that brings no request for a while is closed, be it ever so busy with one.

    So is one of which nobody takes the answer.
    """

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request, unless there are too many connections already."""
        super().connection_made(transport)
        whose = Counter(_address(other) for other in self.connections)
        if whose.total() > CONNECTIONS or whose[_address(self)] > CONNECTIONS // 2:
            transport.abort()
        else:
            self._expect_after(None)

    def on_response_complete(self) -> None:
        """Begin to wait for the next one."""
        answered = self.cycle
        super().on_response_complete()
        self._expect_after(answered)

    def pause_writing(self) -> None:
        """Begin to wait until the visitor takes some of the answer."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        self._watched.cancel()

    def _watch(self, left: int) -> None:
        self._watched = self.loop.call_later(PATIENCE, self._give_up_answering, left)

    def _give_up_answering(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._watch(left)
        else:
            self.transport.abort()

    def _expect_after(self, answered: RequestResponseCycle | None) -> None:
        self.loop.call_later(PATIENCE, self._give_up, answered)

    def _give_up(self, answered: RequestResponseCycle | None) -> None:
        if self.cycle is answered:  # a request makes another
            self.transport.close()


def _address(connection: Any) -> str:
    """Whose a connection is, a protocol of Uvicorn's."""
    return queueing.address(connection.client[0] if connection.client else "")


def server(app: ASGIApp) -> uvicorn.Server:
    """What answers requests."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=Impatient,
            ws="none",
            log_config=None,
            log_level="critical",  # the guard says what goes wrong
            access_log=False,
            proxy_headers=False,  # anybody could send them
            server_header=False,
            timeout_graceful_shutdown=GOODBYE,
        )
    )
