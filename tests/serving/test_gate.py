"""Claims about who may ask: keys, rates, and the origins of pages."""

import asyncio

import pytest

from tests.serving.conftest import run, serving
from tests.support.clients import ROW

KEY = {"X-API-Key": "s3cret"}


def test_a_key_is_asked_for_wherever_models_are_told_of() -> None:
    async def claim() -> None:
        async with serving(keys=("s3cret", "other")) as asked:
            for path in ("/health", "/ready", "/docs", "/docs/docs.js"):
                assert (await asked.client.get(path)).status_code == 200
            for path in ("/models", "/metrics", "/openapi.json"):
                assert (await asked.client.get(path)).status_code == 401
                assert (await asked.client.get(path, headers=KEY)).status_code == 200
            answer = await asked.client.post("/predict", json=ROW)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json() == {
                "error": "no API key; send the header Authorization: Bearer KEY, or X-API-Key: KEY", "field": None,
            }  # fmt: skip
            for headers, status in (
                ({"X-API-Key": "s3cre"}, 401),
                ({"X-API-Key": b"s3cr\xe9t"}, 401),
                ({"Authorization": "Basic s3cret"}, 401),
                ({"Authorization": "Bearer s3cret"}, 200),
                ({"Authorization": "Bearer other"}, 200),
                (KEY, 200),
            ):
                assert (await asked.client.post("/predict", json=ROW, headers=headers)).status_code == status  # type: ignore[arg-type]
        assert "s3cr" not in asked.written.getvalue()

    run(claim)


def test_a_client_beyond_its_rate_is_told_when_to_come_again() -> None:
    async def claim() -> None:
        async with serving(rate=4, keys=("a", "b")) as asked:
            statuses = [
                (await asked.client.post("/predict", json=ROW, headers={"X-API-Key": "a"})).status_code
                for _ in range(6)
            ]
            assert statuses[:4] == [200] * 4
            assert statuses[-1] == 429
            late = await asked.client.post("/predict", json=ROW, headers={"X-API-Key": "a"})
            assert int(late.headers["retry-after"]) >= 1
            assert (await asked.client.post("/predict", json=ROW, headers={"X-API-Key": "b"})).status_code == 200
            for _ in range(9):
                assert (await asked.client.get("/ready")).status_code == 200
            await asyncio.sleep(0.6)
            assert (await asked.client.post("/predict", json=ROW, headers={"X-API-Key": "a"})).status_code == 200

    run(claim)


@pytest.mark.parametrize("cors", [(), ("https://shop.example",)])
def test_pages_of_other_origins_may_ask_only_where_they_are_named(cors: tuple[str, ...]) -> None:
    async def claim() -> None:
        async with serving(cors=cors, keys=("s3cret",)) as asked:
            headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
            before = await asked.client.options(
                "/predict", headers={**headers, "Access-Control-Request-Headers": "x-api-key"}
            )
            answer = await asked.client.post("/predict", json=ROW, headers={**headers, **KEY})
            assert answer.status_code == 200
            refused = await asked.client.post("/predict", json=ROW, headers=headers)
            foreign = await asked.client.post("/predict", json=ROW, headers={"Origin": "https://evil.example", **KEY})
            if cors:
                assert before.status_code == 200
                assert "x-api-key" in before.headers["access-control-allow-headers"].lower()
                assert answer.headers["access-control-allow-origin"] == "https://shop.example"
                assert refused.headers["access-control-allow-origin"] == "https://shop.example"
            else:
                assert before.status_code in (401, 405)
                assert "access-control-allow-origin" not in answer.headers
            assert "access-control-allow-origin" not in foreign.headers

    run(claim)
