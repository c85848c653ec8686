"""The metrics of the process."""

from __future__ import annotations

import coordha
import support
from coordha import Until


def the_metrics_show_who_is_active_and_that_it_was_there(store: support.Store) -> None:
    labels = f'{{role="metered",root="{store.root}"}}'
    with coordha.Session(**{**store.keys(activation_auto=True), "role": "metered"}) as session:
        session.wait(Until.ACTIVE, support.LIMIT)
        lines = coordha.metrics_text().splitlines()
        assert f"coordha_session_active{labels} 1" in lines
        assert f"coordha_session_fencing_token{labels} {session.fencing_token}" in lines
        assert "# TYPE coordha_renewal_duration_seconds histogram" in lines
    lines = coordha.metrics_text().splitlines()
    assert [line for line in lines if line.startswith(f"coordha_session_active{labels}")] == []
    assert f"coordha_terms_begun_total{labels} 1" in lines


def a_child_begins_with_nothing(local: support.Store) -> None:
    code = """
import warnings; warnings.simplefilter("ignore", DeprecationWarning)
with coordha.Session(**keys(activation_auto=True)) as session:
    session.wait(coordha.Until.ACTIVE, 30)
    child = os.fork()
    if child == 0:
        text = coordha.metrics_text()
        os._exit(0 if "coordha_build_info" in text and "coordha_session" not in text else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert "coordha_session_active" in coordha.metrics_text()
"""
    local.prints(code)
