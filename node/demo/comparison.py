"""What learning together came to: federated, pooled and each site alone, judged on the same held-out records.

Nothing here is secret to the demo: it has every site's file on this machine, as no member of an alliance has. Each
model is judged on the held-out records of every site and of all together; a mean over sites counts a small one as much
as a large one.

    found = compared(scenario, parts, training)
    found.sites[0].federated, found.sites[0].alone
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from federation import portable
from federation.algorithms import linear, logistic, neural, poisson
from federation.algorithms.averaging import AveragingState, pack
from federation.simulate import pooled
from federation.tables import Table
from federation.vectors import Reals
from node import models
from node.demo.scenario import METRICS, Decision, Scenario, columns_of
from node.errors import Misuse
from node.model import TrainingId
from node.paper.scenario import Line
from node.sums import Plan

CLEAR = 0.005
"""A difference of scores under this is called none."""


@dataclass(frozen=True)
class Comparison:
    """`everybody`: on all held-out records together, where `alone` is the mean over the sites' models. `model`: the
    file of the pooled model. `local`: accuracy on everybody's of each site's model, of plans with labels only."""

    sites: tuple[Line, ...]
    mean: Line
    everybody: Line
    model: bytes
    local: Mapping[str, float]
    pooled_accuracy: float | None

    @property
    def helped(self) -> tuple[str, ...]:
        """Sites with a clearly better model than their own."""
        return tuple(one.site for one in self.sites if _gain(one) > CLEAR)

    @property
    def harmed(self) -> tuple[str, ...]:
        """Sites that would have done better alone."""
        return tuple(one.site for one in self.sites if _gain(one) < -CLEAR)

    def document(self, scenario: Scenario) -> dict[str, Any]:
        """As JSON."""
        lines = {"sites": [asdict(line) for line in self.sites]}
        return {
            "metric": scenario.metric, "in_words": METRICS[scenario.metric], **lines, "mean": asdict(self.mean),
            "everybody": asdict(self.everybody), "helped": list(self.helped), "harmed": list(self.harmed),
            "verdict": verdict(self, scenario),
        }  # fmt: skip


@dataclass(frozen=True)
class _Judged:
    """A model's answers: log-odds of the first label, the quantity expected, or the chance of each class."""

    answers: Callable[[Table], Reals]


def compared(
    scenario: Scenario, parts: Mapping[str, Path], training: TrainingId, model: bytes | None = None
) -> Comparison:
    """Train pooled and each alone here, and judge all. `model`: the file that the members' training left, asked where
    federated is not pooled (`exact`), and there needed: Misuse without."""
    split = {site: scenario.learnt_and_judged(columns_of(path)) for site, path in parts.items()}
    whole, plan = scenario.one_place(), scenario.plan()
    state = _trained(whole, list(split.values()))
    together = _of_state(whole, state)
    shared = together if scenario.exact else _of_file(plan, model)
    own = {site: _of_state(whole, _trained(whole, [tables])) for site, tables in split.items()}
    lines = tuple(_line(scenario, site, *tables, shared, together, [own[site]]) for site, tables in split.items())
    judged = _joined([out for _, out in split.values()])
    learnt = _joined([learn for learn, _ in split.values()])
    everybody = _line(scenario, f"all {scenario.sites_word}", learnt, judged, shared, together, list(own.values()))
    figures = models.evaluation_of(whole, state)
    local = {site: _right(one, judged) for site, one in own.items()} if scenario.metric == "area" else {}
    return Comparison(
        lines, _mean(lines), everybody, models.encode_model(plan, state, training), local,
        getattr(figures, "accuracy", None),
    )  # fmt: skip


def verdict(found: Comparison, scenario: Scenario) -> str:
    """In a sentence, with the sites that would rather not."""
    helped, harmed, size = len(found.helped), len(found.harmed), len(found.sites)
    means = f"mean over {scenario.sites_word} {_said(found.mean.federated)} together, {_said(found.mean.alone)} alone"
    kind = "does not help" if helped < harmed or not helped else "helps some" if helped == harmed else "helps"
    words = f"learning together {kind}: {helped} of {size} {scenario.sites_word} gain"
    return f"{words}; {means}" + (f"; {', '.join(found.harmed)} would do better alone" if harmed else "")


def _trained(plan: Plan, tables: Sequence[tuple[Table, Table]]) -> Any:
    return pooled(plan.steps, plan.params, _joined([table for pair in tables for table in pair])).state


def _of_state(plan: Plan, state: Any) -> _Judged:
    inner = plan.algorithm.removesuffix("-held-out")
    if inner != plan.algorithm:
        return _of_state(Plan(plan.title, inner, plan.params.model), state.model)
    answers = _ANSWERS[plan.algorithm]
    return _Judged(lambda table: answers(plan.params, state, table))


def _of_file(plan: Plan, model: bytes | None) -> _Judged:
    if model is None:
        raise Misuse("averaging is not pooling: the members' own model is judged", clause="model", needed="its file")
    weights = models.decode_model(model).arrays["weights"]
    return _of_state(Plan(plan.title, "neural", plan.params.model), AveragingState(pack(weights)))


_ANSWERS: dict[str, Callable[[Any, Any, Table], Reals]] = {
    "logistic": logistic.scores,
    "ridge": linear.predictions,
    "poisson": poisson.predictions,
    "neural": neural.chances,
}


def _line(
    scenario: Scenario, site: str, learn: Table, judge: Table, shared: _Judged, together: _Judged, own: list[_Judged]
) -> Line:  # fmt: skip
    every = [model.answers(judge) for model in (shared, together, *own)]
    scores = [_score(scenario, answers, judge.target) for answers in every]
    costs = [_cost(scenario.decision, answers, judge.target) for answers in every]
    cost = {"federated": costs[0], "pooled": costs[1], "alone": math.fsum(costs[2:]) / len(costs[2:]),
            "no_model": _without(scenario, judge.target)}  # fmt: skip
    alone = _average(scores[2:]) if scores[2:] and None not in scores[2:] else None
    return Line(site, len(judge), len(learn), scores[0], scores[1], alone, cost)


def _mean(lines: Sequence[Line]) -> Line:
    def over(name: str) -> float | None:
        return _average([getattr(line, name) for line in lines])

    cost = {name: _average([line.cost[name] for line in lines]) or 0.0 for name in lines[0].cost}
    return Line("mean", sum(line.records for line in lines), sum(line.learnt for line in lines), over("federated"),
                over("pooled"), over("alone"), cost)  # fmt: skip


def _average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _score(scenario: Scenario, answers: Reals, target: Reals) -> float | None:
    from sklearn.metrics import r2_score, roc_auc_score

    if scenario.metric == "r2":
        return float(r2_score(target, answers)) if len(target) > 1 and np.ptp(target) > 0 else None
    if scenario.metric == "share":
        return float((answers.argmax(axis=1) == target).mean()) if len(target) else None
    return float(roc_auc_score(target > 0, answers)) if 0 < (target > 0).sum() < len(target) else None


def _cost(decision: Decision, answers: Reals, target: Reals) -> float:
    """Of 100 decisions. Of classes: the alarm costs what it costs, whether or not the answer would have been right."""
    if answers.ndim == 2:
        asked = decision.miss * (1.0 - answers.max(axis=1)) > decision.false_alarm
        wrong = answers.argmax(axis=1) != target
        return float(100 * np.where(asked, decision.false_alarm, decision.miss * wrong).mean())
    alarm, bad = _alarms(decision, answers), _bad(decision, target)
    return float(100 * (decision.miss * (bad & ~alarm).mean() + decision.false_alarm * (alarm & ~bad).mean()))


def _without(scenario: Scenario, target: Reals) -> float:
    """With no model: the alarm always, or never (of classes: always the commonest), whichever costs less."""
    decision = scenario.decision
    if scenario.metric == "share":
        missed = 1.0 - np.unique(target, return_counts=True)[1].max() / len(target)
        return float(100 * min(decision.miss * missed, decision.false_alarm))
    bad = _bad(decision, target).mean()
    return float(100 * min(decision.miss * bad, decision.false_alarm * (1 - bad)))


def _alarms(decision: Decision, answers: Reals) -> Any:
    if decision.below is not None:
        return answers < decision.below
    return portable.sigmoid(answers) > decision.false_alarm / (decision.false_alarm + decision.miss)


def _bad(decision: Decision, target: Reals) -> Any:
    return target < decision.below if decision.below is not None else target > 0


def _right(model: _Judged, judged: Table) -> float:
    return float(((model.answers(judged) > 0) == (judged.target > 0)).mean())


def _joined(tables: Sequence[Table]) -> Table:
    return Table(np.concatenate([t.values for t in tables]), np.concatenate([t.target for t in tables]))


def _gain(line: Line) -> float:
    return 0.0 if line.federated is None or line.alone is None else line.federated - line.alone


def _said(score: float | None) -> str:
    return "-" if score is None else f"{score:.3f}"
