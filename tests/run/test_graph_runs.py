"""From two tables to groups of nodes, as a stranger would do it."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import unalike
from scipy.sparse import csr_array

import unalike as library
from unalike import cli
from unalike.checks import compare
from unalike.claims import edges_told
from unalike.errors import DataError, SettingsError
from unalike.runs.cluster import cluster

KINDS = {"fruit": "apple pear plum", "tool": "hammer saw nail", "sea": "wave salt tide"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graph")
    generator = np.random.default_rng(0)
    kinds = [list(KINDS)[i % 3] for i in range(60)]
    nodes = [f"p{i},{' '.join(generator.choice(KINDS[kind].split(), 3))},{kind}" for i, kind in enumerate(kinds)]
    pairs = [(i, j) for i, j in generator.integers(60, size=(400, 2)) if kinds[i] == kinds[j]]
    (folder / "nodes.csv").write_text("\n".join(["id,text,label", *nodes]) + "\n")
    (folder / "edges.csv").write_text("\n".join(["from,to", *(f"p{i},p{j}" for i, j in pairs)]) + "\n")
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> str:
    return unalike_fit(place, "scgc", "run")


def unalike_fit(place: Path, system: str, out: str) -> str:
    told = unalike(
        "fit", "edges.csv", "--nodes", "nodes.csv", "--system", system, "--epochs", "40", "--out", out, cwd=place
    )
    assert "join nodes of two splits and are left out" in " ".join(told.split())
    return out


def test_groups_are_printed_and_written(place: Path, run: str) -> None:
    told = unalike("cluster", run, "--clusters", "3", "--out", "groups.parquet", cwd=place)
    assert "NMI with the classes" in told
    table = pq.read_table(place / "groups.parquet")
    assert table.column_names == ["id", "cluster", "distance"]
    assert sorted(table["id"].to_pylist()) == sorted(f"p{i}" for i in range(60))
    assert set(table["cluster"].to_pylist()) == {0, 1, 2}
    unalike("cluster", run, "--clusters", "3", "--out", "groups.csv", cwd=place)
    with (place / "groups.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == table["id"].to_pylist()
    assert [float(row["distance"]) for row in rows] == table["distance"].to_pylist()
    wrong = unalike("cluster", run, "--clusters", "3", "--out", "groups.txt", cwd=place, code=2)
    assert "written as .csv, .parquet or .jsonl" in " ".join(wrong.split())


def test_groups_are_those_of_the_vectors(place: Path, run: str) -> None:
    loaded = library.load(place / run)
    found = cluster(loaded, 3)
    assert found.sizes.tolist() == sorted(found.sizes.tolist(), reverse=True)
    assert found.agreement is not None
    assert found.agreement.accuracy > 0.8
    for number in range(3):
        rows = found.clusters == number
        centre = loaded.vectors["graph"][rows].mean(axis=0)
        expected = 1 - loaded.vectors["graph"][rows] @ centre / np.linalg.norm(centre)
        np.testing.assert_allclose(found.distances[rows], expected, atol=1e-5)
        assert found.distances[found.examples(number, 1)[0]] == found.distances[rows].min()


def compared(capsys: pytest.CaptureFixture, place: Path, nodes: str, *more: str) -> str:
    data = ["--data", str(place / "edges.csv"), "--nodes", str(place / nodes)]
    cli.main(["compare", "scgc", "pamc", *data, "--seeds", "2", "--no-tuning", "--jobs", "0", *more])
    return " ".join(capsys.readouterr().out.split())


def test_two_systems_are_compared_by_their_groups_or_edges(place: Path, capsys: pytest.CaptureFixture) -> None:
    told = compared(capsys, place, "nodes.csv", "--steps", "4")
    for measured in ("clustering", "NMI", "kNN", "linear probe"):  # long names are broken over lines
        assert measured in told
    assert "changed look" not in told
    plain = [line.rsplit(",", 1)[0] for line in (place / "nodes.csv").read_text().splitlines()]
    (place / "unlabelled.csv").write_text("\n".join(plain) + "\n")
    row = compare.compare(
        "scgc",
        "pamc",
        str(place / "edges.csv"),
        roles={"nodes": str(place / "unlabelled.csv")},
        seeds=2,
        jobs=0,
        tune=False,
    )
    assert [each.name for each in row.results] == ["edges of new nodes told from other pairs, AUC"]
    assert row.arms["system"]["training"]["steps"] == 400, "an epoch of a graph is one step"
    # Words of one kind are joined to each other alone, so that vectors of words tell edges nearly as well as can be.
    assert min(row.results[0].values["system"]) > 0.7


def test_edges_are_told_by_their_cosines() -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    joined = {(0, 1), (0, 9), (4, 7), (12, 29), (13, 14)}

    def auc(pairs: set[tuple[int, int]]) -> float:
        matrix = np.zeros((30, 30))
        for i, j in pairs:
            matrix[i, j] = matrix[j, i] = 1
        batch = SimpleNamespace(role=lambda role: SimpleNamespace(adjacency=csr_array(matrix)))
        inputs = SimpleNamespace(prepared={"graph": None}, batch=lambda rows: batch)
        methods = {"inputs": inputs, "vectors": lambda self, role: vectors, "__len__": lambda self: 30}
        side = type("Nodes", (), methods)()
        return edges_told(SimpleNamespace(scored=side, seed=0))  # type: ignore[arg-type]

    every = {(i, j) for i in range(30) for j in range(i + 1, 30)}
    near = {pair: vectors[pair[0]] @ vectors[pair[1]] for pair in every}
    won = [near[one] > near[other] for one in joined for other in every - joined]
    assert auc(joined) == pytest.approx(np.mean(won))
    assert auc(set(sorted(every, key=near.get)[-5:])) == 1  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no two of the 30 nodes that were kept out of training are joined"):
        auc(set())
    with pytest.raises(DataError, match="all of the 30 nodes"):
        auc(every)


def test_what_cannot_be_grouped_is_said(place: Path, run: str) -> None:
    loaded = library.load(place / run)
    with pytest.raises(SettingsError, match="expected 2 to 60"):
        cluster(loaded, 61)
    with pytest.raises(DataError, match="no vectors of 'image'"):
        cluster(loaded, 3, role="image")


def test_new_nodes_get_the_vectors_of_their_features(place: Path, run: str) -> None:
    loaded = library.load(place / run)
    again = loaded.embed(str(place / "edges.csv"), roles={"nodes": str(place / "nodes.csv")})
    order = [again.ids.index(each) for each in loaded.items.ids]
    np.testing.assert_allclose(again.vectors[order], loaded.vectors["graph"], atol=1e-5)


@pytest.mark.parametrize("system", ["pamc", "sdcn"])
def test_the_other_systems_take_the_same_files(place: Path, system: str) -> None:
    loaded = library.load(place / unalike_fit(place, system, f"run-{system}"))
    assert loaded.vectors["graph"].shape == (60, 10)
    assert np.isfinite(loaded.vectors["graph"]).all()
