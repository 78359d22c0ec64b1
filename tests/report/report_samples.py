"""Inputs that the tests of the report share."""

from __future__ import annotations

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from unalike.evaluation import Score
from unalike.report import Item, ReportInputs

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'`{{7*7}}{% raw %}<!--"


def curves(steps: int = 400) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = []
    for step in range(steps):
        row = {"step": step, "loss": 5 * 0.99**step + 0.5, "learning_rate": 1e-3 * (1 - step / steps)}
        rows.append(row | ({"rank.image": 4 + step / 10, "spread.image": 0.4} if step % 20 == 0 else {}))
    return rows


def scores() -> list[Score]:
    return [
        Score(
            "knn/image", 0.97, {"raw": 0.93, "random encoder": 0.9, "chance": 0.1}, 360, True, "Votes.", (0.95, 0.98)
        ),
        Score("linear_probe/image", 0.94, {"raw": 0.94}, 360),
        Score("median_rank/image", 12.0, {"chance": 180.0}, 360, False, "How many one must look through."),
        Score("nmi/image", 0.7, {}, 360),
    ]


def digits(count: int = 600, **changes: object) -> ReportInputs:
    """Real handwritten digits with their principal components as vectors."""
    data = load_digits()
    vectors = PCA(16, random_state=0).fit_transform(data.data)[:count]
    items = [
        Item(
            id=f"digits/{row}.png",
            kind="image",
            label=str(label),
            thumbnail=Image.fromarray((255 - 15.9 * picture).astype(np.uint8)),
        )
        for row, (picture, label) in enumerate(zip(data.images[:count], data.target[:count], strict=True))
    ]
    content: dict[str, object] = {
        "title": "digits",
        "summary": ["Digits that look alike lie together.", "Two looks at each were pulled together."],
        "facts": [("system", "simclr"), ("seed", "0")],
        "curves": curves(),
        "collapse_below": {"rank.image": 2.0, "spread.image": 0.05},
        "scores": scores(),
        "geometry": [Score("alignment/image", 0.3, {}, 360, False, "Two looks lie close.")],
        "items": items,
        "vectors": vectors,
        "notes": ["1 file was skipped: broken.png"],
        "versions": {"unalike": "0.1.0"},
        "command": "unalike fit digits",
    }
    return ReportInputs(**(content | changes))  # type: ignore[arg-type]


def hostile(count: int = 60) -> ReportInputs:
    """Every text that a page shows tries to break out of it."""

    def text(tail: object) -> str:
        return f"{HOSTILE}{tail}"

    items = [
        Item(
            id=f"caf\udce9\x00{text(row)}",
            kind=f"{['image', 'text'][row % 2]}:{HOSTILE}",
            label=text(row % 3),
            text=None if row % 4 == 0 else text(row) * 3,
            instance=text(row // 2),
            thumbnail=Image.new("RGB", (300, 20), (4 * row, 80, 200)) if row % 2 == 0 else None,
            facets={HOSTILE: text(row % 5)},
        )
        for row in range(count)
    ]
    measured = [Score(text(1), 0.4, {text(2): 0.1, text(4): 0.5, "x" * 300: 0.2}, 3, True, text(3), (0.3, 0.5))]
    return ReportInputs(
        title=HOSTILE,
        summary=[HOSTILE, HOSTILE * 9],
        facts=[(HOSTILE, HOSTILE * 4)],
        curves=[{"step": step, HOSTILE: float(step), "loss": 1 / (step + 1)} for step in range(60)],
        collapse_below={HOSTILE: 3.0},
        scores=measured,
        geometry=measured,
        items=items,
        vectors=np.random.default_rng(0).standard_normal((count, 8)),
        notes=[HOSTILE] * 300,
        versions={HOSTILE: HOSTILE},
        command=HOSTILE * 5,
    )
