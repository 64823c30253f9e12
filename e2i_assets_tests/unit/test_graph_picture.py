"""The picture of a graph of causes: a place for every node, the same bytes for the same graph."""

from __future__ import annotations

import pytest

from e2i_assets.causal.graph import CausalGraph
from e2i_assets.modeling.card.graph_picture import _places, graph_picture

TEN = CausalGraph.parse(
    [
        "disease_severity -> hcp_engagement -> treatment_initiated",
        "age -> disease_severity -> treatment_initiated",
        "age -> treatment_initiated",
        "region -> hcp_engagement",
        "prior_therapies -> treatment_initiated",
        "hcp_specialty -> hcp_engagement",
        "hcp_specialty -> treatment_initiated",
        "hcp_engagement -> trust_in_$brand -> treatment_initiated",
        "access_programme -> hcp_engagement",
        "access_programme -> insurance_type -> treatment_initiated",
    ]
)
ASKED = ("hcp_engagement", "treatment_initiated")
WIDE = CausalGraph.parse([arrow for n in range(8) for arrow in (f"c{n} -> call -> sale", f"c{n} -> sale")])


@pytest.mark.parametrize(("graph", "asked"), [(TEN, ASKED), (WIDE, ("call", "sale"))])
def test_arrows_point_to_the_right_and_no_two_nodes_share_a_place(
    graph: CausalGraph, asked: tuple[str, str]
) -> None:
    places = _places(graph, *asked)
    assert set(places) == set(graph.nodes)
    assert all(places[cause][0] < places[effect][0] for cause, effect in graph.edges)
    apart = [(a, b) for a in places for b in places if a < b and places[a][0] == places[b][0]]
    assert all(abs(places[a][1] - places[b][1]) >= 0.55 for a, b in apart)


def test_the_same_graph_gives_the_same_picture() -> None:
    picture = graph_picture(TEN, *ASKED, TEN.adjustment_set(*ASKED))
    assert picture.startswith(b"\x89PNG")
    assert picture == graph_picture(TEN, *ASKED, TEN.adjustment_set(*ASKED))
    assert picture != graph_picture(TEN, *ASKED, ["age"])
