"""The simulated AWS: moto over HTTP, with what it lacks for responding to incidents.

Three things are ours: every request is authorised (key status, signature, session expiry, identity
policies, boundaries, trust policies with external ID), a handful of operations that moto does not
have, and a control plane under /_sim/. Everything else is moto's.
"""
