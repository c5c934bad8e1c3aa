"""What a check raises when a rule is broken."""


class Broken(AssertionError):
    """A rule that does not hold, with what was found.

    Attributes:
        rule: what must hold.
        got: what was found instead.
        smallest: the smallest input that shows it, in words; empty where the rule is about no input.
    """

    def __init__(self, name: str, rule: str, got: object, smallest: str = "") -> None:
        super().__init__(f"{name}: {rule}, got {got}{f'; smallest input: {smallest}' if smallest else ''}")
        self.rule, self.got, self.smallest = rule, str(got), smallest
