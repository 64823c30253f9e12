"""How a registered version comes to answer requests: releases, process slots, the router, the reconciler.

One process (`e2i serve`) brings what runs to what `ml_bentoml_services` wants, and decides on nothing but the
difference (`decision.py`). What a release answers is the service's own affair (`serving`).
"""
