"""What a user holds to cause what, and whether an adjustment fits it: the back-door criterion (Pearl 1995).

A graph is a list of arrows: `severity -> engagement -> initiation`. What it names and no column measures is
an unmeasured cause.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from e2i_assets.causal.errors import CausalDataError

if TYPE_CHECKING:
    import networkx as nx

ARROW = "->"


@dataclass(frozen=True)
class CausalGraph:
    """Arrows from cause to effect, without a cycle.

    Raises:
        CausalDataError: no arrow, or a cycle.
    """

    edges: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        import networkx as nx

        if not self.edges:
            raise CausalDataError("the graph has no arrows", f"Write each as `cause {ARROW} effect`.")
        if not nx.is_directed_acyclic_graph(self.network()):
            cycle = [cause for cause, _ in nx.find_cycle(self.network())]
            raise CausalDataError(
                f"the graph has a cycle: {f' {ARROW} '.join([*cycle, cycle[0]])}",
                "Nothing causes itself: part a node by time, or turn an arrow round.",
            )

    @classmethod
    def parse(cls, lines: Sequence[str]) -> CausalGraph:
        """Read arrows, each line a chain of two or more names: `severity -> engagement -> initiation`.

        Raises:
            CausalDataError: a line that is no chain, by its number; or a graph that is none.
        """
        edges: dict[tuple[str, str], None] = {}
        for number, line in enumerate(lines, start=1):
            chain = [name.strip() for name in str(line).split(ARROW)]
            if len(chain) < 2 or not all(chain):
                raise CausalDataError(
                    f"graph, line {number}: {line!r} is no arrow", f"Write `cause {ARROW} effect`."
                )
            edges.update(dict.fromkeys(pairwise(chain)))
        return cls(tuple(edges))

    def network(self) -> nx.DiGraph:
        """As networkx, and so DoWhy, takes it."""
        import networkx as nx

        return nx.DiGraph(self.edges)

    @property
    def nodes(self) -> tuple[str, ...]:
        """In the order in which the arrows name them."""
        return tuple(dict.fromkeys(name for edge in self.edges for name in edge))

    def after(self, node: str) -> set[str]:
        """All that follows from a node."""
        import networkx as nx

        return nx.descendants(self.network(), node)

    def before(self, node: str, without: Sequence[str] = ()) -> set[str]:
        """All that a node follows from, by ways that do not lead over others."""
        import networkx as nx

        network = self.network()
        network.remove_nodes_from(without)
        return nx.ancestors(network, node)

    def adjustment_set(
        self, treatment: str, outcome: str, measured: Collection[str] | None = None
    ) -> tuple[str, ...]:
        """Covariates that close every back door: the outcome's causes where they do, which make the effect
        more certain as well, and with them the treatment's where they do not.

        Args:
            measured: nodes that are columns; without it all are.

        Raises:
            CausalDataError: no measured covariates close them; or the graph cannot be asked this.
        """
        self.refuse_question(treatment, outcome)
        usable = set(self.nodes if measured is None else measured) - self.after(treatment) - {treatment}
        of_outcome = self.before(outcome, without=[treatment]) & usable
        of_both = of_outcome | self.before(treatment) & usable
        for covariates in (of_outcome, of_both):
            if self._closed(treatment, outcome, covariates):
                return tuple(name for name in self.nodes if name in covariates)
        raise self._open(treatment, outcome, of_both)

    def check(self, treatment: str, outcome: str, covariates: Sequence[str]) -> None:
        """Refuse covariates that the graph forbids, and those that leave a back door open.

        Raises:
            CausalDataError: a covariate that is not in the graph, follows from the treatment (a mediator
                among them) or from the outcome, or is a collider that opens a way; or one is lacking. The
                message names it.
        """
        self.refuse_question(treatment, outcome)
        if unknown := [name for name in covariates if name not in self.nodes]:
            raise CausalDataError(
                f"the graph does not have these covariates: {', '.join(unknown)}",
                f"Add what they cause, such as `{unknown[0]} {ARROW} {outcome}`, or leave them out.",
            )
        follows = {name: self._follows(name, treatment, outcome) for name in covariates}
        if wrong := [f"{name}, {why}" for name, why in follows.items() if why]:
            raise CausalDataError(
                f"not to be adjusted for: {'; '.join(wrong)}",
                "Leave them out of the covariates: they take away part of the effect, or make one up.",
            )
        if self._closed(treatment, outcome, covariates):
            return
        if opening := self._colliders(treatment, outcome, covariates):
            raise CausalDataError(
                f"not to be adjusted for: {', '.join(opening)}, a collider; with it given, what causes it"
                f" tells of each other: {self._way(treatment, outcome, covariates)}",
                "Leave it out of the covariates, or adjust for a node of that way as well.",
            )
        raise self._open(treatment, outcome, covariates)

    def check_instruments(
        self, treatment: str, outcome: str, covariates: Sequence[str], instruments: Sequence[str]
    ) -> None:
        """Refuse instruments that by the graph are none given the covariates, and covariates that follow from
        the treatment.

        Raises:
            CausalDataError: a column that is not in the graph or follows from treatment or outcome; or an
                instrument from which a way leads to the outcome that is not over the treatment.
        """
        import networkx as nx

        self.refuse_question(treatment, outcome)
        if unknown := [name for name in (*covariates, *instruments) if name not in self.nodes]:
            raise CausalDataError(
                f"the graph does not have {', '.join(unknown)}", "Add what they cause, or leave them out."
            )
        follows = {name: self._follows(name, treatment, outcome) for name in (*covariates, *instruments)}
        if wrong := [f"{name}, {why}" for name, why in follows.items() if why]:
            raise CausalDataError(f"neither covariate nor instrument: {'; '.join(wrong)}", "Leave them out.")
        back = self._back_doors(treatment)
        if open_ways := [
            name for name in instruments if not nx.is_d_separator(back, {name}, {outcome}, set(covariates))
        ]:
            raise CausalDataError(
                f"by the graph no instrument: {', '.join(open_ways)}, from which a way leads to {outcome}"
                f" that is not over {treatment}",
                "Adjust for a node of that way, or name another instrument.",
            )

    def refuse_question(self, treatment: str, outcome: str) -> None:
        """Refuse a question that the graph cannot be asked.

        Raises:
            CausalDataError: a node is not there, or nothing leads from the treatment to the outcome.
        """
        if absent := [name for name in (treatment, outcome) if name not in self.nodes]:
            raise CausalDataError(
                f"the graph does not have {', '.join(absent)}",
                "Give nodes the names of the columns: treatment, outcome and covariates.",
            )
        if outcome not in self.after(treatment):
            raise CausalDataError(
                f"by the graph nothing leads from {treatment} to {outcome}: the effect would be nothing,"
                " whatever the rows say",
                f"Draw the arrow that is in question, `{treatment} {ARROW} {outcome}`.",
            )

    def expanded(self, parts: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
        """Arrows with each node replaced by all of its parts; a node that is not named stays as it is."""
        return [
            (cause, effect)
            for one, other in self.edges
            for cause in parts.get(one, (one,))
            for effect in parts.get(other, (other,))
        ]

    def _follows(self, name: str, treatment: str, outcome: str) -> str:
        """Of what a covariate follows; empty where of neither."""
        if name in (treatment, outcome):
            return "treatment or outcome itself"
        if name in self.after(outcome):
            return f"a consequence of {outcome}"
        if name not in self.after(treatment):
            return ""
        mediates = outcome in self.after(name)
        return f"a mediator from {treatment} to {outcome}" if mediates else f"a consequence of {treatment}"

    def _back_doors(self, treatment: str) -> nx.DiGraph:
        """The graph with no way out of the treatment."""
        network = self.network()
        network.remove_edges_from(list(network.out_edges(treatment)))
        return network

    def _closed(self, treatment: str, outcome: str, covariates: Collection[str]) -> bool:
        import networkx as nx

        return nx.is_d_separator(self._back_doors(treatment), {treatment}, {outcome}, set(covariates))

    def _closing(self, treatment: str, outcome: str, among: Collection[str]) -> set[str] | None:
        """The fewest nodes that close every back door; none where these cannot."""
        import networkx as nx

        return nx.find_minimal_d_separator(
            self._back_doors(treatment), {treatment}, {outcome}, restricted=set(among)
        )

    def _colliders(self, treatment: str, outcome: str, covariates: Collection[str]) -> list[str]:
        """Covariates without which the others would close every back door."""
        given = set(covariates)
        alone = [name for name in covariates if self._closed(treatment, outcome, given - {name})]
        fewer = self._closing(treatment, outcome, covariates)
        return alone or ([] if fewer is None else sorted(given - fewer))

    def _open(self, treatment: str, outcome: str, covariates: Collection[str]) -> CausalDataError:
        before = set(self.nodes) - self.after(treatment) - {treatment}
        closing = self._closing(treatment, outcome, before) or set()
        return CausalDataError(
            f"an open back door: {self._way(treatment, outcome, covariates)}; lacking among the covariates:"
            f" {', '.join(sorted(closing - set(covariates)))}",
            "Add it to the covariates; where nobody has measured it, these rows cannot tell the effect.",
        )

    def _way(self, treatment: str, outcome: str, covariates: Collection[str]) -> str:
        """The shortest back door that the covariates leave open, with its arrows."""
        import networkx as nx

        back, given = self._back_doors(treatment), set(covariates)

        def blocks(one: str, node: str, other: str) -> bool:
            if back.has_edge(one, node) and back.has_edge(other, node):
                return not given & (self.after(node) | {node})
            return node in given

        ways = nx.shortest_simple_paths(back.to_undirected(), treatment, outcome)
        way = next(w for w in ways if not any(map(blocks, w, w[1:], w[2:])))
        steps = [f" {ARROW if back.has_edge(a, b) else '<-'} {b}" for a, b in pairwise(way)]
        return treatment + "".join(steps)
