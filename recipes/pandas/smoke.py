"""Call each of pandas' compiled parts and compare the results with plain Python.

FACTORY_RESULT names the JSON file to write: what to show.
"""

import io
import json
import os
import random
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd


def main() -> None:
    source = random.Random(20261201)
    checks = (groups, joins, sorts, windows, csv_files, json_files, times, texts, intervals, pivots, sparse_columns)
    for check in checks:
        check(source)
    names = ", ".join(check.__name__.replace("_", " ") for check in checks)
    shown = f"pandas {pd.__version__}: {names} agree with plain Python"
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps({"shown": shown}), encoding="utf-8")
    print(shown)


def rows_of(source: random.Random, count: int) -> list[tuple[str, int, float]]:
    return [(source.choice("abcde"), source.randrange(50), source.uniform(-1, 1)) for _ in range(count)]


def groups(source: random.Random) -> None:
    rows = rows_of(source, 500)
    frame = pd.DataFrame(rows, columns=["name", "number", "value"])
    by_name: dict[str, list[int]] = defaultdict(list)
    for name, number, _ in rows:
        by_name[name].append(number)
    grouped = frame.groupby("name")["number"]
    assert grouped.sum().to_dict() == {name: sum(numbers) for name, numbers in by_name.items()}
    assert grouped.max().to_dict() == {name: max(numbers) for name, numbers in by_name.items()}
    assert grouped.nunique().to_dict() == {name: len(set(numbers)) for name, numbers in by_name.items()}
    assert frame["name"].value_counts().to_dict() == {name: len(numbers) for name, numbers in by_name.items()}


def joins(source: random.Random) -> None:
    left, right = rows_of(source, 80), rows_of(source, 60)
    merged = pd.merge(
        pd.DataFrame(left, columns=["name", "number", "x"]),
        pd.DataFrame(right, columns=["name", "number", "y"]),
        on=["name", "number"],
    )
    expected = sorted((a[0], a[1], a[2], b[2]) for a in left for b in right if a[:2] == b[:2])
    assert sorted(merged.itertuples(index=False, name=None)) == expected


def sorts(source: random.Random) -> None:
    rows = rows_of(source, 300)
    frame = pd.DataFrame(rows, columns=["name", "number", "value"]).sort_values(["name", "number", "value"])
    assert list(frame.itertuples(index=False, name=None)) == sorted(rows)
    values = pd.Series([value for _, _, value in rows])
    assert values.rank().tolist() == [1 + sum(other < value for other in values) for value in values]
    assert values.nlargest(5).tolist() == sorted(values, reverse=True)[:5]


def windows(source: random.Random) -> None:
    numbers = [source.randrange(100) for _ in range(100)]
    rolled = pd.Series(numbers).rolling(7)
    assert rolled.sum().tolist()[6:] == [sum(numbers[k : k + 7]) for k in range(94)]
    assert rolled.median().tolist()[6:] == [sorted(numbers[k : k + 7])[3] for k in range(94)]
    assert pd.Series(numbers).cumsum().tolist() == [sum(numbers[: k + 1]) for k in range(100)]


def csv_files(source: random.Random) -> None:
    rows = rows_of(source, 200)
    frame = pd.DataFrame(rows, columns=["name", "number", "value"])
    read = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    pd.testing.assert_frame_equal(read, frame, check_exact=True)
    broken = pd.read_csv(io.StringIO('a,b\n"x, ""y""",1\n,2\n'))
    assert broken["a"].iloc[0] == 'x, "y"'
    assert broken["a"].isna().tolist() == [False, True]


def json_files(source: random.Random) -> None:
    frame = pd.DataFrame(rows_of(source, 50), columns=["name", "number", "value"])
    assert json.loads(frame.to_json(orient="values", double_precision=10))[7][:2] == [*frame.iloc[7, :2]]
    read = pd.read_json(io.StringIO(frame.to_json(orient="records", double_precision=15)))
    pd.testing.assert_frame_equal(read, frame)


def times(_: random.Random) -> None:
    days = pd.date_range("2024-02-27", periods=4, freq="D")
    assert [day.day for day in days] == [27, 28, 29, 1]
    clocks = pd.Timestamp("2026-03-29 00:30", tz="UTC").tz_convert("Europe/Berlin") + pd.Timedelta(hours=1)
    assert clocks.isoformat() == "2026-03-29T03:30:00+02:00"
    start = datetime(2026, 1, 31, 23)
    hours = pd.Series(range(48), index=[start + timedelta(hours=k) for k in range(48)])
    assert hours.resample("D").sum().tolist() == [0, sum(range(1, 25)), sum(range(25, 48))]
    assert pd.to_datetime(pd.Series(["01/02/2026"]), format="%d/%m/%Y").iloc[0].month == 2
    assert (pd.Period("2026-01", freq="M") + 13).strftime("%Y-%m") == "2027-02"


def texts(_: random.Random) -> None:
    words = pd.Series(["Äpfel", "birne", None, "Zwetschge"])
    assert words.str.upper().tolist()[:2] == ["ÄPFEL", "BIRNE"]
    assert words.str.contains("e").tolist()[1:2] == [True]
    assert pd.Categorical(["b", "a", "b"]).codes.tolist() == [1, 0, 1]


def intervals(_: random.Random) -> None:
    binned = pd.cut(pd.Series([1, 5, 9]), bins=[0, 3, 6, 10], labels=["low", "middle", "high"])
    assert binned.tolist() == ["low", "middle", "high"]
    assert pd.IntervalIndex.from_breaks([0, 1, 2]).get_indexer([0.5, 1.5]).tolist() == [0, 1]


def pivots(source: random.Random) -> None:
    rows = rows_of(source, 200)
    table = pd.DataFrame(rows, columns=["name", "number", "value"]).pivot_table(
        index="name", columns="number", values="value", aggfunc="count", fill_value=0
    )
    assert table.loc["a", rows[0][1]] == sum(row[:2] == ("a", rows[0][1]) for row in rows)


def sparse_columns(_: random.Random) -> None:
    column = pd.arrays.SparseArray([0, 0, 1, 2, 0])
    assert (column + column).to_dense().tolist() == [0, 0, 2, 4, 0]
    assert column.npoints == 2


if __name__ == "__main__":
    main()
