"""A coordinator that stands by until it is chosen: minimal.py <store URL> <host:port>"""

import logging
import signal
import sys

import coordha

logging.basicConfig(level=logging.INFO)  # the library logs what becomes of it
with coordha.Session(role="rootcoord", store_url=sys.argv[1], address=sys.argv[2], active_standby=True) as session:
    signal.signal(signal.SIGTERM, lambda signum, frame: session.request_stop())
    for term in session.terms():
        with term:  # an exception ends the term in order, and the session contends again
            print("active, with fencing token", term.token)  # load what the active one needs
            term.ready()  # from now on session.is_active is True
            term.ending()  # waits until asked to end, or lost
            print("leaving:", "finish what runs" if term.held else "the role is lost")
