"""The pages that reports keep beside them, over HTTP: no browser follows a link from Dagit to a file."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from e2i_assets.html_pages import stamped
from e2i_assets.resources.pages import PAGES
from e2i_assets.resources.store import ArtifactStore

POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""The pages have no scripts and load nothing; should one ever come by, the browser does not run it.

They have Dagit's address and, in the sandbox, none of what Dagit's own pages may do there."""
SAFELY = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}


def pages_route(store: ArtifactStore) -> Route:
    """The HTML pages of the store's versions, and nothing else, under `/pages`."""

    def answer(request: Request) -> Response:
        page = store.page(request.path_params["path"])
        if page is None:
            return PlainTextResponse("no such page", 404, SAFELY)
        about = f"{page.partition}, {page.asset}, made {page.made:%Y-%m-%d}, version {page.version}"
        return HTMLResponse(stamped(page.html, about), headers=SAFELY)

    return Route(f"{PAGES}/{{path:path}}", answer)
