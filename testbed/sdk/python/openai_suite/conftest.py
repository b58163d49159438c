import openai
import pytest
from manners import BASE, KEY, THINKS_BASE, TIMEOUT_S


@pytest.fixture(scope="session")
def client():
    """Strict: every answer must satisfy the SDK's own types, which it otherwise does not check."""
    with openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY, timeout=TIMEOUT_S, max_retries=0, _strict_response_validation=True) as client:
        yield client


@pytest.fixture(scope="session")
def lenient():
    """For answers that carry extensions which the SDK's types do not know."""
    with openai.OpenAI(base_url=THINKS_BASE, api_key=KEY, timeout=TIMEOUT_S, max_retries=0) as client:
        yield client
