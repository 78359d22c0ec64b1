"""Graphs are read from nodes and edges; what cannot be used is an error or counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unalike.data import (
    ArrayColumn,
    Collection,
    GraphColumn,
    TextColumn,
    from_pyg,
    open_nodes,
    separated,
    to_pyg,
    with_graph,
)
from unalike.data.gathering import gather
from unalike.errors import DataError, SettingsError


def nodes(count: int = 6) -> Collection:
    return Collection(
        {"array": ArrayColumn(np.random.default_rng(0).normal(size=(count, 3)))},
        name="net",
        ids=[f"n{number}" for number in range(count)],
    )


def edges(*pairs: tuple[str, str]) -> pa.Table:
    return pa.table({"from": [a for a, _ in pairs], "to": [b for _, b in pairs]})


def test_an_edge_to_a_missing_node_is_an_error_that_names_it() -> None:
    with pytest.raises(DataError, match=r"1 of 2 edges name a node that is not there, such as 'n9'.*--id"):
        with_graph(nodes(), edges(("n0", "n1"), ("n1", "n9")))


def test_few_edges_to_missing_nodes_are_counted() -> None:
    graph = with_graph(nodes(), edges(*[("n0", "n1")] * 3, ("n1", "n2"), ("n9", "n2")), tolerance=0.2)
    assert graph["graph"].edges.tolist() == [[0, 1], [1, 2]]
    assert "1 of 5 edges name a node that is not there, such as 'n9'; left out" in graph.notes
    assert "2 of 5 edges are there more than once and count once" in graph.notes


def test_no_edges_is_an_error() -> None:
    with pytest.raises(DataError, match="has no edges"):
        with_graph(nodes(), edges())


def test_loops_alone_are_no_edges() -> None:
    with pytest.raises(DataError, match=r"has no edges.*; 1 of 1 edges joins a node to itself and is left out. Give"):
        with_graph(nodes(), edges(("n0", "n0")))


def test_loops_and_nodes_without_an_edge_are_counted() -> None:
    graph = with_graph(nodes(), edges(("n0", "n0"), ("n0", "n1"), ("n2", "n1")))
    assert graph.notes == (
        "1 of 3 edges joins a node to itself and is left out",
        "3 of 6 nodes have no edge; they are learned from by their features alone",
    )
    assert graph["graph"].adjacency.diagonal().sum() == 0
    assert graph["graph"].degrees.tolist() == [1, 2, 1, 0, 0, 0]


def test_repeated_ids_of_nodes_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text("id,x\na,1\nb,2\na,3\n")
    (tmp_path / "edges.csv").write_text("one,other\na,b\n")
    with pytest.raises(DataError, match="repeat the id of another row: 'a'"):
        gather(str(tmp_path / "edges.csv"), roles={"nodes": str(tmp_path / "nodes.csv")})


def test_edges_beside_nodes_and_nodes_beside_edges_are_the_same(tmp_path: Path) -> None:
    table = pa.table(
        {"id": [10, 20, 30], "text": ["red", "blue", "sea"], "size": [1.5, 2.0, 3.0], "label": ["a", "b", "a"]}
    )
    pq.write_table(table, tmp_path / "nodes.parquet")
    (tmp_path / "edges.csv").write_text("one,other,weight\n10,20,3\n30,20,1\n")
    files = str(tmp_path / "nodes.parquet"), str(tmp_path / "edges.csv")
    first = gather(files[1], roles={"nodes": files[0]})
    second = gather(files[0], roles={"edges": files[1]})
    assert first.fingerprint() == second.fingerprint()
    assert first["graph"].edges.tolist() == [[0, 1], [1, 2]]
    assert sorted(first.columns) == ["array", "graph", "label", "text"]
    assert list(first["graph"].features) == ["array"]
    told = gather(files[0], roles={"edges": files[1], "features": "text,array"})
    assert list(told["graph"].features) == ["text", "array"]
    assert told["graph"][1]["neighbours"] == [0, 2]
    with pytest.raises(SettingsError, match="a graph is told by"):
        gather(files[0], roles={"edges": files[1], "nodes": files[0]})


def test_a_file_that_is_no_table_of_edges(tmp_path: Path) -> None:
    (tmp_path / "edges.csv").write_text("one\n1\n")
    with pytest.raises(DataError, match="two columns of ids"):
        with_graph(nodes(), str(tmp_path / "edges.csv"))
    with pytest.raises(DataError, match="is no table of edges"):
        with_graph(nodes(), str(tmp_path / "none.csv"))


def test_nodes_need_features() -> None:
    with pytest.raises(DataError, match="no role 'age'"):
        with_graph(nodes(), edges(("n0", "n1")), features=["age"])
    with pytest.raises(DataError, match="fewer neighbours"):
        with_graph(nodes(3), "knn:3")
    with pytest.raises(DataError, match="give edges for texts"):
        with_graph(Collection({"text": TextColumn(["a", "b", "c"])}, name="t"), "knn:1")


def test_nearest_neighbours_against_plain_loops() -> None:
    collection = nodes(9)
    values = collection["array"].values
    expected = set()
    for row in range(9):
        distances = [(np.square(values[row] - values[other]).sum(), other) for other in range(9) if other != row]
        expected |= {tuple(sorted((row, other))) for _, other in sorted(distances)[:2]}
    assert {tuple(pair) for pair in with_graph(collection, "knn:2")["graph"].edges.tolist()} == expected


def test_no_edge_of_a_test_node_in_a_training_graph() -> None:
    generator = np.random.default_rng(1)
    pairs = generator.integers(0, 40, (300, 2))
    whole = with_graph(nodes(40), pairs).replace(splits={"train": np.arange(25), "test": np.arange(25, 40)})
    cut = separated(whole)
    kept = cut["graph"].edges
    assert len(kept) < len(whole["graph"].edges)
    assert ((kept < 25).all(axis=1) | (kept >= 25).all(axis=1)).all()
    within = [pair for pair in whole["graph"].edges.tolist() if (pair[0] < 25) == (pair[1] < 25)]
    assert kept.tolist() == within
    assert any("join nodes of two splits" in note for note in cut.notes)
    assert cut.split("train")["graph"].edges.max() < 25
    # Neighbours are sought inside a split from the beginning.
    nearest = with_graph(nodes(40).replace(splits=whole.splits), "knn:3")["graph"].edges
    assert ((nearest < 25).all(axis=1) | (nearest >= 25).all(axis=1)).all()


def test_selecting_rows_keeps_the_edges_among_them() -> None:
    graph = GraphColumn(np.array([[0, 1], [1, 2], [2, 3]]), {"array": ArrayColumn(np.eye(4))})
    chosen = graph.select([3, 2, 0])
    assert chosen.edges.tolist() == [[0, 1]]
    np.testing.assert_array_equal(chosen.features["array"].values, np.eye(4)[[3, 2, 0]])
    with pytest.raises(DataError, match="there are 4 nodes"):
        GraphColumn(np.array([[0, 4]]), graph.features)


def test_columns_of_a_node_table_play_the_role_of_their_type(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text("id,title,body,x,y\na,one,two,1,2\nb,three,four,3,4\n")
    collection = open_nodes(str(tmp_path / "nodes.csv"))
    assert collection.ids == ["a", "b"]
    assert sorted(collection.columns) == ["array", "text:body", "text:title"]
    assert collection["array"].values.tolist() == [[1, 2], [3, 4]]


def test_pytorch_geometric_there_and_back() -> None:
    pytest.importorskip("torch_geometric")
    whole = with_graph(nodes(), edges(("n0", "n1"), ("n1", "n2"))).replace(
        splits={"train": [0, 1, 2], "test": [3, 4, 5]}
    )
    data = to_pyg(whole)
    assert data.edge_index.tolist() == [[0, 1, 1, 2], [1, 2, 0, 1]]
    assert data.is_undirected()
    again = from_pyg(data)
    assert again["graph"].fingerprint() == whole["graph"].fingerprint()
    assert again.splits["test"].tolist() == [3, 4, 5]
