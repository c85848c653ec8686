"""The user's configuration."""

import coordha


def configuration(store: str) -> coordha.Config:
    return coordha.Config(role="rootcoord", address="127.0.0.1:53100", store_url=store)
