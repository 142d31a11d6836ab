"""A Hummingbot that is a little away: answers its status after 20 ms, or, told to hang, never.

``python -m bench.hummingbot PORT DELAY_MS``; ``GET /hang`` and ``GET /answer`` switch.
"""

from __future__ import annotations

import asyncio
import json
import sys

from bench.seed import LARGE

_FIGURES = {
    "realized_pnl_quote": 2.75, "unrealized_pnl_quote": -1.32, "global_pnl_quote": 1.43, "volume_traded": 1250.5,
    "positions_summary": [], "close_type_counts": {"CloseType.TAKE_PROFIT": 3},
}  # fmt: skip


def _status() -> bytes:
    """Every running bot of account 1 (see seed.py), in the form that Hummingbot gives them."""
    numbers = [i for i in range(1, LARGE + 1) if i % 4 and i % 10 > 1]
    bots = {
        f"tb-{i}-20260301-120000": {
            "status": "running",
            "performance": {"bridge": {"status": "running", "performance": _FIGURES, "custom_info": {}}},
            "error_logs": [], "general_logs": [], "recently_active": True, "source": "docker",
        }
        for i in numbers
    }  # fmt: skip
    body = json.dumps({"status": "success", "data": bots}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Stub:
    """Keep-alive HTTP, as little of it as the callers need."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s, self.hangs, self.answer = delay_s, False, _status()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1]
                if path in (b"/hang", b"/answer"):
                    self.hangs = path == b"/hang"
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                    continue
                await asyncio.sleep(3600 if self.hangs else self.delay_s)
                writer.write(self.answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def _main(port: int, delay_ms: int) -> None:
    server = await asyncio.start_server(Stub(delay_ms / 1000).serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
