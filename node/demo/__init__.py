"""The demo: a whole alliance from one command, on real parts and real data, judged at the end by an auditor.

Sites that each run a node in a process of its own share records under contract and learn from them together; `run`
tells the story, step by step, and returns one document that says what held. `known` has the scenarios; `hanse
demo` is the one of healthcare.

    document = run(folder, Quiet(), named("healthcare"))
    assert document["held"]
"""

from node.demo.known import SCENARIOS, named
from node.demo.story import run

__all__ = ["SCENARIOS", "named", "run"]
