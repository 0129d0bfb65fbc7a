"""Settings: what `serve` has been told, each with its default."""

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a server answers.

    Args:
        default: which model /predict asks, as NAME or NAME/VERSION; by default the first.
        max_batch: inputs that are computed together at most.
        max_wait_ms: how long, under load, a batch waits for as many inputs as the one before it had.
        timeout: seconds from a request's last byte to its answer; 504 then.
        max_body: bytes of a request's body.
        max_inputs: inputs of one request.
        max_memory: bytes of all bodies and inputs that are held at once.
        concurrency: batches, and beside them streams, that are computed at once.
        queue: requests to one model that are accepted and not yet ended.
        rate: requests a second of one client; 0 for any number.
        keys: API keys, one of which a request must have; none for no key at all.
        cors: origins whose pages may ask; "*" for any.
        read_timeout: seconds in which a request's head, and then its body, must have come.
        write_timeout: seconds in which a client must take what it is sent.
        reload_seconds: how often folders are looked at for a new version; 0 for never.
        drain: seconds after SIGTERM in which new requests are still answered, while /ready is 503.
        grace: seconds after that in which accepted requests are answered.
    """

    default: str | None = None
    max_batch: int = 64
    max_wait_ms: float = 2.0
    timeout: float = 30.0
    max_body: int = 16 * MIB
    max_inputs: int = 1000
    max_memory: int = 512 * MIB
    concurrency: int = 1
    queue: int = 256
    rate: float = 0.0
    keys: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    read_timeout: float = 20.0
    write_timeout: float = 30.0
    reload_seconds: float = 0.0
    drain: float = 1.0
    grace: float = 30.0
