import pytest
from google import genai
from google.genai import types
from manners import BASE, KEY, TIMEOUT_S


def connect(version=None, key=KEY):
    options = types.HttpOptions(base_url=BASE, api_version=version, timeout=TIMEOUT_S * 1000, retry_options=types.HttpRetryOptions(attempts=1))
    return genai.Client(api_key=key, http_options=options)


@pytest.fixture(scope="session")
def client():
    """The SDK's own default version of the API (`/v1` in 3.x)."""
    return connect()


@pytest.fixture(scope="session", params=["v1beta"])
def older(request):
    return connect(request.param)


@pytest.fixture(scope="session")
def stranger():
    return connect(key="tg-not-a-key-of-ours-000000000000")
