"""A gateway's load: four connections that write audit rows through both names, at a steady pace."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg

CONNECTIONS = 4
PAUSE_SECONDS = 0.01
"""Between two writes of one connection: about 350 writes a second in all."""

OLD_NAME = """
    INSERT INTO audit_logs (
        user_id, request_type, message, message_preview, iterations, tool_calls_count, tools_used,
        mcps_accessed, duration_ms, tokens_input, tokens_output, tokens_cached, cost_estimate,
        status, response_preview, user_agent, success, created_at
    )
    VALUES (
        $1, 'chat', $2, left($2, 20), 1, 1, '{tool_1,tool_2}', '{server_1}', 1200, 900, 80, 10,
        0.00104, 'success', $2, 'Mozilla/5.0', true, now()
    )
    RETURNING id
"""

LEDGER = """
    INSERT INTO omni2.audit_logs (
        user_id, timestamp, question, mcp_target, tool_called, tool_params, success, duration_ms,
        result_summary, llm_tokens_used, user_agent, was_blocked
    )
    VALUES (
        $1, now(), $2, 'server_1', 'tool_1', '{"path": "/data"}', true, 120, $2, 990, 'omni2/1.4',
        false
    )
    RETURNING id
"""


@dataclass
class Load:
    """Latencies of all writes so far, ms, and the errors."""

    url: str
    took: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    async def _write(self, number: int) -> None:
        connection = await asyncpg.connect(self.url)
        statement = OLD_NAME if number % 2 else LEDGER
        turn = 0
        while not self.stop.is_set():
            turn += 1
            began = time.perf_counter()
            try:
                text = f"live {number} {turn} " + "x" * 200
                await connection.fetchval(statement, 1 + turn % 1000, text)
            except asyncpg.PostgresError as error:
                self.errors.append(str(error))
            self.took.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(PAUSE_SECONDS)
        await connection.close()

    async def _all(self) -> None:
        await asyncio.gather(*(self._write(number) for number in range(CONNECTIONS)))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write in a thread of its own for as long as the block takes."""
        thread = threading.Thread(target=lambda: asyncio.run(self._all()))
        thread.start()
        try:
            yield
        finally:
            self.stop.set()
            thread.join()

    def percentile(self, share: float) -> float:
        """The latency, ms, that this share of the writes stayed below."""
        ordered = sorted(self.took)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def load(url: str) -> Iterator[Load]:
    """A load that runs for as long as the block takes."""
    made = Load(url)
    with made.running():
        yield made
