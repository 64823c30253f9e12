"""What a mapping's SQL expression may consist of: what is not listed here is refused.

All of it is over the cells of one row and gives the same value whenever and wherever it is evaluated. A new
entry must keep that: nothing that reads a file, a setting, the clock, chance, or another row.
"""

from __future__ import annotations

import difflib

import sqlglot
from sqlglot import exp

ALLOWED: tuple[type[exp.Expr], ...] = (
    # Names, constants, types
    exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.DataType, exp.DataTypeParam, exp.Var,
    exp.Interval, exp.Array, exp.Tuple, exp.Paren,
    # Logic and comparison
    exp.And, exp.Or, exp.Not, exp.Is, exp.In, exp.Between, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE,
    exp.NullSafeEQ, exp.NullSafeNEQ, exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least,
    exp.Cast, exp.TryCast, exp.Try,
    # Numbers
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg, exp.Abs, exp.Round, exp.Floor, exp.Ceil,
    exp.Trunc, exp.Sign, exp.Sqrt, exp.Cbrt, exp.Pow, exp.Exp, exp.Ln, exp.Log, exp.IsNan, exp.BitwiseAnd,
    exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseNot, exp.BitwiseLeftShift, exp.BitwiseRightShift,
    # Text
    exp.DPipe, exp.Concat, exp.ConcatWs, exp.Lower, exp.Upper, exp.Trim, exp.Pad, exp.Left, exp.Right,
    exp.Substring, exp.Length, exp.Replace, exp.Translate, exp.Reverse, exp.Repeat, exp.StrPosition,
    exp.StartsWith, exp.EndsWith, exp.Contains, exp.Like, exp.ILike, exp.Escape, exp.Split, exp.SplitPart,
    exp.Bracket, exp.Slice, exp.ArrayContains, exp.RegexpLike, exp.RegexpILike, exp.RegexpFullMatch,
    exp.RegexpExtract, exp.RegexpReplace, exp.Format, exp.Ascii, exp.Chr, exp.MD5, exp.SHA2,
    # Days and times
    exp.Date, exp.DateAdd, exp.DateSub, exp.DateDiff, exp.DateTrunc, exp.TimestampTrunc, exp.DateFromParts,
    exp.TimestampFromParts, exp.TsOrDsToDate, exp.StrToTime, exp.StrToDate, exp.TimeToStr, exp.UnixToTime,
    exp.TimeToUnix, exp.Extract, exp.Year, exp.Quarter, exp.Month, exp.Week, exp.WeekOfYear, exp.Day,
    exp.DayOfMonth, exp.DayOfWeek, exp.DayOfWeekIso, exp.DayOfYear, exp.Hour, exp.Minute, exp.Second,
    exp.LastDay, exp.MonthsBetween, exp.AtTimeZone, exp.ToDays,
    # JSON
    exp.JSONExtract, exp.JSONExtractScalar, exp.JSONPath, exp.JSONPathRoot, exp.JSONPathKey,
    exp.JSONPathSubscript,
)  # fmt: skip

ALLOWED_BY_NAME = frozenset({
    "try_strptime", "date_part", "datepart", "date_sub", "datesub", "isfinite", "isinf", "suffix", "prefix",
    "printf", "trunc", "even", "nfc_normalize", "strip_accents", "levenshtein", "to_years", "to_months",
    "to_weeks", "to_hours", "to_minutes", "to_seconds", "epoch_ms", "era", "monthname", "dayname", "age",
})  # fmt: skip
"""Functions of DuckDB that have no class of their own; `age` with two days."""

OTHER_ROWS = (exp.Window, exp.AggFunc, exp.Filter, exp.WithinGroup, exp.IgnoreNulls)
NOT_OF_THE_ROW = (
    exp.Query, exp.Values, exp.Table, exp.Explode, exp.Unnest, exp.GenerateSeries, exp.Star, exp.Columns,
)  # fmt: skip
"""What reads something else (another file), makes several rows of one, or several columns."""


def refusal(tree: exp.Expr) -> str | None:
    """Why an expression is refused, with what to do; None where it is over the cells of its row alone."""
    if (command := tree.find(exp.Command)) is not None:
        word = str(command.this)
        return f'is a command ({word}) and no expression; a column of that name is written "{word.lower()}"'
    if tree.find(*NOT_OF_THE_ROW) is not None:
        return (
            f"{tree.sql('duckdb')} is not over the columns of its row alone: no SELECT, VALUES, UNNEST, * or "
            "COLUMNS can stand there"
        )
    for part in tree.walk():
        if isinstance(part, OTHER_ROWS):
            return (
                f"{part.sql('duckdb')} is over other rows, too; `key: content` or `key: line` makes a key, "
                "and what sums up rows must be made before"
            )
        if isinstance(part, exp.Anonymous) and (problem := _unknown(part)):
            return problem
        if not isinstance(part, (*ALLOWED, exp.Anonymous)):
            return f"{part.sql('duckdb')}: {_name(part)} cannot stand in a mapping"
    return None


def _unknown(call: exp.Anonymous) -> str | None:
    name = call.name.lower()
    if name in ALLOWED_BY_NAME and not (name == "age" and len(call.expressions) != 2):
        return None
    near = difflib.get_close_matches(name, sorted(_names()), n=1, cutoff=0.8)
    return f"{name} is none of the functions that a mapping may use" + (
        f"; is it `{near[0]}`?" if near and near[0] != name else ""
    )


def _names() -> set[str]:
    """The functions that can be called."""
    listed = {name.lower() for kind in ALLOWED if issubclass(kind, exp.Func) for name in kind.sql_names()}
    functions = sqlglot.Dialect.get_or_raise("duckdb").parser_class.FUNCTIONS
    return listed & {name.lower() for name in functions} | ALLOWED_BY_NAME


def _name(part: exp.Expr) -> str:
    return part.sql_name().lower() if isinstance(part, exp.Func) else type(part).__name__
