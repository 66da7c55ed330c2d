"""The page for people: what it says, that it says it in each language, and that nothing from outside runs in it."""

from __future__ import annotations

import base64
import hashlib
import re
import string
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from federation.costs import Costs
from node.alone import Why
from node.cards import Card, Quality, card_of, choice_of
from node.errors import Misuse
from node.paper import LANGUAGES, page
from node.paper.facts import Facts
from node.paper.numbers import number, percent
from node.report import _prices, _with_actions
from tests.node.models_at_hand import explained, machines, table_of, trained

EVIL = "<script>alert(1)</script>\"'&{{7*7}}"


class Tags(HTMLParser):
    """All elements with their attributes, and the text between."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data + " "

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@cache
def facts(kind: str = "chance", *, whole: bool = True) -> Facts:
    found = trained(kind)
    explanation = explained(found) if whole else None
    card = card_of(found.plan, found.state, explanation)
    made = Facts(found.plan.title, found.training, found.model, found.plan.algorithm, ("Alice", "Bob", "Carol"), 120, 5,
                 card)  # fmt: skip
    if kind == "chance" and whole:
        costs = Costs(miss=900, alarm=100)
        choice = choice_of(found.state, explanation, costs)
        made = replace(made, costs=costs, choice=choice, prices=_prices(found.state, explanation, costs))
    return made


@cache
def ranked(kind: str) -> Facts:
    import tempfile

    rows = machines(30)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "machines.csv"
        lines = [f"M{place},{load},{kind_}" for place, (load, kind_) in enumerate(zip(rows["load"], rows["kind"]))]
        path.write_text("\n".join(["machine,load,kind", *lines]) + "\n")
        return _with_actions(trained(kind), facts(kind), path, "machine", None, False, 5)


@pytest.mark.parametrize("kind", ["chance", "number", "classes"])
@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_page_of_each_kind_in_each_language(kind: str, language: str) -> None:
    html = page(ranked(kind), language=language)
    found = Tags(html)
    assert found.of("html")[0]["lang"] == language
    assert LANGUAGES[language]["first_title"] in found.text
    assert found.text.count("M") >= 5
    assert not re.search(r"\{\w+\}", found.text.replace("{{", ""))  # no sentence without its numbers
    assert "None" not in found.text
    assert "nan" not in found.text.split()
    assert len(found.of("svg")) >= 4


def test_the_page_says_what_the_facts_are() -> None:
    shown = ranked("chance")
    choice, quality = shown.choice, shown.card.quality
    assert choice
    assert quality
    assert quality.accuracy
    text = " ".join(Tags(page(shown)).text.split())
    assert f"it judges {round(100 * quality.accuracy)} right" in text
    assert f"Act from a chance of {percent(choice.threshold)} on." in text
    assert f"{choice.caught} caught, {choice.missed} missed, {choice.alarms} false alarms" in text
    assert f"{shown.acting} of {shown.scored} rows are to be acted on" in text
    assert shown.scored == 30
    assert [action.answer for action in shown.actions] == sorted((a.answer for a in shown.actions), reverse=True)
    assert all(action.act == (action.answer >= choice.threshold) for action in shown.actions)
    assert shown.training in text
    assert shown.model in text
    assert "--set load=5 \\ --set kind=a" in text


def test_many_inputs_are_asked_about_in_a_file() -> None:
    one = facts().card.inputs[0]
    card = replace(facts().card, curves=(), importance=(), inputs=tuple(replace(one, name=f"p{i}") for i in range(784)))
    text = Tags(page(replace(facts(), card=card))).text
    assert "--set" not in text
    assert "rows.csv --out answers.csv" in text


def test_what_is_not_known_is_said() -> None:
    bare = facts("number", whole=False)
    text = " ".join(Tags(page(bare)).text.split())
    assert "Nobody has measured it" in text
    assert "hanse training explain" in text
    assert "no threshold to choose" in text
    assert any("standard errors" in why for why in bare.card.unknown)
    assert "No errors or p-values: with a ridge" in text


CHANCES = (Quality(30, True, accuracy=0.7, area=0.8), Quality(30, True, accuracy=0.8, area=0.9))
NUMBERS = (Quality(30, True, r2=0.9, mae=1.5, rmse=2.0), Quality(30, True, r2=-0.5, mae=3.0, rmse=4.0))


@pytest.mark.parametrize(
    ("kind", "own", "together", "said"),
    [
        ("chance", *CHANCES, "gets 10.0 of 100 more of your cases right"),
        ("chance", *reversed(CHANCES), "On your 30 cases your own records alone did better, by 10.0 of 100"),
        ("chance", CHANCES[0], CHANCES[0], "do as well as learning together"),
        ("number", *NUMBERS, "your own alone did better: off by 1.5, together by 3"),
        ("number", *reversed(NUMBERS), "together is off by 1.5 on your records, your own records alone by 3"),
        ("number", NUMBERS[0], NUMBERS[0], "do as well as learning together"),
    ],
)
def test_alone_beside_together(kind: str, own: Quality, together: Quality, said: str) -> None:
    shown = replace(facts(kind), alone=own, here=together, alone_why="")
    text = " ".join(Tags(page(shown)).text.split())
    assert said in text
    assert "Only you see how you do alone" in text
    if kind == "number":
        assert "You alone, on your records" in text
        assert ("nothing 30" in text) == (NUMBERS[1] in (own, together))


@pytest.mark.parametrize("why", [one for one in get_args(Why) if one])
@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_why_there_is_no_alone(why: str, language: str) -> None:
    text = Tags(page(replace(facts(), alone_why=why), language=language)).text
    assert LANGUAGES[language][f"alone_{why}"] in text
    assert LANGUAGES[language]["alone_private"] not in text


@pytest.mark.parametrize("kind", ["number", "classes"])
def test_a_model_that_was_judged_in_its_training_needs_no_explanation_to_say_how_good_it_is(kind: str) -> None:
    found = trained(kind, held_out=True)
    card = card_of(found.plan, found.state)
    assert card.quality
    assert card.quality.unseen
    assert card.quality.records == len(found.answers.judged(table_of(found)))
    assert bool(card.calibration) == (kind == "classes")
    text = " ".join(Tags(page(replace(facts(kind), card=card))).text.split())
    assert "it had never seen" in text
    assert f"{card.quality.records} more were kept back" in text


def hostile() -> Facts:
    """Every text that comes from outside is an attack."""
    rows = machines(80)
    rows = {EVIL: rows["load"], "kind": [EVIL + one for one in rows["kind"]], EVIL + "y": rows["failed"]}
    features = [{"name": EVIL, "low": 0, "high": 10}, {"name": "kind", "levels": [EVIL + "a", EVIL + "b"]}]
    found = trained("chance", title=EVIL, features=features, records=rows, target={"name": EVIL + "y", "above": 0})
    card: Card = card_of(found.plan, found.state, explained(found, rows))
    made = facts("chance")
    return replace(made, title=EVIL, members=(EVIL,), card=card, actions=ranked("chance").actions, scored=30)


def test_nothing_from_outside_becomes_markup() -> None:
    shown = hostile()
    evil = tuple(replace(action, name=EVIL, label=EVIL) for action in shown.actions)
    html = page(replace(shown, actions=evil))
    found = Tags(html)
    assert EVIL in found.text
    assert found.of("script") == []
    assert "<script" not in html
    assert "49" not in Tags(page(replace(shown, actions=evil))).text.split()
    assert {tag for tag, _ in found.tags}.isdisjoint({"script", "iframe", "object", "link", "img", "form", "base", "a"})
    for tag, attributes in found.tags:
        assert not any(name.startswith("on") or name in ("style", "href", "src") for name in attributes), (
            tag,
            attributes,
        )


def test_the_page_allows_itself_its_style_and_nothing_else() -> None:
    html = page(facts())
    policy = next(one["content"] for one in Tags(html).of("meta") if one.get("http-equiv"))
    style = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert len(style) == 1
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not re.search(r"url\(|@import|https?:", html)
    assert "width=device-width" in html


def test_every_language_has_the_same_words_with_the_same_numbers() -> None:
    def holes(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    english = LANGUAGES["en"]
    for words in LANGUAGES.values():
        assert words.keys() == english.keys()
        for key, text in words.items():
            assert text
            assert holes(text) == holes(english[key]), key
    used = "".join(path.read_text() for path in Path(page.__code__.co_filename).parent.rglob("*.*") if
                   path.suffix in (".py", ".html") and path.name != "words.py")  # fmt: skip
    why = {f"alone_{one}" for one in get_args(Why) if one}
    assert why <= english.keys()
    stems = ("foretells_", "good_", "trust_", "scenario_cost_", "scenario_r2", "scenario_share")
    unused = {key for key in english if f'"{key}"' not in used and not key.startswith(stems)} - why - {"lang"}
    assert unused == set()


def test_a_language_without_words_is_refused() -> None:
    with pytest.raises(Misuse) as no:
        page(facts(), language="tlh")
    assert no.value.clause == "language"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.12345, "0.123"), (7, "7"), (123.4, "123"), (52_187, "52,200"), (-0.5, "-0.5"), (1e-9, "1e-09")],
)
def test_numbers_for_people(value: float, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(("share", "shown"), [(0, "0%"), (0.004, "<1%"), (0.25, "25%"), (0.999, ">99%"), (1, "100%")])
def test_shares_for_people(share: float, shown: str) -> None:
    assert percent(share) == shown
