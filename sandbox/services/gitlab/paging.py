"""Pages of a list, with the headers that GitLab's clients follow.

Source: https://docs.gitlab.com/api/rest/#offset-based-pagination
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Response, jsonify, request

_MAX_PER_PAGE = 100


def page_and_size() -> tuple[int, int]:
    """The page (from 1) and its size that the request asks for."""
    page = request.args.get("page", default=1, type=int)
    per_page = request.args.get("per_page", default=20, type=int)
    return max(page, 1), min(max(per_page, 1), _MAX_PER_PAGE)


def paged(items: Sequence[dict[str, Any]]) -> Response:
    """One page of all `items`, with their number in the headers."""
    page, per_page = page_and_size()
    pages = max(-(-len(items) // per_page), 1)
    response = _page(items[(page - 1) * per_page : page * per_page], page < pages)
    response.headers["X-Total"] = str(len(items))
    response.headers["X-Total-Pages"] = str(pages)
    return response


def uncounted_page(items: Sequence[dict[str, Any]], *, more: bool) -> Response:
    """A page of a list without a total, such as commits; `more` says whether another page follows."""
    return _page(items, more)


def _page(items: Sequence[dict[str, Any]], more: bool) -> Response:
    page, per_page = page_and_size()
    response = jsonify(list(items))
    response.headers["X-Page"] = str(page)
    response.headers["X-Per-Page"] = str(per_page)
    response.headers["X-Prev-Page"] = str(page - 1) if page > 1 else ""
    response.headers["X-Next-Page"] = str(page + 1) if more else ""
    links = [("prev", page - 1)] if page > 1 else []
    links += [("next", page + 1)] if more else []
    links.append(("first", 1))
    response.headers["Link"] = ", ".join(f'<{_url(number)}>; rel="{relation}"' for relation, number in links)
    return response


def _url(page: int) -> str:
    return f"{request.base_url}?{urlencode({**request.args.to_dict(), 'page': page})}"
