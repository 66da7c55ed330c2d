"""What an audit comes to: numbered checks, findings, what could not be checked. Records and their rendering; no I/O.

sheet = Sheet()
with sheet.check(8, "dataset 0x12… version 1"): ...     # Untrusted is a finding; Retry and NotFound: not checked
report = sheet.report(about)
print(render(report, language="zh-CN")); json.dumps(documents.plain(report))
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from federation.errors import FederationError
from node.errors import HanseError, Misuse, NotFound, Retry, Untrusted
from node.model import Address, Block, BlockHash

State = Literal["holds", "untrusted", "unchecked"]
Language = Literal["en", "zh-CN"]

NAMES: dict[int, dict[Language, str]] = {
    1: {"en": "the chain is the one asked for", "zh-CN": "链与所指定者一致"},
    2: {"en": "the contracts are the published ones", "zh-CN": "合约代码与公布者一致"},
    3: {"en": "no event is missing, altered or out of order", "zh-CN": "事件无遗漏、无改动、无错序"},
    4: {"en": "every event follows the rules", "zh-CN": "每个事件都符合规则"},
    5: {"en": "every decision has its quorum of consents", "zh-CN": "每项决定都有法定数量的成员同意"},
    6: {"en": "members' cards are served and match", "zh-CN": "成员名片可取得且相符"},
    7: {"en": "versions' public records are served and match", "zh-CN": "数据集版本的公开记录可取得且相符"},
    8: {"en": "sealed files are served, byte for byte", "zh-CN": "密封文件逐字节可取得且相符"},
    9: {"en": "requests are signed by their consumers", "zh-CN": "请求由使用方签名"},
    10: {"en": "grants are signed by both parties", "zh-CN": "授权由双方签名"},
    11: {"en": "wrapped keys are signed and for the right grant", "zh-CN": "封装密钥已签名且属于相应授权"},
    12: {"en": "anchored lists are served and match their roots", "zh-CN": "锚定清单可取得且与根相符"},
    13: {"en": "plans and training keys are served and match", "zh-CN": "训练计划与训练公钥可取得且相符"},
    14: {"en": "contributions are served and match their roots", "zh-CN": "贡献向量可取得且与根相符"},
    15: {"en": "revealed seeds are those committed to", "zh-CN": "揭示的种子与承诺一致"},
    16: {"en": "every sum, recomputed bit for bit, is the one posted", "zh-CN": "每轮总和逐位重算，与所公布者一致"},
    17: {"en": "transcripts cover plan, posts and sums", "zh-CN": "运行记录摘要涵盖计划、提交与总和"},
    18: {"en": "final models follow from plan and sums", "zh-CN": "最终模型可由计划与总和推出"},
    19: {"en": "privacy budgets are kept", "zh-CN": "隐私预算未超支"},
    20: {"en": "nothing readable is on chain", "zh-CN": "链上没有可读内容"},
}
"""The checklist; `node.audit` says what each check does."""

_WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "Audit report", "block": "audited block", "chain": "chain id", "genesis": "genesis block",
        "consortium": "consortium", "started": "started (seconds since 1970)", "seconds": "seconds taken",
        "check": "check", "subjects": "subjects", "state": "state", "holds": "holds", "untrusted": "UNTRUSTED",
        "unchecked": "not checked", "findings": "Untrusted", "left": "Not checked", "none": "Nothing.",
        "seen": "seen", "needed": "needed", "good": "Nothing is untrusted.", "bad": "{} findings are untrusted.",
    },
    "zh-CN": {
        "title": "审计报告", "block": "审计区块", "chain": "链编号", "genesis": "创世区块",
        "consortium": "联盟合约", "started": "开始时间（1970 年起的秒数）", "seconds": "耗时（秒）",
        "check": "检查", "subjects": "对象数", "state": "结果", "holds": "成立", "untrusted": "不可信",
        "unchecked": "未检查", "findings": "不可信之处", "left": "未能检查之处", "none": "无。",
        "seen": "实际", "needed": "应为", "good": "未发现不可信之处。", "bad": "发现 {} 处不可信。",
    },
}  # fmt: skip
_SHOWN = 200  # characters of a value from outside


@dataclass(frozen=True, slots=True)
class Finding:
    """One subject of one check that does not hold, or was not checked: who or what, the rule, seen and needed."""

    check: int
    clause: str
    subject: str
    message: str
    seen: str
    needed: str


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checklist; `state` is the worst of its `subjects`."""

    number: int
    name: str
    subjects: int
    state: State


@dataclass(frozen=True, slots=True)
class About:
    """What was audited, as of which block; `started` in seconds since the epoch."""

    chain_id: int
    genesis: BlockHash
    consortium: Address
    block: Block
    started: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome. Nothing is untrusted where `untrusted` is empty; `unchecked` says what that does not cover."""

    about: About
    checks: tuple[Check, ...]
    untrusted: tuple[Finding, ...]
    unchecked: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """Untrusted's if anything is; Retry's if the events could not all be judged (check 4); else 0."""
        if self.untrusted:
            return Untrusted.exit_code
        return Retry.exit_code if self.checks[3].state == "unchecked" else 0


class Sheet:
    """The checklist while it is being filled in."""

    def __init__(self) -> None:
        self._subjects: Counter[int] = Counter()
        self._untrusted: list[Finding] = []
        self._unchecked: list[Finding] = []

    def check(self, number: int, subject: str) -> Judging:
        """Judge one subject: what is raised inside becomes a finding, and the audit goes on."""
        self._subjects[number] += 1
        return Judging(self, number, subject)

    def note(self, number: int, subject: str, exc: HanseError | FederationError) -> None:
        """Write down why a subject does not hold (or, for Retry and NotFound, was not checked)."""
        found = self._unchecked if isinstance(exc, (Retry, NotFound)) else self._untrusted
        found.append(_finding(number, subject, exc))

    def leave(self, number: int, subject: str, because: str, *, clause: str = "not checked") -> None:
        """Note a subject that cannot be checked."""
        self._subjects[number] += 1
        self._unchecked.append(Finding(number, clause, subject, because, "", ""))

    def report(self, about: About) -> Report:
        checks = tuple(Check(n, NAMES[n]["en"], self._subjects[n], self._state(n)) for n in NAMES)
        order = sorted(self._untrusted, key=lambda f: f.check), sorted(self._unchecked, key=lambda f: f.check)
        return Report(about, checks, tuple(order[0]), tuple(order[1]))

    def _state(self, number: int) -> State:
        if any(f.check == number for f in self._untrusted):
            return "untrusted"
        return "unchecked" if any(f.check == number for f in self._unchecked) else "holds"


class Judging:
    """One subject being judged; see `Sheet.check`. `failed`: it does not hold, or (then `unseen`) was not looked at."""

    def __init__(self, sheet: Sheet, number: int, subject: str) -> None:
        self._sheet, self._number, self._subject = sheet, number, subject
        self.failed = self.unseen = False

    def __enter__(self) -> Judging:
        return self

    def __exit__(self, kind: Any, exc: BaseException | None, trace: Any) -> bool:
        if not isinstance(exc, (HanseError, FederationError)):
            return False
        self.failed, self.unseen = True, isinstance(exc, (Retry, NotFound))
        self._sheet.note(self._number, self._subject, exc)
        return True


def _finding(number: int, subject: str, exc: HanseError | FederationError) -> Finding:
    culprit = getattr(exc, "culprit", None)
    message = exc.message + (f" (by 0x{culprit.hex()})" if culprit else "")
    seen, needed = (_text(getattr(exc, name, None)) for name in ("seen", "needed"))
    return Finding(number, exc.clause or "", subject, message, seen, needed)


def _text(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def render(report: Report, language: Language = "en") -> str:
    """Markdown: what was audited, the table of checks, the findings. Raises Misuse for a language there is not."""
    if language not in _WORDS:
        raise Misuse("no such language", clause="language", seen=language, needed=", ".join(_WORDS))
    words, about = _WORDS[language], report.about
    facts = {
        "consortium": f"`{about.consortium}`", "chain": about.chain_id, "genesis": f"`{about.genesis}`",
        "block": f"{about.block.number} `{about.block.hash}`", "started": about.started,
        "seconds": f"{about.seconds:.1f}",
    }  # fmt: skip
    count = len(report.untrusted)
    return "\n".join(
        [
            f"# {words['title']}", "", words["bad"].format(count) if count else words["good"], "",
            *(f"- {words[name]}: {value}" for name, value in facts.items()), "",
            *_table(report, language), "",
            f"## {words['findings']}", "", *_listed(report.untrusted, words), "",
            f"## {words['left']}", "", *_listed(report.unchecked, words), "",
        ]
    )  # fmt: skip


def _table(report: Report, language: Language) -> list[str]:
    words = _WORDS[language]
    rows = [f"| | {words['check']} | {words['subjects']} | {words['state']} |", "|--:|--|--:|--|"]
    return rows + [
        f"| {c.number} | {NAMES[c.number][language]} | {c.subjects} | {words[c.state]} |" for c in report.checks
    ]


def _listed(findings: tuple[Finding, ...], words: dict[str, str]) -> list[str]:
    return [_line(finding, words) for finding in findings] or [words["none"]]


def _line(finding: Finding, words: dict[str, str]) -> str:
    values = [f"{words[n]} `{_plain(v)}`" for n, v in (("seen", finding.seen), ("needed", finding.needed)) if v]
    extra = f" ({'; '.join(values)})" if values else ""
    return f"- **{finding.check}** {_plain(finding.subject)}: {_plain(finding.message)}{extra}"


def _plain(text: str) -> str:
    """Text from outside on one line, without markup that a renderer would act on."""
    return "".join(c if c.isprintable() and c not in "`<>|[]" else "·" for c in text)
