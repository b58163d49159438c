import anthropic
import pytest
from manners import BASE, KEY, TIMEOUT_S


@pytest.fixture(scope="session")
def client():
    """Strict: every answer must satisfy the SDK's own types, which it otherwise does not check."""
    with anthropic.Anthropic(base_url=BASE, api_key=KEY, timeout=TIMEOUT_S, max_retries=0, _strict_response_validation=True) as client:
        yield client


@pytest.fixture(scope="session")
def older():
    """As the many tools that still send the older version and the key as `x-api-key`."""
    headers = {"anthropic-version": "2023-06-01", "x-api-key": KEY, "authorization": anthropic.Omit()}
    with anthropic.Anthropic(base_url=BASE, api_key=KEY, timeout=TIMEOUT_S, max_retries=0, default_headers=headers) as client:
        yield client


@pytest.fixture(scope="session")
def lenient():
    """As users have it: unknown events pass and missing usage is taken as it comes."""
    with anthropic.Anthropic(base_url=BASE, api_key=KEY, timeout=TIMEOUT_S, max_retries=0) as client:
        yield client
