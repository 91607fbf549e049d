"""Jobs on a cluster, through Ray's own client: hand one in, follow its output, say how it ended."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from aiohttp import ClientError
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient
from requests import RequestException

from ovlab.specs.errors import InputError, WorkError
from ovlab.specs.wording import shown

_NO_TOKEN = (
    "the cluster asks for a token. `ray get-auth-token` on its head prints it; write it to ~/.ray/auth_token here, or "
    "set RAY_AUTH_TOKEN. A cluster without one gets it by `ray get-auth-token --generate` before it is started."
)
# What a head answers that has started, but whose agent, which starts jobs, has not.
_STARTING = ("No available agent", "Cannot connect to host")
_AGENT_SECONDS = 120.0
# Ray's agent closes the output of a job now and then before the job has ended.
_PAUSE_SECONDS = 2.0


class Jobs:
    """The jobs of the cluster at `address`. Every method raises InputError where it refuses, WorkError where it fails.

    Only one a process: Ray takes the address from the environment, whatever it is told.
    """

    def __init__(self, address: str) -> None:
        os.environ["RAY_API_SERVER_ADDRESS"] = address
        with _one_line(shown(address)):
            self._client = JobSubmissionClient(address)
        self.address: str = shown(self._client.get_address())

    def submit(self, entrypoint: str, folder: Path, variables: Mapping[str, str], metadata: Mapping[str, str]) -> str:
        """The id of a new job that runs `entrypoint` in a copy of `folder`."""
        environment = {"working_dir": str(folder), "env_vars": dict(variables)}
        deadline = time.monotonic() + _AGENT_SECONDS
        with _one_line(self.address):
            while True:
                try:
                    return self._client.submit_job(
                        entrypoint=entrypoint, runtime_env=environment, metadata=dict(metadata)
                    )
                except RuntimeError as error:
                    starting = any(answer in str(error) for answer in _STARTING)
                    if not starting or time.monotonic() > deadline:
                        raise
                time.sleep(_PAUSE_SECONDS)

    def follow(self, job: str, write: Callable[[str], object]) -> int:
        """Hand what the job prints to `write` until it ends, and return its exit code.

        Without one, after a signal or a lost node, the code is 1, and the cluster's reason is written, too.
        """
        with _one_line(self.address):
            asyncio.run(self._follow(job, write))
            info = self._client.get_job_info(job)
        code = info.driver_exit_code
        if info.status == "SUCCEEDED":
            return 0
        if code is None or code <= 0:
            write(f"{job}: {info.status}: {info.message or 'no reason given'}\n")
            return 1
        return code

    async def _follow(self, job: str, write: Callable[[str], object]) -> None:
        num_written = 0
        while True:
            # Each connection tells the output from its beginning.
            num_told = 0
            with contextlib.suppress(ClientError, RuntimeError):
                async for text in self._client.tail_job_logs(job):
                    write(text[max(0, num_written - num_told) :])
                    num_told += len(text)
                    num_written = max(num_written, num_told)
            if self._client.get_job_status(job).is_terminal():
                return
            await asyncio.sleep(_PAUSE_SECONDS)


@contextlib.contextmanager
def _one_line(address: str) -> Iterator[None]:
    try:
        yield
    except AuthenticationError as error:
        raise InputError(f"{address}: {_reason(error)} {_NO_TOKEN}") from None
    except (ConnectionError, RequestException) as error:
        raise InputError(f"no Ray at {address}: {_reason(error)}") from None
    except (RuntimeError, ValueError) as error:
        raise WorkError(f"{address}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """The first line, and the last one, which is the cause where the head answers with a traceback."""
    lines = [shown(line.strip()) for line in str(error).splitlines() if line.strip(" .")]
    return " ... ".join(dict.fromkeys((lines[0], lines[-1])))[:400] if lines else type(error).__name__
