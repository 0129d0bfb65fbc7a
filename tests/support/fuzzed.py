"""Requests that schemathesis makes from a server's OpenAPI document, valid and invalid, and what they are answered."""

import re
from collections import Counter
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode

LEAKS = re.compile(r'Traceback|File "|, in |/(work|tmp|home|root|usr|var|secret)/')
CHECKS = (
    *("status_code_conformance", "content_type_conformance", "response_headers_conformance"),
    *("response_schema_conformance", "negative_data_rejection", "missing_required_header", "unsupported_method"),
)


def fuzz(url: str, count: int) -> Counter[int]:
    """Sends so many requests or a few more, holds each answer against the document, and counts statuses.

    Raises:
        AssertionError: for a status beyond 2xx, 4xx and 503 with Retry-After, or an answer that is not as documented.
    """
    expected = {"expected-statuses": ["400", "404", "405", "413", "415", "422"]}
    config = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": expected}})
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    checks = [one for one in schemathesis.checks.CHECKS.get_all() if one.__name__ in CHECKS]
    operations = [found.ok() for found in schema.get_all_operations()]
    assert {one.__name__ for one in checks} == set(CHECKS)
    statuses: Counter[int] = Counter()
    while statuses.total() < count:
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                if mode is GenerationMode.POSITIVE or len(operation.body):  # else nothing is sent that could be wrong
                    _ask(operation, mode, max(2, count // (2 * len(operations))), checks, statuses)
    return statuses


def _ask(operation: Any, mode: GenerationMode, examples: int, checks: list[Any], statuses: Counter[int]) -> None:
    """Sends requests to one path."""

    @settings(
        max_examples=examples, deadline=None, database=None, phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        answer = case.call()
        status = answer.status_code
        statuses[status] += 1
        assert 200 <= status < 500 or status == 503, f"{case.as_curl_command()} {answer.text}"[:2000]
        if status == 503:
            assert int(answer.headers["retry-after"][0]) >= 1
        if status >= 400:
            said = answer.json()
            assert said.keys() == {"error", "field"}
            assert not LEAKS.search(said["error"].replace((said["field"] or "")[:80], "")), said
        case.validate_response(answer, checks=checks)

    ask()
