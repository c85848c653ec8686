"""A user's program: becomes active, writes once, leaves. Its argument is the URL of a store."""

import sys

from configuration import configuration

import coordha

with coordha.Session(configuration(sys.argv[1])) as session:
    for term in session.terms():
        with term:
            term.ready()
            done = term.txn().put("greeting", "hello").commit()
            print("coordha", coordha.__version__, "from Python: active, written:", done.revision > 0)
            session.request_stop()
            term.ending()
